"""Alert tables in the warehouse: they are replaced, and the order of rows does not matter."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.payments.alert_tables import (
    ALERT_TABLES,
    EVALUATION_TABLES,
    compare,
    write_alerts,
    write_checkout_anomalies,
    write_evaluation,
)
from quintet.payments.checkout import REFERENCES
from quintet.samples.payments import PaymentsWorld, transaction_minutes

WORLD = PaymentsWorld(days=1, incidents_per_day=3, checkout_days=1)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("create schema intermediate; create schema ml")
    connection.execute(
        "create table intermediate.int_payment_hours as select 'UTC' as time_zone, '' as opening_hours, '' as holidays"
    )
    connection.execute(
        "create table intermediate.int_payment_settings as "
        "select '' as dimensions, '1.0' as default_value, '' as series_values, '' as critical_loss"
    )
    yield connection
    connection.close()


def fill(warehouse: duckdb.DuckDBPyConnection, minutes: pd.DataFrame) -> None:
    warehouse.register("minutes", minutes)
    warehouse.execute("create or replace table intermediate.int_payment_minutes as from minutes")


def test_the_order_of_rows_changes_no_point_and_no_incident(warehouse: duckdb.DuckDBPyConnection):
    minutes, _ = transaction_minutes(WORLD, 5)
    fill(warehouse, minutes)
    rows = write_alerts(warehouse)
    tables = {table: warehouse.execute(f"from {table}").df() for table in rows}
    fill(warehouse, minutes.sample(frac=1, random_state=1))
    write_alerts(warehouse)

    assert rows["ml.payment_incidents"] > 0
    for table, frame in tables.items():
        pd.testing.assert_frame_equal(warehouse.execute(f"from {table}").df(), frame)


def test_incidents_of_files_get_their_severity_from_the_loss_that_is_set(warehouse: duckdb.DuckDBPyConnection):
    fill(warehouse, transaction_minutes(WORLD, 5)[0])
    write_alerts(warehouse)
    by_share = warehouse.execute("select incident_id, severity from ml.payment_incidents order by all").fetchall()
    warehouse.execute("update intermediate.int_payment_settings set critical_loss = '1e9', series_values = 'denied 5'")
    write_alerts(warehouse)
    by_loss = warehouse.execute("select incident_id, severity from ml.payment_incidents order by all").fetchall()

    assert [one for one, _ in by_loss] == [one for one, _ in by_share]
    assert "critical" in {severity for _, severity in by_share}
    assert {severity for _, severity in by_loss} == {"warning"}
    assert warehouse.execute("select count(*) from ml.payment_incident_values").fetchall() == [(0,)]


def test_no_approvals_are_missed_outside_the_hours_that_are_set(warehouse: duckdb.DuckDBPyConnection):
    minutes, _ = transaction_minutes(PaymentsWorld(days=1, incidents_per_day=0, benign_per_day=0, checkout_days=1), 5)
    is_closed = minutes["minute_at"].dt.hour >= 20
    fill(warehouse, minutes.assign(count=minutes["count"].where(~is_closed, 0), is_observed=~is_closed))
    before = write_alerts(warehouse)["ml.payment_incidents"]
    warehouse.execute("update intermediate.int_payment_hours set opening_hours = 'mon-sun 00:00-20:00'")

    assert (before, write_alerts(warehouse)["ml.payment_incidents"]) == (1, 0)


def test_a_status_of_a_later_day_changes_nothing_before_it(warehouse: duckdb.DuckDBPyConnection):
    minutes, _ = transaction_minutes(WORLD, 5)
    fill(warehouse, minutes)
    write_alerts(warehouse)
    before = warehouse.execute("from ml.payment_points order by all").df()
    # the calendar has zeros for every status that was ever seen
    chargeback = minutes[minutes["status"] == "failed"].assign(status="chargeback", count=0)
    fill(warehouse, pd.concat([minutes, chargeback]))
    write_alerts(warehouse)

    pd.testing.assert_frame_equal(warehouse.execute("from ml.payment_points order by all").df(), before)


def test_without_minutes_there_are_tables_without_rows(warehouse: duckdb.DuckDBPyConnection):
    minutes, _ = transaction_minutes(WORLD, 5)
    fill(warehouse, minutes.iloc[:0])

    assert write_alerts(warehouse) == dict.fromkeys(ALERT_TABLES, 0)


def test_checkout_hours_are_judged_and_replaced(warehouse: duckdb.DuckDBPyConnection):
    hours = pd.DataFrame({"source_file": "a.csv", "hour": range(24), "today": 20, **dict.fromkeys(REFERENCES, 20.0)})
    hours.loc[9, "today"] = 0
    warehouse.register("hours", hours)
    warehouse.execute("create table intermediate.int_checkout_hours as from hours")
    write_checkout_anomalies(warehouse)

    assert write_checkout_anomalies(warehouse) == {"ml.checkout_anomalies": 24}
    marked = warehouse.execute("select hour from ml.checkout_anomalies where is_anomalous").fetchall()
    assert marked == [(9,)]

    warehouse.execute("update intermediate.int_payment_hours set opening_hours = 'mon-sun 10:00-24:00'")
    write_checkout_anomalies(warehouse)
    assert warehouse.execute("from ml.checkout_anomalies where is_anomalous").fetchall() == []


def test_the_evaluation_has_each_detector_in_each_scope():
    world = PaymentsWorld(days=1, checkout_days=1)
    evaluated = compare(world, seed=3, businesses={"rests": world})["ml.alert_evaluation"]
    assert evaluated.loc[evaluated["scope"] == "rests", "detector"].tolist() == ["gamma_poisson"]
    evaluated = evaluated[evaluated["scope"] != "rests"]
    scopes = [(name, sorted(rows["scope"])) for name, rows in evaluated.groupby("detector")]

    assert {"gamma_poisson", "robust_z", "static_thresholds", "isolation_forest"} <= {name for name, _ in scopes}
    assert all(found == ["all", "statuses", "volume"] for _, found in scopes)


def test_the_evaluation_shipped_with_the_code_is_written(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path):
    rows = write_evaluation(warehouse, tmp_path)
    assert set(rows) == set(EVALUATION_TABLES)
    assert all(rows.values())
