"""Checks of the tables of conversions after a build."""

from __future__ import annotations

import duckdb

from quintet.conversions.fit import MOST_FALSE_MATCHES
from quintet.ingest.checks import CheckOutcome
from quintet.ingest.conservation import Path, rows_are_kept

_PATHS = (
    Path("conversions", "staging.stg_conversions", "intermediate.int_conversions_current", "marts.fct_conversions"),
    Path("broker_rows", "staging.stg_broker_rows", "intermediate.int_broker_rows_current", "marts.fct_broker_rows"),
    Path("page_categories", "staging.stg_page_categories", "intermediate.int_page_categories_current"),
)

_LEAST_SHARE_OF_EXPECTED = 0.8
"""Fewer of the links that a model expects are matched only where the data has changed since its training."""


def rows_kept(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that no row of the files is lost."""
    return rows_are_kept(connection, _PATHS)


def placebo_rate(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that matching conversions which are moved by hours, so that all matches are false, finds almost none."""
    worst, hours, rows = connection.execute(
        "select max(false_match_rate), arg_max(hours, false_match_rate), sum(broker_rows) from ml.matching_placebo"
    ).fetchone() or (None, None, None)
    if worst is None or not rows:
        return CheckOutcome(True, "there are no broker rows to match", {"broker rows": 0})
    passed = worst <= MOST_FALSE_MATCHES
    advice = "" if passed else ". Train again: `quintet run --train conversions`"
    return CheckOutcome(
        passed,
        f"at most {worst:.2%} of the broker rows match falsely (moved by {hours} h); the limit is "
        f"{MOST_FALSE_MATCHES:.2%}{advice}",
        {"false match rate": f"{worst:.5f}", "hours": int(hours), "broker rows": int(rows)},
    )


def model_drift(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that as many broker rows match as the model expected when it was trained."""
    figures = dict(connection.execute("select figure, value from ml.matching_summary").fetchall())
    matched, expected = figures.get("matched"), figures.get("expected_links")
    if not expected:
        return CheckOutcome(True, "there is no expectation of the model", {"matched": int(matched or 0)})
    share = float(matched or 0) / expected
    return CheckOutcome(
        share >= _LEAST_SHARE_OF_EXPECTED,
        f"{share:.1%} of the links that the model expects are matched; below {_LEAST_SHARE_OF_EXPECTED:.0%} is drift",
        {"matched": int(matched or 0), "expected links": round(expected)},
    )
