"""Explaining the incidents of files: the merchant of one is named, and one of all merchants names none."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from quintet.payments.backtest import detect_batch
from quintet.payments.batch_values import COLUMNS, incident_values

START = dt.datetime(2024, 1, 1, 12)
MERCHANTS = ("Acme", "BOLT ", "corner", "Dot")


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("create schema intermediate")
    yield connection
    connection.close()


def explained(warehouse: duckdb.DuckDBPyConnection, bad: tuple[str, ...], status: str = "denied") -> pd.DataFrame:
    """Return what explains the incidents of three hours, in whose last minutes some merchants are bad."""
    bad_count = {"denied": 500, "approved": 0}[status]
    rows = []
    for minute in range(180):
        for merchant in MERCHANTS:
            counts = {"approved": 900 if merchant in bad else 20, "denied": 3}
            if minute >= 174 and merchant in bad:
                counts[status] = bad_count
            labels = json.dumps({"merchant": merchant})
            rows += [(START.date(), 720 + minute, each, labels, count) for each, count in counts.items()]
    frame = pd.DataFrame(rows, columns=["day", "minute_of_day", "status", "labels", "transaction_count"])
    warehouse.register("counts", frame)
    warehouse.execute(
        "create table intermediate.int_transactions_current as select * replace (day::date as day) from counts"
    )
    minutes = warehouse.execute(
        "select day::timestamp + to_minutes(minute_of_day) as minute_at, status, "
        "sum(transaction_count)::bigint as count, true as is_observed "
        "from intermediate.int_transactions_current group by all"
    ).df()
    points, incidents = detect_batch(minutes)
    assert len(incidents)
    return incident_values(warehouse, ("merchant",), points, incidents)


@pytest.mark.parametrize("status", ["denied", "approved"])
def test_an_incident_names_its_merchant(warehouse: duckdb.DuckDBPyConnection, status: str) -> None:
    found = explained(warehouse, ("BOLT ",), status)

    assert set(found[["place", "dimension", "value"]].itertuples(index=False, name=None)) == {(0, "merchant", "bolt")}
    assert found["share"].max() == pytest.approx(1, abs=0.1)


def test_an_incident_of_all_merchants_names_none(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = explained(warehouse, MERCHANTS)

    assert found.empty
    assert tuple(found.columns) == COLUMNS


def test_without_dimensions_nothing_is_read(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = incident_values(warehouse, (), pd.DataFrame(), pd.DataFrame())

    assert found.empty
    assert found["share"].dtype == "float64"
