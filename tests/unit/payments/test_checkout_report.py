"""The checkout report: a sentence for each anomalous hour, computed from the data, with reproducible bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.payments.checkout import REFERENCES, checkout_anomalies
from quintet.payments.checkout_report import FILE, checkout_report, write_checkout_report
from quintet.presentation.blocks import Code, Points, Report
from tests.evidence import checked

SQL = "select 1 -- of the model"
MODEL = Path(__file__).parents[3] / "dbt_project" / "models" / "marts" / "payments" / "fct_checkout_comparison.sql"


@pytest.fixture
def snapshot() -> Iterator[duckdb.DuckDBPyConnection]:
    """A snapshot of two days with twenty sales an hour, except none at 9h of the second day."""
    connection = duckdb.connect(config={"threads": 1})
    days = [
        pd.DataFrame(
            {"source_file": f"c_{number}.csv", "hour": range(24), "today": 20, **dict.fromkeys(REFERENCES, 20.0)}
        )
        for number in (1, 2)
    ]
    days[1].loc[9, "today"] = 0
    hours = pd.concat(days)
    connection.execute("create schema marts")
    connection.execute(
        "create table marts.snapshot as select 's1' as snapshot_id, timestamp '2024-01-02' as published_at"
    )
    connection.register("hours", hours)
    connection.register("judged", checkout_anomalies(hours))
    connection.execute("create table marts.fct_checkout_comparison as from hours")
    connection.execute("create table marts.fct_checkout_anomalies as from judged")
    connection.execute(
        "create table marts.fct_checkout_hours as "
        "select source_file, null::date as file_date, source_file[3]::bigint as file_number from hours"
    )
    yield connection
    connection.close()


def points(report: Report) -> list[tuple[str, str]]:
    return [
        point
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Points)
        for point in block.points
    ]


def test_an_hour_that_stands_out_is_the_title_and_is_explained_by_every_reference(
    snapshot: duckdb.DuckDBPyConnection,
) -> None:
    report = checkout_report(snapshot, SQL)

    assert report.title == "1 checkout hour of 2 days is anomalous; about 20 sales are missing"
    [(lead, explanation)] = points(report)
    assert lead == "09h, anomalous:"
    assert explanation == (
        "0 sales. The references: yesterday 20.0, the same day last week 20.0, the mean of last week 20.0, "
        "the mean of last month 20.0."
    )
    assert [section.title for section in report.sections] == [
        "Day 1: no hour is anomalous",
        "Day 2: anomalous from 09:00 to 10:00",
    ]


def test_hours_beside_an_outage_that_lost_a_part_belong_to_it(snapshot: duckdb.DuckDBPyConnection) -> None:
    snapshot.execute("update marts.fct_checkout_comparison set today = 8 where source_file = 'c_2.csv' and hour = 8")
    snapshot.execute("update marts.fct_checkout_anomalies set observed = 8 where source_file = 'c_2.csv' and hour = 8")
    [finding] = checkout_report(snapshot, SQL).findings

    assert finding.size == "32 sales lost"
    assert "The hour of 08:00 beside it lost a part of the sales." in finding.text


def test_the_queries_of_the_findings_return_their_numbers(snapshot: duckdb.DuckDBPyConnection) -> None:
    assert checked(snapshot, checkout_report(snapshot, SQL)) == 1


def test_the_printed_query_runs_and_returns_the_comparison(snapshot: duckdb.DuckDBPyConnection) -> None:
    snapshot.execute(
        "create or replace table marts.fct_checkout_hours as "
        "select * exclude (source_file), source_file, null::date as file_date, 1 as file_number from hours"
    )
    [code] = [
        block
        for block in checkout_report(snapshot, MODEL.read_text("utf-8")).appendix[-1].blocks
        if isinstance(block, Code)
    ]
    rows = snapshot.execute(code.text).df()

    assert len(rows) == 48
    assert rows.loc[rows["hour"] == 9, "usual_sales"].tolist() == [20.0, 20.0]


def test_usual_days_have_no_anomalous_hour(snapshot: duckdb.DuckDBPyConnection) -> None:
    snapshot.execute("update marts.fct_checkout_anomalies set is_anomalous = false, reason = null")
    report = checkout_report(snapshot, SQL)

    assert report.title == "No checkout hour of 2 days is anomalous"
    assert points(report) == []


def test_the_report_has_the_sql_of_the_comparison(snapshot: duckdb.DuckDBPyConnection) -> None:
    (code,) = [block for block in checkout_report(snapshot, SQL).appendix[-1].blocks if isinstance(block, Code)]

    assert code.text == SQL


def test_the_same_snapshot_gives_the_same_bytes(snapshot: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first, second = (write_checkout_report(snapshot, tmp_path / name, SQL) for name in ("a", "b"))

    assert first.name == FILE
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"%PDF-")


def test_without_a_day_it_says_how_to_get_one(snapshot: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for table in ("fct_checkout_comparison", "fct_checkout_anomalies", "fct_checkout_hours"):
        snapshot.execute(f"delete from marts.{table}")

    assert checkout_report(snapshot, SQL).title == "No checkout day has arrived yet"
    assert write_checkout_report(snapshot, tmp_path, SQL).exists()
