"""Checks of the tables of promotions after a build."""

from __future__ import annotations

import duckdb

from quintet.ingest.checks import CheckOutcome
from quintet.ingest.conservation import Path, rows_are_kept
from quintet.ml.statistics import SHIFTED

_PATHS = (
    Path("promo_users", "staging.stg_promo_users", "intermediate.int_promo_users_current", "marts.fct_promo_users"),
    Path("promo_usages", "staging.stg_promo_usages", "intermediate.int_promo_usages_current", "marts.fct_promo_usages"),
    Path("promo_codes", "staging.stg_promo_codes", "intermediate.int_promo_codes_current"),
)


def rows_kept(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that no row of the files is lost."""
    return rows_are_kept(connection, _PATHS)


def promotion_gate(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that the last trained model was activated."""
    row = connection.execute(
        "select is_promoted, why, model_version from ml.abuse_trainings order by trained_at desc limit 1"
    ).fetchone()
    if row is None:
        return CheckOutcome(True, "no model was trained yet", {})
    is_promoted, why, active = row
    words = "activated" if is_promoted else f"refused, and {active} stays active"
    return CheckOutcome(bool(is_promoted), f"the last trained model was {words}: {why}", {"active model": str(active)})


def score_drift(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that the scores have not shifted against those of the model before."""
    row = connection.execute(
        "select score_psi from ml.abuse_trainings where score_psi is not null order by trained_at desc limit 1"
    ).fetchone()
    if row is None:
        return CheckOutcome(True, "there is no model before this one to compare with", {})
    return CheckOutcome(
        row[0] < SHIFTED,
        f"stability index of the scores {row[0]:.3f}; from {SHIFTED} on they have shifted",
        {"score PSI": f"{row[0]:.4f}"},
    )
