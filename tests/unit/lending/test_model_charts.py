"""The figures of the model card and the what-if: each has a chart and its main number, and works without a model."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

from quintet.lending import model_charts as charts
from quintet.lending import performance_charts
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
    "ml.lending_model_performance": performance_charts.performance,
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


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.79, "0.79 of the highest. Review it: the limit is 0.80."),
        (0.95, "0.95 of the highest. It needs no review: the limit is 0.80."),
    ],
)
def test_a_review_of_fairness_is_advised_only_below_the_limit(run: Run, ratio: float, said: str) -> None:
    bands = run[0].execute("from ml.lending_model_fairness").df()
    bands["approval_ratio"] = 1.0
    bands.loc[0, "approval_ratio"] = ratio
    assert charts.fairness(bands).alternative.endswith(said)


@pytest.mark.parametrize(
    ("psi", "said"),
    [
        ([0.01, 0.4], "moved most: 0.400, shifted."),
        ([0.2, 0.1], "moved most: 0.200, moved."),
        ([None, 0.05], "moved most: 0.050, stable."),
        ([None, None], "No drift can be computed yet."),
    ],
)
def test_the_input_that_moved_most_is_found_in_any_order(run: Run, psi: list[float | None], said: str) -> None:
    rows = run[0].execute("from ml.lending_model_stability limit 2").df().assign(psi=pd.Series(psi, dtype="float64"))
    assert charts.stability(rows).alternative.endswith(said)


def test_a_policy_whose_limit_is_not_drawn_is_not_described(run: Run) -> None:
    rows = run[0].execute("from ml.lending_what_if").df()
    assert charts.cut_offs(rows, 0.25).alternative.startswith("The active policy approves below")
    none = charts.cut_offs(rows.assign(is_active=False), 0.25)
    assert none.alternative == "The limit of the active policy is none of these."


def test_the_mean_of_points_is_taken_from_the_middle_of_each_step() -> None:
    counts = pd.DataFrame({"points": [500, 510], "outcome": "repaid", "decision": "approve", "applications": [1, 1]})
    assert charts.distribution(counts).alternative == "Repaid: 2 loans, about 510 points on average."
