"""Cached answers: computed once for each snapshot, code version and URL."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.requests import Request

from quintet.web.answers import Answers, to_json
from quintet.web.middleware import Metrics
from quintet.web.snapshots import Snapshot


def snapshot(snapshot_id: str = "run1") -> Snapshot:
    return Snapshot(snapshot_id, dt.datetime(2026, 1, 1), Mock())


def request(path: str = "/a", query: str = "", tag: str | None = None) -> Request:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": headers,
            "server": ("localhost", 80),
            "scheme": "http",
        }
    )


@pytest.fixture
def answers() -> Answers:
    return Answers(Metrics(), "code")


def test_an_answer_is_computed_once(answers: Answers) -> None:
    make = Mock(return_value={"n": 1})

    bodies = [answers.json(request(), snapshot(), make).body for _ in range(3)]

    assert bodies == [b'{"n":1}'] * 3
    assert make.call_count == 1


def test_another_snapshot_query_or_path_is_another_answer(answers: Answers) -> None:
    make = Mock(return_value={})
    for other in [
        (request(), snapshot()),
        (request(), snapshot("run2")),
        (request(query="a=1"), snapshot()),
        (request("/b"), snapshot()),
    ]:
        answers.json(*other, make)

    assert make.call_count == 4


def test_a_client_with_the_answer_gets_304_without_a_query(answers: Answers) -> None:
    tag = answers.json(request(), snapshot(), dict).headers["etag"]
    make = Mock()

    for given in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        unchanged = answers.json(request(tag=given), snapshot(), make)
        assert (unchanged.status_code, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)
    assert make.call_count == 0
    assert answers.json(request(tag=tag), snapshot("run2"), dict).status_code == 200


def test_another_code_version_has_other_tags() -> None:
    tags = {Answers(Metrics(), code).tag(request(), snapshot()) for code in ("one", "two")}

    assert len(tags) == 2


def test_the_oldest_answers_are_evicted() -> None:
    small = Answers(Metrics(), "code", most_bytes=100)
    make = Mock(return_value={"text": "x" * 50})
    for path in ("/a", "/b", "/a"):
        small.json(request(path), snapshot(), make)

    assert make.call_count == 3


def test_json_has_numbers_for_decimals_and_iso_times() -> None:
    value: Any = {"money": Decimal("17507846.70"), "at": dt.datetime(2026, 1, 1, 4), "day": dt.date(2026, 1, 1)}

    assert to_json(value) == b'{"money":17507846.7,"at":"2026-01-01T04:00:00","day":"2026-01-01"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_value_without_a_json_form_is_an_error(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        to_json({"value": value})
