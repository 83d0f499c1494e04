"""Write points, incidents, checkout hours and the detector's evaluation to the warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pandas as pd

from quintet.evaluations import Evaluation, evaluated
from quintet.payments.backtest import detect_batch
from quintet.payments.batch_values import incident_values
from quintet.payments.checkout import checkout_anomalies
from quintet.payments.dimensions import parse_dimensions
from quintet.payments.evaluation import OWN, comparators, evaluate, gamma_poisson
from quintet.payments.losses import Losses
from quintet.payments.opening_hours import OpeningHours, opening_hours
from quintet.payments.point_rules import GRAMMAR
from quintet.payments.settings import parse_values
from quintet.rules.recorded import recorded_evaluator
from quintet.samples.payments import WORLDS, PaymentsWorld, transaction_minutes
from quintet.warehouse.database import transaction

ALERT_TABLES = ("ml.payment_points", "ml.payment_incidents", "ml.payment_incident_values")
CHECKOUT_TABLE = "ml.checkout_anomalies"
EVALUATION_TABLES = ("ml.alert_evaluation", "ml.alert_evaluation_incidents")

EVALUATION_WORLD = PaymentsWorld(days=10, incidents_per_day=2.5, holidays=1, quiet_nights=1, checkout_days=1)
"""The generated days on which a run compares the detector with others; `make bench` uses longer ones."""

EVALUATION_SEED = 20_240


def write_alerts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Detect over all minutes of the calendar and replace `ALERT_TABLES`; return their rows.

    The detector reads the minutes in time order from the first one, so the order in which files arrived does not
    matter. connection: to the warehouse.
    """
    minutes = connection.execute(
        "select minute_at, status, count, is_observed from intermediate.int_payment_minutes order by minute_at, status"
    ).df()
    [(names, value, values, critical)] = connection.execute(
        "select dimensions, default_value, series_values, critical_loss from intermediate.int_payment_settings"
    ).fetchall()
    losses = Losses(float(value), parse_values(values), {}, float(critical) if critical else None)
    points, incidents = detect_batch(
        minutes,
        hours=_hours(connection),
        point_rules=recorded_evaluator(connection, GRAMMAR),
        severity_of=losses.severity,
    )
    explained = incident_values(connection, parse_dimensions(names), points, incidents)
    return _replace(connection, dict(zip(ALERT_TABLES, (points, incidents, explained), strict=True)))


def _hours(connection: duckdb.DuckDBPyConnection) -> OpeningHours:
    [(zone, weekly, holidays)] = connection.execute(
        "select time_zone, opening_hours, holidays from intermediate.int_payment_hours"
    ).fetchall()
    return opening_hours(zone, weekly, holidays)


def write_checkout_anomalies(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Compare all checkout hours and replace `CHECKOUT_TABLE`; return its rows."""
    hours = connection.execute("from intermediate.int_checkout_hours order by source_file, hour").df()
    return _replace(connection, {CHECKOUT_TABLE: checkout_anomalies(hours, _hours(connection))})


def write_evaluation(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Compare the detector with others on generated days and replace `EVALUATION_TABLES`; return their rows.

    folder: cache of evaluations made by modified code.
    """
    return _replace(connection, evaluated(EVALUATION, folder))


def compare(
    world: PaymentsWorld = EVALUATION_WORLD,
    seed: int = EVALUATION_SEED,
    businesses: Mapping[str, PaymentsWorld] = WORLDS,
) -> dict[str, pd.DataFrame]:
    """Compare the detector with others on generated days; return the frames of `EVALUATION_TABLES`.

    businesses: worlds of other kinds, by name; the detector alone is evaluated on each, with its name as the scope.
    """
    summary, detail = evaluate({f"seed {seed}": transaction_minutes(world, seed)}, comparators())
    summaries, details = [summary], [detail]
    for name, business in businesses.items():
        of_business, events = evaluate({name: transaction_minutes(business, seed)}, {OWN: gamma_poisson})
        summaries.append(of_business[of_business["scope"] == "all"].assign(scope=name))
        details.append(events)
    found = pd.concat(summaries, ignore_index=True), pd.concat(details, ignore_index=True)
    return dict(zip(EVALUATION_TABLES, found, strict=True))


EVALUATION = Evaluation("alert_evaluation", ["quintet.payments.evaluation", "quintet.samples.payments"], compare)
"""The detector compared with the usual methods, on days with known incidents."""


def _replace(connection: duckdb.DuckDBPyConnection, frames: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Replace all of the tables or none."""
    with transaction(connection):
        for table, frame in frames.items():
            connection.register("result_frame", frame)
            connection.execute(f"create or replace table {table} as select * from result_frame")
            connection.unregister("result_frame")
    return {table: len(frame) for table, frame in frames.items()}
