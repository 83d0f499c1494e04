"""HTTP clients that trust this machine's certificates and log no address, because an address can contain a secret."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import httpx

for _name in ("httpx", "httpcore"):  # they log the address of every request
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


def http_client(**options: Any) -> httpx.Client:
    """Return a client, which follows no redirect; options are those of httpx.Client."""
    return httpx.Client(verify=ssl.create_default_context(), **options)


def async_http_client(**options: Any) -> httpx.AsyncClient:
    """Return an asynchronous client, likewise."""
    return httpx.AsyncClient(verify=ssl.create_default_context(), **options)
