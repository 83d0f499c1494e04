"""One decision: its record, its answer, and the same from the log."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from quintet.lending.active import LoadedModel
from quintet.lending.application import Application
from quintet.lending.decide import Known, NotReproducibleError, decided, in_shadow, reproduce, sentence_of
from quintet.lending.decision_log import DecisionRecord
from quintet.lending.endpoint import ScoredBy
from quintet.lending.policy import DEFAULT_POLICY, Policy, known_names, read_policy
from tests.unit.lending.models import scorecard

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
APPLICATION = Application(1, 7, 400.0, 30, NOW.date(), NOW, commit_lsn=100)
MODEL = scorecard()
FIGURES: dict[str, float | None] = {
    **dict.fromkeys(known_names(), 0.0), "amount": 400.0, "days_since_first_loan": 400.0, "paid_loans_count": 3.0,
    "days_since_last_late_payment": None,
}  # fmt: skip


def record(known: Known, policy: Policy | None = None, challenger: LoadedModel | None = None) -> DecisionRecord:
    return decided(APPLICATION, known, policy or read_policy(), challenger, "a test", NOW, 1.0, 2.0)


@pytest.fixture
def scored() -> Known:
    return Known(FIGURES, "f1", 120, ScoredBy(MODEL.score(FIGURES), MODEL.version, "sha"), None)


def test_the_answer_says_what_the_record_has(scored: Known) -> None:
    found = record(scored)
    answer = json.loads(found.answer)

    assert (answer["decision"], answer["score"], answer["points"]) == (found.decision, found.score, found.points)
    assert answer["applied_lsn"] == found.applied_lsn == 120
    assert answer["as_of"] == "2026-01-01"
    assert [reason["code"] for reason in answer["reasons"]] == json.loads(found.reasons)
    assert all(reason["sentence"] for reason in answer["reasons"])


def test_without_score_and_features_a_person_decides_and_the_answer_says_why() -> None:
    found = record(Known(APPLICATION.values(), None, None, None, "the features are late"))
    answer = json.loads(found.answer)

    assert answer["decision"] == "refer"
    assert answer["degraded_reason"] == "the features are late"
    assert (answer["score"], answer["model_version"], answer["applied_lsn"]) == (None, None, None)


def test_a_decision_is_reproduced_from_the_log(scored: Known) -> None:
    found = record(scored)
    again = reproduce(found, DEFAULT_POLICY.read_text("utf-8"), MODEL.to_json())

    assert again.differences == ()
    assert again.answer == found.answer


def test_another_model_or_policy_differs_in_words(scored: Known) -> None:
    found = record(scored)
    policy = DEFAULT_POLICY.read_text("utf-8")
    other_model = reproduce(found, policy, scorecard(base_points=300).to_json())
    stricter = policy.replace("approve_below = 0.2", "approve_below = 0.0")
    assert stricter != policy
    other_policy = reproduce(found, stricter, MODEL.to_json())

    assert any(difference.startswith("score: ") for difference in other_model.differences)
    assert {difference.split(":")[0] for difference in other_policy.differences} >= {"decision", "reasons", "answer"}


def test_a_score_of_an_endpoint_is_read_from_the_record(scored: Known) -> None:
    assert scored.scored_by is not None
    external = replace(scored, scored_by=replace(scored.scored_by, sha256=None))

    assert reproduce(record(external), DEFAULT_POLICY.read_text("utf-8"), None).differences == ()


@pytest.mark.parametrize(("policy", "model", "named"), [(None, MODEL.to_json(), "policy"), ("", None, "model")])
def test_a_text_that_the_log_lacks_is_named(scored: Known, policy: Any, model: Any, named: str) -> None:
    with pytest.raises(NotReproducibleError, match=f"lacks the text of {named}"):
        reproduce(record(scored), policy, model)


def test_a_challenger_decides_in_the_shadow_and_changes_nothing(scored: Known) -> None:
    challenger = LoadedModel(scorecard(base_points=300), "text", "sha")
    found, alone = record(scored, challenger=challenger), record(scored)

    assert found.answer == alone.answer
    assert json.loads(found.challenger or "")["decision"] == "reject"
    assert alone.challenger is None


def test_a_challenger_that_cannot_score_says_so() -> None:
    shadow = in_shadow(MODEL, {"amount": 400.0}, read_policy())

    assert shadow["version"] == MODEL.version
    assert "late_payments_share" in shadow["error"]


def test_every_reason_has_a_sentence() -> None:
    policy = read_policy()

    assert sentence_of("NO_HISTORY", policy) == policy.sentences["NO_HISTORY"]
    with pytest.raises(KeyError):
        sentence_of("NOT_A_CODE", policy)
