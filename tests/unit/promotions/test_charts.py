"""The promotions figures: each has a sentence with its main number and a table, and accepts empty data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from quintet.presentation.design import Figure
from quintet.promotions import charts
from quintet.promotions.overview import Ranking


def timeline(*counts: tuple[str, int, int]) -> pd.DataFrame:
    rows = pd.DataFrame(list(counts), columns=["start", "registrations", "usages"])
    return rows.assign(start=pd.to_datetime(rows["start"]))


def ranking(tied: int, total: int, *uses: int) -> Ranking:
    rows = [{"user_id": f"u{number}", "uses": count, "codes": 1, "score": 0.1} for number, count in enumerate(uses)]
    return Ranking(
        pd.DataFrame(rows, columns=["user_id", "uses", "codes", "score"]).assign(decision="allow"), tied, total
    )


def bins(*accounts: int) -> pd.DataFrame:
    low = np.arange(len(accounts)) / len(accounts)
    rows = pd.DataFrame({"low": low, "high": low + 1 / len(accounts), "accounts": accounts})
    return rows.assign(abusers=0, honest=0, unlabelled=rows["accounts"])


def thresholds() -> pd.DataFrame:
    rows = [{"threshold": 0.5, "flagged": 4, "abusers": 3, "precision": 0.75, "recall": 0.6}]
    return pd.DataFrame([*rows, {"threshold": 0.9, "flagged": 0, "abusers": 0, "precision": np.nan, "recall": 0.0}])


def members(count: int) -> pd.DataFrame:
    rows = [
        {"user_id": f"u{number:03}", "score": 0.95, "decision": "block", "is_abuser": None} for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["user_id", "score", "decision", "is_abuser"])


def keys(count: int) -> pd.DataFrame:
    rows = [{"user_id": f"u{number:03}", "kind": "device", "key": "d", "sharers": count} for number in range(count)]
    return pd.DataFrame(rows, columns=["user_id", "kind", "key", "sharers"])


FIGURE_ROWS = pd.DataFrame(
    [{"scores_of": "active", "measure": "average_precision", "value": 0.9, "low": 0.8, "high": 1.0, "n": 5}]
)
WEIGHTS = pd.DataFrame({"evidence": ["ip_shared", "burst"], "log_odds": [0.5, -2.0]})
FULL = {
    "time": lambda: charts.registrations_and_usages(timeline(("2026-01-01", 3, 0), ("2026-01-02", 0, 5)), "day"),
    "users": lambda: charts.top_users(ranking(1, 9, 7, 5)),
    "histogram": lambda: charts.score_histogram(bins(90, 0, 10), 0.5),
    "thresholds": lambda: charts.precision_and_recall(thresholds(), 0.5),
    "figures": lambda: charts.model_figures(FIGURE_ROWS),
    "weights": lambda: charts.model_weights(WEIGHTS),
    "cluster": lambda: charts.cluster_graph(members(3), keys(3)),
}
EMPTY = {
    "time": lambda: charts.registrations_and_usages(timeline(), "day"),
    "users": lambda: charts.top_users(ranking(0, 0)),
    "histogram": lambda: charts.score_histogram(bins(0, 0), 0.5),
    "thresholds": lambda: charts.precision_and_recall(thresholds().head(0), 0.5),
    "figures": lambda: charts.model_figures(FIGURE_ROWS.head(0)),
    "weights": lambda: charts.model_weights(WEIGHTS.head(0)),
    "cluster": lambda: charts.cluster_graph(members(0), keys(0)),
}


@pytest.mark.parametrize("which", FULL)
def test_a_figure_has_a_drawing_that_fits_into_json_a_table_and_words(which: str):
    figure: Figure = FULL[which]()

    json.dumps(figure.spec(), allow_nan=False)
    assert len(figure.table) > 0
    assert {column.name for column in figure.columns} <= set(figure.table.columns)
    assert any(character.isdigit() for character in figure.alternative)


@pytest.mark.parametrize("which", EMPTY)
def test_an_empty_figure_says_what_to_do(which: str):
    figure: Figure = EMPTY[which]()

    assert figure.chart is None
    assert figure.note


def test_the_words_name_the_sums_and_the_peak():
    alternative = FULL["time"]().alternative

    assert "3 registrations and 5 uses" in alternative
    assert "2026-01-02: 5" in alternative


@pytest.mark.parametrize(
    ("tied", "total", "words"),
    [(9, 9, "This is not a ranking: all 9 users"), (5, 9, "5 users tie at 1; 3 of them are not shown"), (2, 9, "")],
)
def test_a_tie_is_noted(tied: int, total: int, words: str):
    note = charts.top_users(ranking(tied, total, 1, 1)).note

    assert words in note
    assert bool(note) is bool(words)


@pytest.mark.parametrize(
    ("threshold", "words"), [(0.4, "precision 75.0%, recall 60.0%"), (0.99, "none is flagged, recall 0.0%")]
)
def test_a_threshold_is_described(threshold: float, words: str):
    assert words in charts.at_threshold(thresholds(), threshold)


def test_both_charts_of_scores_have_the_threshold_as_a_parameter():
    for which in ("histogram", "thresholds"):
        parameters: list[dict[str, Any]] = FULL[which]().spec()["params"]
        assert {"name": "threshold", "value": 0.5} in parameters


def test_a_large_cluster_is_drawn_in_part_and_says_so():
    figure = charts.cluster_graph(members(60), keys(60))

    assert "20 more are in the table" in figure.note
    assert len(figure.table) == 60
