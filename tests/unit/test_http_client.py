"""HTTP clients: their logs name no address, and they follow no redirect."""

from __future__ import annotations

import logging

import httpx
import pytest

from quintet.http_client import http_client

SECRET = "https://hooks.example.org/secret-in-the-path"


def _request() -> httpx.Response:
    transport = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example"}))
    with http_client(transport=transport) as client:
        return client.get(SECRET)


def test_a_redirect_is_not_followed() -> None:
    assert _request().status_code == 302


def test_no_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _request()
    assert caplog.text == ""


def test_the_library_would_log_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="httpx")
    _request()
    assert SECRET in caplog.text
