"""The history of reports."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from quintet.insurance.report_runs import ReportRun, last_report_runs, record_report_run
from quintet.state.store import StateStore

RUN = ReportRun(
    report="premium",
    written_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    written_by="Ana",
    parameters={"year_from": 2010, "state": ["OH"]},
    format="xlsx",
    rows=83,
    total_written_premium=Decimal("168988558.48"),
    snapshot="20260101T040000-1a2b3c4d",
    key_id="0a1b2c3d",
)


def test_a_run_is_read_back_as_it_was(store: StateStore) -> None:
    record_report_run(store, RUN)

    assert last_report_runs(store, 10) == [replace(RUN, run_id=1)]


def test_the_latest_runs_come_first(store: StateStore) -> None:
    for rows in range(5):
        record_report_run(store, replace(RUN, rows=rows))

    assert [run.rows for run in last_report_runs(store, 3)] == [4, 3, 2]


def test_the_runs_of_one_key_are_its_own_even_if_another_has_its_name(store: StateStore) -> None:
    record_report_run(store, RUN)
    record_report_run(store, replace(RUN, key_id="other"))

    assert last_report_runs(store, 10, "0a1b2c3d") == [replace(RUN, run_id=1)]
    assert last_report_runs(store, 10, "") == []
