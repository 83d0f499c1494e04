"""Scoring one application: points, probability and reasons from plain data, and errors of broken files."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.lending.feature_registry import features
from quintet.lending.scoring import (
    APPLICATION_FIELDS,
    INPUTS,
    REASONS,
    Bins,
    ModelFileError,
    Node,
    ScoringModel,
    Trees,
    probability_of,
)

CARD = ScoringModel(
    ("amount", "days_since_first_loan"),
    base_points=540,
    bins={
        "amount": Bins((300.0, 900.0), (20, 0, -30), 0, 2.0),
        "days_since_first_loan": Bins((90.0,), (-5, 10), -12, 0.0),
    },
)
STUMP = (Node(0, 500.0, True, 1, 2, 0.0), Node(-1, 0.0, False, 0, 0, -0.5), Node(-1, 0.0, False, 0, 0, 0.7))
BOOSTED = ScoringModel(("amount", "late_payments_share"), trees=Trees(-1.5, 1.1, 0.05, (0.0, 0.0), (STUMP, STUMP)))


def test_every_input_is_a_feature_or_a_field_of_the_application_and_age_is_none() -> None:
    names = {feature.name for feature in features()} | set(APPLICATION_FIELDS)
    assert set(INPUTS) <= names
    assert not any("age" in name.split("_") or "birth" in name for name in INPUTS)


def test_every_reason_that_an_input_gives_has_a_sentence() -> None:
    given = {code for one in INPUTS.values() for code in (one.reason, one.reason_if_null)}
    assert given == set(REASONS)


def test_a_scorecard_adds_the_points_of_the_bins() -> None:
    assert CARD.score({"amount": 299.0, "days_since_first_loan": 90}).points == 540 + 20 + 10
    assert CARD.score({"amount": 300.0, "days_since_first_loan": 89}).points == 540 + 0 - 5
    assert CARD.score({"amount": 900.0, "days_since_first_loan": None}).points == 540 - 30 - 12


def test_twenty_points_halve_the_odds_of_default_and_500_are_even() -> None:
    assert probability_of(500) == 0.5
    odds = [probability_of(points) / (1 - probability_of(points)) for points in (560, 580)]
    assert odds[1] == pytest.approx(odds[0] / 2)


def test_reasons_name_the_costliest_inputs_first_and_null_by_its_own_reason() -> None:
    found = CARD.score({"amount": 1_000.0, "days_since_first_loan": None})
    assert found.reasons == ("AMOUNT_LARGE", "NO_LOAN_HISTORY")
    assert CARD.score({"amount": 100.0, "days_since_first_loan": 500}).reasons == ()


def test_boosted_trees_add_their_leaves_and_give_reasons() -> None:
    found = BOOSTED.score({"amount": 800.0, "late_payments_share": None})
    log_odds = 0.05 + 1.1 * (-1.5 + 0.7 + 0.7)
    assert found.default_probability == pytest.approx(1 / (1 + math.exp(-log_odds)))
    assert found.points == round(500 - log_odds * 20 / math.log(2))
    assert found.reasons == ("AMOUNT_LARGE",)
    low = BOOSTED.score({"amount": None, "late_payments_share": 0.5})
    assert low.default_probability < found.default_probability
    assert low.reasons == ()


@pytest.mark.parametrize("model", [CARD, BOOSTED])
def test_a_missing_input_is_named(model: ScoringModel) -> None:
    with pytest.raises(ValueError, match="the input amount is missing"):
        model.score({"days_since_first_loan": 1, "late_payments_share": 0.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, "300"])
def test_an_input_that_is_not_a_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"the input amount is .*; give a finite number"):
        CARD.score({"amount": value, "days_since_first_loan": 1})


@pytest.mark.parametrize("model", [CARD, BOOSTED])
def test_a_model_reads_back_as_it_was_written(model: ScoringModel) -> None:
    again = ScoringModel.from_json(model.to_json())
    assert again == model
    assert again.version == model.version
    assert model.version.startswith(model.kind)


def test_another_content_has_another_version() -> None:
    other = ScoringModel(CARD.inputs, CARD.base_points + 1, CARD.bins)
    assert other.version != CARD.version


def _card(**changes: Any) -> str:
    return json.dumps(json.loads(CARD.to_json()) | changes)


def _amount(**changes: Any) -> str:
    content = json.loads(CARD.to_json())
    content["bins"]["amount"] |= changes
    return json.dumps(content)


def _trees(**changes: Any) -> str:
    return json.dumps(json.loads(BOOSTED.to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", "format 'list'"),
        (_card(format="other"), "has the format 'other'"),
        (_card(kind="forest"), "kind 'forest'"),
        (_card(inputs=[]), "must be a list of names"),
        (_card(inputs=["amount", "amount"]), "each once"),
        (_card(inputs=["amount", "shoe_size"]), "has the input 'shoe_size'"),
        (_card(inputs=["amount", "open_loans_count"]), "lacks a part"),
        (_card(base_points=540.5), "base_points must be a whole number"),
        (_amount(edges=[900, 300]), "must rise"),
        (_amount(edges=[300]), "needs 2 points, not 3"),
        (_amount(points=[1, 2, None]), "points of amount must be a whole number"),
        (_amount(average=None), "must be a finite number"),
        (_trees(slope=-1.0), "upside down"),
        (_trees(averages=[0.0]), "2 averages, not 1"),
        (_trees(trees=[[]]), "has no node"),
        (_trees(trees=[[[0, 1.0, True, 0, 0, 0.0]]]), "leads nowhere"),
        (_trees(trees=[[[5, 1.0, True, 1, 1, 0.0], [-1, 0.0, False, 0, 0, 0.0]]]), "leads nowhere"),
        (_trees(trees=[[[0, 1.0]]]), "must have six parts"),
    ],
)
def test_a_broken_file_is_refused_and_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ModelFileError, match=complaint):
        ScoringModel.from_json(text)


@given(st.floats(0, 2_000), st.floats(0, 500), st.one_of(st.none(), st.floats(0, 2_000)))
def test_more_of_an_input_never_moves_the_risk_against_its_direction(
    amount: float, more: float, days: float | None
) -> None:
    first, second = (CARD.score({"amount": asked, "days_since_first_loan": days}) for asked in (amount, amount + more))
    assert second.points <= first.points
    assert 0 < first.default_probability <= second.default_probability < 1
