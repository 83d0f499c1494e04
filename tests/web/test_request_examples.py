"""The requests that the documentation shows are accepted by a service, and every POST route has one."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from quintet.lending.online import OnlineFeatures
from quintet.web.routes.docs import document
from tests.unit.lending.models import scorecard
from tests.web.lending_decisions import keep, serving

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "request-examples.md").read_text("utf-8")
BASE = "http://127.0.0.1:8000"
NOT_THERE = ("/v1/payments/incidents/", "/v1/cases/", "/v1/case-verdicts")
"""Requests about an incident and a case that this service does not have begin so."""


def requests_of(page: str) -> list[tuple[str, Any]]:
    """Return path and body of each command of a page; a body of None is no body."""
    found = []
    for block in re.findall(r"^```sh\n(curl.*?)^```", page, re.DOTALL | re.MULTILINE):
        words = shlex.split(block.replace("\\\n", " "))
        [url] = [word for word in words if word.startswith(BASE)]
        assert "-d" in words or words[words.index("-X") + 1] == "POST", block
        found.append((url.removeprefix(BASE), json.loads(words[words.index("-d") + 1]) if "-d" in words else None))
    return found


def _routes(described: dict[str, Any]) -> dict[str, re.Pattern[str]]:
    return {
        path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for path, item in described["paths"].items()
        if "post" in item and path.startswith("/v1/")
    }


def undescribed(described: dict[str, Any], page: str) -> set[str]:
    """Return the POST routes without an example."""
    shown = [path for path, _ in requests_of(page)]
    return {path for path, pattern in _routes(described).items() if not any(map(pattern.fullmatch, shown))}


@pytest.fixture
def deciding_with_a_snapshot(
    built_home: Path,
    own_home: Path,
    online: OnlineFeatures,  # noqa: ARG001  # it fills the home
) -> Iterator[TestClient]:
    (own_home / "serving").symlink_to(built_home / "serving")
    keep(own_home, scorecard())
    with serving(own_home, QUINTET_SMTP_URL="smtp://127.0.0.1:1") as client:
        yield client


def test_every_example_is_accepted_and_every_route_has_one(deciding_with_a_snapshot: TestClient) -> None:
    lending = deciding_with_a_snapshot
    assert undescribed(document(lending.app), PAGE) == set()  # type: ignore[arg-type]
    for path, body in requests_of(PAGE):
        given = dict(body, submitted_at=dt.datetime.now(dt.UTC).isoformat()) if path.endswith("/decisions") else body
        answer = lending.post(path, json=given)
        assert answer.status_code == (404 if path.startswith(NOT_THERE) else 200), (path, answer.text)


def test_a_route_without_an_example_and_a_body_that_is_refused_are_found(lending: TestClient) -> None:
    shorter = PAGE.replace("/v1/lending/score", "/v1/lending/decisions")
    assert undescribed(document(lending.app), shorter) == {"/v1/lending/score"}  # type: ignore[arg-type]
    [(path, body), *_] = requests_of(PAGE.replace('"email"', '"mail"'))
    assert lending.post(path, json=body).status_code == 422


def test_a_command_that_only_reads_is_no_example() -> None:
    with pytest.raises(ValueError, match="-X"):
        requests_of(f"```sh\ncurl {BASE}/v1/payments/incidents\n```\n")
