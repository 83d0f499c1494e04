"""Builds as people see them: progress that a run reports, and the next build of the schedule."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from quintet.builds import Reporter, last_published, next_daily, progress_of

NOON = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def test_the_progress_of_a_run_is_what_it_reported_last(tmp_path: Path) -> None:
    moments = iter([NOON, NOON, NOON, NOON + dt.timedelta(seconds=5), NOON + dt.timedelta(seconds=9)])
    reporter = Reporter(tmp_path, 3, lambda: next(moments))
    reporter.begin("raw loans")
    reporter.end()
    found = progress_of(tmp_path)
    assert found is not None
    assert (found.began_at, found.reported_at) == (NOON, NOON + dt.timedelta(seconds=5))
    assert (found.doing, found.done, found.total) == ("raw loans", 1, 3)

    reporter.close()
    assert progress_of(tmp_path) is None


def test_more_tables_than_planned_are_not_more_than_all(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path, 1, lambda: NOON)
    reporter.end()
    reporter.end()
    found = progress_of(tmp_path)
    assert found is not None
    assert (found.done, found.total) == (1, 1)


def test_a_file_that_is_no_progress_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"began_at": 1}'):
        (tmp_path / "build.json").write_text(text, "utf-8")
        assert progress_of(tmp_path) is None


def test_the_next_daily_build_is_ahead() -> None:
    assert next_daily(NOON) == dt.datetime(2026, 12, 1, 4, tzinfo=dt.UTC)
    assert next_daily(NOON.replace(hour=3)) == dt.datetime(2026, 11, 30, 4, tzinfo=dt.UTC)
    assert next_daily(NOON.replace(hour=4, minute=0)) > NOON.replace(hour=4)


def test_snapshots_are_listed_the_last_one_first(tmp_path: Path) -> None:
    for name in ("20261129T040000-a.duckdb", "20261130T040000-b.duckdb", "current.duckdb", "xT-y.duckdb"):
        (tmp_path / name).touch()
    assert [at.day for at in last_published(tmp_path)] == [30, 29]
