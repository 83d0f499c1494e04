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


ORDERS = ("group_by=year&group_by=prod_line", "group_by=prod_line&group_by=year")


def test_the_order_of_repeated_parameters_makes_another_answer(answers: Answers) -> None:
    first, second = (
        answers.json(request(query=query), snapshot(), lambda query=query: {"order": query}) for query in ORDERS
    )

    assert (first.body, second.body) == tuple(b'{"order":"%s"}' % query.encode() for query in ORDERS)
    assert first.headers["etag"] != second.headers["etag"]


def test_a_client_with_the_answer_of_the_other_order_gets_its_own(answers: Answers) -> None:
    tag = answers.json(request(query=ORDERS[0]), snapshot(), dict).headers["etag"]

    assert answers.json(request(query=ORDERS[0], tag=tag), snapshot(), dict).status_code == 304
    assert answers.json(request(query=ORDERS[1], tag=tag), snapshot(), dict).status_code == 200


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("a=1&b=2", "b=2&a=1", True),
        ("a=1&b=2&a=3", "b=2&a=1&a=3", True),
        ("a=%41", "a=A", True),
        ("a=1&a=3&b=2", "b=2&a=3&a=1", False),
        ("a=1&b=", "a=1", False),
        ("a=1%00b", "a=1&b", False),
        ("a=b%3D1&c", "a=b&1=c", False),
        ("a=1%26b%3D2", "a=1&b=2", False),
    ],
)
def test_two_queries_share_an_answer_only_if_they_have_the_same_values(
    answers: Answers, one: str, other: str, is_same: bool
) -> None:
    tags = {answers.tag(request(query=query), snapshot()) for query in (one, other)}

    assert (len(tags) == 1) is is_same


def test_what_else_an_answer_depends_on_is_not_mixed_up_with_the_query(answers: Answers) -> None:
    tags = {
        answers.tag(request(query="a=1"), snapshot(), "b", "c"),
        answers.tag(request(query="a=1"), snapshot(), "bc"),
        answers.tag(request(query="a=1"), snapshot(), "b", "", "c"),
        answers.tag(request(query="a=1&b"), snapshot(), "c"),
    }

    assert len(tags) == 4


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
