"""Checks of the tables of promotions after a build."""

from __future__ import annotations

import duckdb

from quintet.ingest.checks import CheckOutcome
from quintet.ingest.conservation import Path, rows_are_kept
from quintet.ml.statistics import SHIFTED
from quintet.promotions.injected_rings import TOLERANCE

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


def rings_caught(connection: duckdb.DuckDBPyConnection) -> CheckOutcome:
    """Check that the active model catches as much of the injected rings as the scorecard."""
    rows = connection.execute("""
        select active.grouped_by, active.rings, active.flagged, card.flagged
        from ml.abuse_model_rings as active join ml.abuse_model_rings as card using (grouped_by, rings)
        where active.scores_of = 'active' and card.scores_of = 'scorecard'
        order by active.flagged - card.flagged, active.grouped_by, active.rings
    """).fetchall()
    if not rows:
        return CheckOutcome(True, "there are no accounts to inject rings into", {})
    grouped_by, rings, active, card = rows[0]
    least = min(flagged for _, _, flagged, _ in rows)
    return CheckOutcome(
        active >= card - TOLERANCE,
        f"of injected rings by {grouped_by} ({rings}) the active model flags {active:.0%}, the scorecard {card:.0%}",
        {"least flagged of a group": f"{least:.1%}"},
    )


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
