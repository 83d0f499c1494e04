"""Training: a time split, the simpler model unless the other clearly wins, and a gate that a worse model fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from quintet.lending.leaks import LeakError
from quintet.lending.measures import Ranking, calibration_error
from quintet.lending.model_training import CannotTrainError, Trained, gate, score_rows, train
from tests.unit.lending.training import make_training_set

_ROWS = make_training_set(4_000)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(_ROWS)


def test_tested_loans_were_applied_for_after_the_training_loans_had_ended(trained: Trained) -> None:
    split = pd.Timestamp(trained.split_day)
    assert (trained.early["outcome_on"] <= split).all()
    assert (trained.tested["applied_on"] > split).all()
    assert not set(trained.early["application_id"]) & set(trained.tested["application_id"])
    assert len(trained.ended) == _ROWS["outcome"].notna().sum()


def test_both_kinds_come_near_the_true_risk_and_are_calibrated(trained: Trained) -> None:
    is_default, risk = trained.tested["is_default"].to_numpy(), trained.tested["risk"].to_numpy()
    best = Ranking(is_default, risk).auc()
    for kind in trained.models:
        probability = trained.tested[kind].to_numpy()
        assert Ranking(is_default, probability).auc() > 0.95 * best
        assert calibration_error(risk, probability) < 0.04


def test_only_inputs_are_used(trained: Trained) -> None:
    shuffled = _ROWS.assign(age_years=_ROWS["age_years"].to_numpy()[::-1], risk=0.0)
    again = train(shuffled)
    assert {kind: model.version for kind, model in again.models.items()} == {
        kind: model.version for kind, model in trained.models.items()
    }


def test_the_order_of_rows_does_not_matter(trained: Trained) -> None:
    again = train(_ROWS.sample(frac=1.0, random_state=5))
    assert again.model.version == trained.model.version


def test_the_simpler_model_stays_where_boosting_does_not_clearly_win(trained: Trained) -> None:
    assert trained.chosen == "scorecard"
    assert "the simpler model stays" in trained.why


def test_boosting_is_chosen_where_it_clearly_wins() -> None:
    # Only the combination of two inputs is a risk, which no sum of points can express.
    rows = make_training_set(3_000, ended_share=1.0)
    rng = np.random.default_rng(2)
    high = rng.random((4, len(rows))) < 0.5
    names = ("open_loans_count", "outstanding_principal", "overdue_loans_count", "late_payments_share")
    is_risky = (high[0] & high[1]) | (high[2] & high[3])
    outcome = np.where(rng.random(len(rows)) < np.where(is_risky, 0.9, 0.05), "overdue", "repaid")
    trained = train(rows.assign(outcome=outcome, **dict(zip(names, high.astype(float), strict=True))))
    assert "boosting clearly wins" in trained.why
    assert trained.chosen == "boosted"
    assert trained.model.kind == "boosted"


def _too_few(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.head(200)


def _open(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(outcome=None, outcome_on=None)


def _all_repaid(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(outcome=rows["outcome"].where(rows["outcome"].isna(), "repaid"))


def _constant(rows: pd.DataFrame) -> pd.DataFrame:
    filled = rows.columns[rows.dtypes == "float64"].difference(["risk"])
    return rows.assign(**dict.fromkeys(filled, 1.0))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_too_few, "training needs"),
        (_open, "no loan has ended yet"),
        (_all_repaid, "0 loans before .* were not repaid"),
        (_constant, "no input has two values"),
        (lambda rows: rows.head(0), "no loan has ended yet"),
    ],
)
def test_with_too_little_data_the_message_says_what_is_missing(
    change: Callable[[pd.DataFrame], pd.DataFrame], complaint: str
) -> None:
    with pytest.raises(CannotTrainError, match=complaint):
        train(change(_ROWS))


def test_an_input_made_from_the_outcome_is_refused_by_name() -> None:
    is_default = _ROWS["outcome"].eq("overdue")
    planted = is_default + np.random.default_rng(1).normal(0, 0.3, len(_ROWS))
    with pytest.raises(LeakError, match="outstanding_principal alone separates defaults"):
        train(_ROWS.assign(outstanding_principal=planted))


def test_an_input_that_is_null_only_where_the_loan_was_repaid_is_refused() -> None:
    planted = np.where(_ROWS["outcome"].eq("overdue"), 1.0 + np.arange(len(_ROWS)) % 2, np.nan)
    with pytest.raises(LeakError, match="overdue_loans_count alone"):
        train(_ROWS.assign(overdue_loans_count=planted))


def test_a_first_model_passes_the_gate(trained: Trained) -> None:
    verdict = gate(trained, None)
    assert verdict.passes
    assert verdict.why == trained.why


def test_a_model_as_good_as_the_active_one_passes(trained: Trained) -> None:
    verdict = gate(trained, trained.models["boosted"], trained.tested["outcome_on"].max().date())
    assert verdict.passes
    assert "not clearly worse than boosted-" in verdict.why


def test_models_are_compared_on_loans_that_neither_was_trained_on(trained: Trained) -> None:
    until = trained.tested["outcome_on"].quantile(0.2)
    verdict = gate(trained, trained.models["scorecard"], until.date())
    assert f"on {(trained.tested['outcome_on'] > until.normalize()).sum():,} loans" in verdict.why


@pytest.mark.parametrize("until", [None, date(2018, 1, 1)])
def test_a_clearly_worse_model_is_not_promoted(trained: Trained, until: date | None) -> None:
    noise = np.random.default_rng(1).normal(0, 1.2, len(trained.tested))
    log_odds = np.log(trained.tested["scorecard"] / (1 - trained.tested["scorecard"]))
    platt = LogisticRegression().fit((log_odds + noise).to_numpy()[:, None], trained.tested["is_default"])
    noisy = platt.predict_proba((log_odds + noise).to_numpy()[:, None])[:, 1]
    verdict = gate(replace(trained, tested=trained.tested.assign(scorecard=noisy)), trained.models["scorecard"], until)
    assert not verdict.passes
    assert "clearly worse than scorecard-" in verdict.why


def test_a_model_no_better_than_chance_is_not_promoted(trained: Trained) -> None:
    share = float(trained.tested["is_default"].mean())
    chance = share + np.random.default_rng(1).normal(0, 1e-4, len(trained.tested))
    verdict = gate(replace(trained, tested=trained.tested.assign(scorecard=chance)), None)
    assert not verdict.passes
    assert "no better than chance" in verdict.why


def test_a_model_that_ranks_well_with_wrong_probabilities_is_not_promoted(trained: Trained) -> None:
    shifted = trained.tested["scorecard"] * 0.5
    verdict = gate(replace(trained, tested=trained.tested.assign(scorecard=shifted)), None)
    assert not verdict.passes
    assert "off by" in verdict.why


def test_a_column_that_is_absent_is_scored_as_null(trained: Trained) -> None:
    rows = _ROWS.head(5).drop(columns="late_payments_share")
    empty = _ROWS.head(5).assign(late_payments_share=np.nan)
    assert score_rows(trained.model, rows) == score_rows(trained.model, empty)
