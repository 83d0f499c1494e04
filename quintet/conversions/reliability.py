"""How reliable the matches are, by each way in which that is measured: the model, the placebo and people's verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pandas as pd

from quintet.presentation.wording import counted
from quintet.warehouse.snapshot import records

COLUMNS = ("measured_by", "precision", "low", "high", "recall", "basis")


def reliability(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return what each way of measuring says of the matches of a snapshot, one row each; none before a match.

    Columns: `COLUMNS`. precision: share of matches that are right; low, high: its 95% interval. recall: share of the
    links that are matched. Shares are null where the way does not measure them.
    """
    figures = dict(connection.execute("select figure, value from ml.matching_summary").fetchall())
    if not figures.get("matched"):
        return pd.DataFrame(columns=COLUMNS)
    verdicts = records(connection.execute("from marts.agg_match_verdicts"))
    rows = [
        _of_model(figures),
        *_of_placebo(connection, figures["matched"]),
        _of_verdicts(verdicts[0] if verdicts else None, figures.get("expected_precision")),
    ]
    shares = dict.fromkeys(("precision", "low", "high", "recall"), "float64")
    return pd.DataFrame(rows, columns=COLUMNS).astype(shares)


def _of_model(figures: Mapping[str, float]) -> tuple[Any, ...]:
    basis = "The mean of the probabilities that the model gives its matches."
    return "The model's own estimate", figures["expected_precision"], None, None, figures["expected_recall"], basis


def _of_placebo(connection: duckdb.DuckDBPyConnection, matched: float) -> list[tuple[Any, ...]]:
    ((runs, most),) = connection.execute("select count(*), max(matched) from ml.matching_placebo").fetchall()
    if not runs:
        return []
    basis = (
        f"At least: in the worst of {counted(runs, 'placebo run')}, {most:,} rows matched a conversion at a moved time."
    )
    return [("Placebo", max(0.0, 1 - most / matched), None, None, None, basis)]


def _of_verdicts(row: Mapping[str, Any] | None, expected: float | None) -> tuple[Any, ...]:
    who = "People's verdicts"
    if row is None:
        return (
            who,
            None,
            None,
            None,
            None,
            "Nobody has judged a pair yet. The sample of each week waits among the cases.",
        )
    sampled, reviewed = int(row["sampled_matches_judged"]), int(row["reviewed_pairs_judged"])
    basis = f"{counted(sampled, 'match', 'matches')} of the weekly samples and {counted(reviewed, 'pair')} in review."
    low, high = row["precision_low"], row["precision_high"]
    if expected is not None and pd.notna(low) and not low <= expected <= high:
        basis += " The model's own estimate is outside of this interval: trust the verdicts."
    return who, row["precision"], low, high, row["recall"], basis
