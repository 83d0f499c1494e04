"""The scorecard: bins are monotone, null has its own bin, and points keep the fitted probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.lending.model_training import columns_of
from quintet.lending.scorecard import bin_monotone, fit_card
from quintet.lending.scoring import INPUTS
from tests.unit.lending.training import make_training_set

_INPUTS = ("amount", "duration_days", "late_payments_share")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(INPUTS)))
def test_bins_are_monotone_in_the_direction_of_the_input_for_any_data(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    column = np.where(rng.random(400) < 0.1, np.nan, np.round(rng.exponential(3.0, 400)))
    binned = bin_monotone(INPUTS[name], column, rng.random(400) < 0.3)
    steps = np.diff(binned.log_odds[:-1]) * INPUTS[name].direction
    assert (steps > 0).all()
    assert len(binned.log_odds) == len(binned.edges) + 2


def test_null_without_information_neither_costs_nor_earns() -> None:
    column = np.where(np.arange(400) % 2 == 0, np.nan, np.arange(400.0))
    is_default = np.arange(400) % 2 == 0  # every null is a default
    assert bin_monotone(INPUTS["overdue_loans_count"], column, is_default).log_odds[-1] == 0
    assert bin_monotone(INPUTS["late_payments_share"], column, is_default).log_odds[-1] > 1


def test_points_give_the_fitted_probability() -> None:
    rows = make_training_set(3_000, ended_share=1.0)
    columns, is_default = columns_of(rows, _INPUTS), rows["outcome"].eq("overdue").to_numpy()
    card = fit_card(columns, is_default)
    model = card.model(1.0, 0.0, columns)
    scores = [
        model.score({name: None if np.isnan(columns[name][row]) else float(columns[name][row]) for name in _INPUTS})
        for row in range(300)
    ]
    fitted = 1 / (1 + np.exp(-card.log_odds(columns)[:300]))
    assert np.abs(np.array([one.default_probability for one in scores]) - fitted).max() < 0.03


def test_an_input_without_information_gets_no_points() -> None:
    rows = make_training_set(3_000, ended_share=1.0).assign(open_loans_count=np.arange(3_000) % 7)
    columns = columns_of(rows, ("amount", "open_loans_count"))
    is_default = rows["outcome"].eq("overdue").to_numpy()
    model = fit_card(columns, is_default).model(1.0, 0.0, columns)
    amount, noise = (
        max(bins.points) - min(bins.points) if (bins := (model.bins or {}).get(name)) else 0
        for name in ("amount", "open_loans_count")
    )
    assert amount > 40
    assert noise < 10


def test_without_inputs_all_applications_get_the_same_points() -> None:
    columns = {"amount": np.full(200, 100.0)}
    is_default = np.arange(200) < 50
    card = fit_card(columns, is_default)
    assert card.log_odds(columns) == pytest.approx(np.full(200, np.log(50.5 / 150.5)))
