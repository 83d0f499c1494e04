"""Checks of the tables of lending after a build."""

from __future__ import annotations

import duckdb

from quintet.ingest.checks import CheckOutcome
from quintet.lending.performance import in_words
from quintet.ml.statistics import SHIFTED


def promotion_gate(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that there is an active model where there are ended loans, and return why it is the active one."""
    row = connection.execute("select model_version, why from ml.lending_model_training").fetchone()
    version, why = row or (None, "no model was trained yet")
    ((ended,),) = connection.execute("select count(*) from ml.lending_training_set where not is_open").fetchall()
    if version is None:
        return CheckOutcome(not ended, f"no scoring model is active: {why}", {"ended loans": ended})
    return CheckOutcome(True, f"{version} is active: {why}", {"active model": str(version), "ended loans": ended})


def input_drift(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that no input of the scoring model has shifted between earlier and later applications."""
    rows = connection.execute("select input, psi from ml.lending_model_stability order by psi desc").fetchall()
    shifted = [f"{name} ({psi:.2f})" for name, psi in rows if psi is not None and psi >= SHIFTED]
    words = f"shifted: {', '.join(shifted)}; retrain the model" if shifted else f"no stability index reaches {SHIFTED}"
    return CheckOutcome(not shifted, words, {name: f"{psi:.4f}" for name, psi in rows if psi is not None})


def model_performance(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that in no month the scoring model is estimated or found to be worse than before, beyond sampling noise."""
    rows = connection.execute("from ml.lending_model_performance order by month, measure").df()
    alarms = rows[rows["alarm"].notna()]
    months = {"months": rows, "months with an alarm": alarms}
    figures: dict[str, int | str] = {name: part["month"].nunique() for name, part in months.items()}
    latest = rows.groupby("measure").tail(1).to_dict("records")
    figures |= {f"{row['measure']} of the latest month, estimated": f"{row['estimated']:.4f}" for row in latest}
    return CheckOutcome(alarms.empty, in_words(rows), figures)
