"""The figures of the model card and the what-if: each has a chart and its main number, and works without a model."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

from quintet.lending import model_charts as charts
from quintet.lending.models import Promotion
from quintet.lending.what_if import compare, decide_by_cut_off
from quintet.presentation.design import Figure

Run = tuple[duckdb.DuckDBPyConnection, Promotion]
Draw = Callable[[pd.DataFrame], Figure]

FIGURES: dict[str, Draw] = {
    "ml.lending_model_figures": charts.model_figures,
    "ml.lending_model_calibration": lambda bins: charts.calibration(bins, "scorecard"),
    "ml.lending_model_points": charts.points,
    "ml.lending_model_distribution": charts.distribution,
    "ml.lending_model_fairness": charts.fairness,
    "ml.lending_model_stability": charts.stability,
    "ml.lending_what_if": lambda table: charts.cut_offs(table, 0.25),
}


@pytest.mark.parametrize("table", FIGURES)
def test_a_figure_draws_its_rows_and_has_a_number_in_words(run: Run, table: str) -> None:
    figure = FIGURES[table](run[0].execute(f"from {table}").df())
    assert figure.spec()
    assert any(letter.isdigit() for letter in figure.alternative)
    assert {column.name for column in figure.columns} <= set(figure.table.columns)


@pytest.mark.parametrize("table", FIGURES)
def test_without_rows_a_figure_says_what_to_do(run: Run, table: str) -> None:
    figure = FIGURES[table](run[0].execute(f"from {table} limit 0").df())
    assert figure.chart is None
    assert "make run SELECT=lending" in figure.note


def test_the_bins_of_an_input_have_their_edges(run: Run) -> None:
    figure = charts.points(run[0].execute("from ml.lending_model_points").df())
    amount = figure.table[figure.table["input"] == "amount"]["span"].tolist()
    assert amount[0].startswith("below ")
    assert amount[-2].startswith("from ")
    assert amount[-1] == "null"
    assert all(" to " in span for span in amount[1:-2])


def test_swaps_are_drawn_with_their_outcomes(run: Run) -> None:
    scored = run[0].execute("from ml.lending_scores").df()
    after = decide_by_cut_off(scored, 0.35, 0.4)
    figure = charts.swaps(compare(scored, scored["decision"].to_numpy(), after).swaps)
    assert figure.spec()
    assert figure.alternative.startswith("New approvals: ")


def test_swaps_without_a_known_outcome_say_so(run: Run) -> None:
    scored = run[0].execute("from ml.lending_scores where outcome is null").df()
    decided = scored["decision"].to_numpy()
    figure = charts.swaps(compare(scored, decided, decided).swaps)
    assert figure.chart is None
    assert "None of these applications has a known outcome" in figure.note
