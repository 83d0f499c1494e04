"""Boosted trees as plain data: they score as scikit-learn does, and are monotone."""

from __future__ import annotations

import numpy as np
import pytest

from quintet.lending.boosting import Boosted, fit_boosted
from quintet.lending.model_training import columns_of
from quintet.lending.scoring import ScoringModel
from tests.unit.lending.training import make_training_set

_INPUTS = ("amount", "duration_days", "late_payments_share", "days_since_first_loan")


@pytest.fixture(scope="module")
def fitted() -> tuple[Boosted, ScoringModel, dict[str, np.ndarray]]:
    rows = make_training_set(2_000, ended_share=1.0)
    columns = columns_of(rows, _INPUTS)
    boosted = fit_boosted(columns, rows["outcome"].eq("overdue").to_numpy())
    return boosted, boosted.model(0.9, 0.1, columns), columns


def _row(columns: dict[str, np.ndarray], number: int) -> dict[str, float | None]:
    return {name: None if np.isnan(column[number]) else float(column[number]) for name, column in columns.items()}


def test_the_plain_trees_score_as_the_library_does(
    fitted: tuple[Boosted, ScoringModel, dict[str, np.ndarray]],
) -> None:
    boosted, model, columns = fitted
    by_library = 1 / (1 + np.exp(-(0.1 + 0.9 * boosted.log_odds(columns)[:300])))
    plain = [model.score(_row(columns, number)).default_probability for number in range(300)]
    assert plain == pytest.approx(by_library, abs=1e-9)
    again = ScoringModel.from_json(model.to_json())
    assert again.score(_row(columns, 7)) == model.score(_row(columns, 7))


def test_a_split_of_null_from_all_values_survives_the_file() -> None:
    column = np.where(np.arange(400) % 2 == 0, np.nan, np.arange(400.0))
    model = fit_boosted({"late_payments_share": column}, np.arange(400) % 2 == 0).model(1.0, 0.0, {
        "late_payments_share": column
    })  # fmt: skip
    again = ScoringModel.from_json(model.to_json())
    unknown, known = (again.score({"late_payments_share": value}).default_probability for value in (None, 1.0))
    assert unknown > 0.9
    assert known < 0.1


def test_more_of_an_input_never_moves_the_risk_against_its_direction(
    fitted: tuple[Boosted, ScoringModel, dict[str, np.ndarray]],
) -> None:
    _, model, columns = fitted
    for number in range(40):
        row = _row(columns, number)
        risks = [model.score(row | {"amount": amount}).default_probability for amount in (100.0, 400.0, 900.0, 5e3)]
        assert risks == sorted(risks)
        risks = [model.score(row | {"days_since_first_loan": days}).default_probability for days in (1, 90, 800)]
        assert risks == sorted(risks, reverse=True)
