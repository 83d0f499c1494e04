"""The handler of the readers: which rows count, and what it reports."""

from __future__ import annotations

from typing import Any

import pytest

from bench.field_stream import catch_up_rate
from bench.field_tally import Tally

FIRST, LAST, END = 100, 103, 104


def told(*batches: list[tuple[str, int]]) -> list[Any]:
    """Return what a tally answers to batches of rows, each by table and id."""
    answers: list[Any] = []
    tally = Tally(FIRST, LAST, END, answers.append)
    for batch in batches:
        tally.take([(table, {"id": number}) for table, number in batch])
    return answers


def test_the_backlog_is_reported_once_it_is_read_and_the_end_after_it() -> None:
    read, ended = told(
        [("payment", 100), ("payment", 101)], [("payment", 102), ("payment", 103)], [("loan", 7)], [("payment", END)]
    )
    assert (read["rows"], read["sum"], read["after_first"]) == (4, 406, 2)
    assert read["seconds"] >= 0
    assert [number for number, _ in ended["seen"]] == [7]
    assert ended["mb"] > 1


def test_a_backlog_with_a_row_missing_is_never_reported_as_read() -> None:
    assert [list(one) for one in told([("payment", 100), ("payment", 101), ("payment", 103)])] == []
    (ended,) = told([("payment", 100), ("payment", 103)], [("payment", END)])
    assert "rows" not in ended


def test_a_row_handled_twice_shows_in_the_sum() -> None:
    (read,) = told([("payment", 100), ("payment", 100), ("payment", 101), ("payment", 102)])
    assert (read["rows"], read["sum"]) == (4, 403)


def test_a_row_handled_twice_at_the_end_does_not_hide_that_the_backlog_is_read() -> None:
    (read,) = told([("payment", 100), ("payment", 101), ("payment", 102)], [("payment", 103), ("payment", 103)])
    assert (read["rows"], read["sum"]) == (5, 509)
    assert len(told([("payment", n) for n in range(100, 104)], [("payment", 103)])) == 1


@pytest.mark.parametrize(("after_first", "rate"), [(2, 20.0), (0, 2.0)])
def test_a_backlog_in_a_single_batch_has_a_rate_too(after_first: int, rate: float) -> None:
    caught = {"rows": 4, "first_at": 102.0, "after_first": after_first, "seconds": 0.1 if after_first else 0.0}
    assert catch_up_rate(caught, began=100.0) == rate


def test_rows_of_other_rounds_do_not_count() -> None:
    assert told([("payment", 1), ("payment", 99), ("payment", 105)]) == []
