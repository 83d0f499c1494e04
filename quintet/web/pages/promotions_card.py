"""The model card of the promotions page: the active model, what it catches, and how it was trained."""

from __future__ import annotations

import duckdb

from quintet.presentation.design import Column, format_value
from quintet.web.contexts import ModelCard
from quintet.web.rendering import Table

_GROUP_COLUMNS = (
    Column("sharing", "Sign-ups from an"),
    Column("accounts", "Accounts", "count"),
    Column("labelled_honest", "Labelled honest", "count"),
    Column("honest_blocked", "Of these blocked", "count"),
    Column("share", "Share", "percent"),
    Column("labelled_abusers", "Labelled abusers", "count"),
    Column("abusers_blocked", "Of these blocked", "count"),
)
_TRAINING_COLUMNS = (
    Column("at", "Trained at (UTC)"),
    Column("model_version", "Active afterwards"),
    Column("labelled_abusers", "Abusers labelled", "count"),
    Column("labelled_honest", "Honest labelled", "count"),
    Column("shared_key_share", "Share a key", "percent"),
    Column("labels_of_people", "Labels from verdicts", "count"),
    Column("decisions_changed", "Decisions changed", "count"),
    Column("score_psi", "Drift (PSI)", "decimal"),
    Column("why", "Why"),
)
_RING_COLUMNS = (
    Column("grouped_by", "Rings by"),
    Column("rings", "Rings"),
    Column("accounts", "Accounts", "count"),
    Column("flagged", "Flagged", "percent"),
    Column("blocked", "Blocked", "percent"),
    Column("card_flagged", "Flagged by the scorecard", "percent"),
    Column("card_blocked", "Blocked by the scorecard", "percent"),
)
_WORLD_COLUMNS = (
    Column("world", "World"),
    Column("users", "Users", "count"),
    Column("abusers", "Abusers", "count"),
    Column("average_precision", "Average precision", "percent"),
    Column("flagged", "Abusers flagged", "percent"),
    Column("blocked", "Abusers blocked", "percent"),
    Column("precision_of_block", "Precision of block", "percent"),
    Column("honest_blocked", "Honest blocked", "percent"),
)
_WORLD_RING_COLUMNS = (
    Column("world", "World"),
    Column("ring_size", "Size"),
    Column("ring_days", "Opened within"),
    Column("accounts", "Accounts", "count"),
    Column("flagged", "Flagged", "percent"),
    Column("blocked", "Blocked", "percent"),
)
_RINGS = """
    select active.* exclude (scores_of), card.flagged as card_flagged, card.blocked as card_blocked
    from ml.abuse_model_rings as active join ml.abuse_model_rings as card using (grouped_by, rings)
    where active.scores_of = 'active' and card.scores_of = 'scorecard'
    order by active.rowid
"""


def model_card(cursor: duckdb.DuckDBPyConnection) -> ModelCard:
    """Return the active model: its facts and the tables of its card."""
    ((version, kind, sha256, trained_at, review_from, block_from),) = cursor.execute(
        "select model_version, kind, sha256, trained_at, review_from, block_from from ml.abuse_model"
    ).fetchall()
    groups = cursor.execute("from ml.abuse_model_groups order by sharing").df()
    rings = cursor.execute(_RINGS).df()
    worlds = cursor.execute("from ml.abuse_worlds order by average_precision").df()
    world_rings = cursor.execute("from ml.abuse_world_rings").df()
    worst = worlds.iloc[0]
    trainings = cursor.execute("from ml.abuse_trainings order by trained_at desc").df()
    honest = groups["labelled_honest"]
    return {
        "facts": {
            "Model": version,
            "Kind": "Scorecard, set by hand" if kind == "scorecard" else "Logistic regression, trained on labels",
            "Hash": sha256,
            "Trained": f"{trained_at:%Y-%m-%d %H:%M} UTC",
            "Review from": format_value(review_from, "decimal"),
            "Block from": format_value(block_from, "decimal"),
            "Worst generated world": f"{worst['world']}: average precision {worst['average_precision']:.2f}",
        },
        "rings": Table(rings, _RING_COLUMNS, "Injected rings that are caught", len(rings)),
        "worlds": Table(
            worlds, _WORLD_COLUMNS, "Generated worlds, scored by the scorecard without labels", len(worlds)
        ),
        "world_rings": Table(
            world_rings, _WORLD_RING_COLUMNS, "Rings of these worlds by size and speed", len(world_rings)
        ),
        "groups": Table(
            groups.assign(share=(groups["honest_blocked"] / honest.where(honest > 0))),
            _GROUP_COLUMNS,
            "Honest people who share an address",
            len(groups),
        ),
        "trainings": Table(
            trainings.assign(at=[f"{at:%Y-%m-%d %H:%M}" for at in trainings["trained_at"]]),
            _TRAINING_COLUMNS,
            "Trainings",
            len(trainings),
        ),
    }
