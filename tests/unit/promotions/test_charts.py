"""The promotions figures: each has a sentence with its main number and a table, and accepts empty data."""

from __future__ import annotations

import json

import pytest

from quintet.presentation.design import Figure
from quintet.promotions import charts, cluster_charts, model_charts
from tests.unit.promotions.chart_frames import (
    FIGURE_ROWS,
    FULL,
    WEIGHTS,
    bins,
    keys,
    members,
    ranking,
    thresholds,
    timeline,
)

EMPTY = {
    "time": lambda: charts.registrations_and_usages(timeline(), "day"),
    "users": lambda: charts.top_users(ranking(0, 0)),
    "histogram": lambda: model_charts.score_histogram(bins(0, 0), 0.5),
    "thresholds": lambda: model_charts.precision_and_recall(thresholds().head(0), 0.5),
    "figures": lambda: model_charts.model_figures(FIGURE_ROWS.head(0)),
    "weights": lambda: model_charts.model_weights(WEIGHTS.head(0)),
    "cluster": lambda: cluster_charts.cluster_graph(members(0), keys(0)),
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
