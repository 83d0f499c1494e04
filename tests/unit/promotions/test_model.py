"""The scorecard and the frozen form of a model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import accounts, small_world


@pytest.fixture(scope="module")
def population() -> Population:
    users, usages, _ = small_world()
    return Population.of(accounts_of(users, usages))


def test_a_model_survives_its_json_exactly(population: Population):
    model = scorecard(population)
    again = AbuseModel.from_json(model.to_json())

    assert again == model
    assert again.version == model.version


def test_the_version_names_the_content(population: Population):
    model = scorecard(population)

    assert replace(model, intercept=-5.0).version != model.version
    assert scorecard(Population.of(accounts({"user_id": "u"}))).version != model.version


def test_a_model_of_another_method_is_refused(population: Population):
    content = json.loads(scorecard(population).to_json()) | {"method": "0"}

    with pytest.raises(ValueError, match="retrain it"):
        AbuseModel.from_json(json.dumps(content))


@pytest.mark.parametrize("name", ["phone_strange", "age_strange", "use_hasty"])
def test_rare_traits_lead_to_review_and_only_links_to_a_block(name: str, population: Population):
    columns = np.zeros((4, len(EVIDENCE)))
    columns[1:, EVIDENCE.index(name)] = 1
    columns[2:, EVIDENCE.index("name_case_strange")] = 1
    for links, value in (("device_shared", 3), ("next_pair", 7), ("strong_pair", 3), ("cluster_size", 3)):
        columns[3, EVIDENCE.index(links)] = value
    nothing, one, two, linked = scorecard(population).scores(columns)

    assert nothing < 0.01
    assert 0.5 < one < two < 0.9 < linked


def test_a_new_email_domain_alone_is_no_reason_to_review(population: Population):
    columns = np.zeros((1, len(EVIDENCE)))
    columns[0, EVIDENCE.index("email_domain_strange")] = 1

    assert scorecard(population).scores(columns)[0] < 0.1


def test_a_trained_model_gives_links_no_less_than_the_scorecard(population: Population):
    columns = np.zeros((2, len(EVIDENCE)))
    for name, value in (("device_shared", 3.6), ("next_pair", 6), ("strong_pair", 2), ("cluster_size", 3.6)):
        columns[1, EVIDENCE.index(name)] = value
    card = scorecard(population)
    trained = AbuseModel("logistic", -7.0, {"cluster_size": -1.4, "device_shared": -1.0}, population)

    assert trained.scores(columns)[1] == pytest.approx(card.scores(columns)[1])
    assert trained.scores(columns)[1] > 0.5 > trained.linear(columns)[1]
    assert trained.contributions(columns)[1].sum() > 6


def test_contributions_and_intercept_make_the_log_odds(population: Population):
    model = scorecard(population)
    columns = np.random.default_rng(0).random((5, len(EVIDENCE)))

    assert model.log_odds(columns) == pytest.approx(model.contributions(columns).sum(axis=1) + model.intercept)


@pytest.mark.parametrize(
    ("accounts", "changes", "is_blocked"),
    [
        (4, {"unverified_phones": 4}, False),
        (6, {}, False),
        (6, {"unverified_phones": 3}, True),
        (6, {"email_shared": 2}, True),
        (7, {}, True),
    ],
)
def test_what_a_family_may_share_is_no_reason_to_block(
    accounts: int, changes: dict[str, float], is_blocked: bool, population: Population
):
    values = {
        "next_pair": 6.5,
        "strong_pair": 2.5,
        "device_shared": 2,
        "same_code": 1,
        "cluster_size": np.log2(accounts),
    }
    columns = np.array([[(values | changes).get(name, 0.0) for name in EVIDENCE]])

    assert (scorecard(population).scores(columns)[0] >= 0.9) == is_blocked


OFFICE = {"ip_shared": 5, "subnet_shared": 5, "code_burst_shared": 3.5, "next_pair": 2.8, "cluster_size": 3.5}
OFFICE |= {"same_code": 2.4, "burst": 2.4}


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, "allow"),
        ({"same_form": 4, "mail_domain_shared": 4}, "allow"),
        ({"device_shared": 1}, "review"),
        ({"device_shared": 3}, "review"),
        ({"device_shared": 3, "unverified_phones": 1.5, "unverified_emails": 1.5}, "block"),
        ({"unverified_phones": 2, "early_uses": 2}, "block"),
    ],
)
def test_a_place_a_domain_and_a_code_in_common_are_no_reason_to_review(
    changes: dict[str, float], decision: str, population: Population
):
    columns = np.array([[(OFFICE | changes).get(name, 0.0) for name in EVIDENCE]])

    assert read_policy().decisions(scorecard(population).scores(columns)).tolist() == [decision]


@given(st.data())
def test_more_evidence_never_lowers_a_score(population: Population, data: st.DataObject):
    values = data.draw(st.lists(st.floats(0, 6), min_size=len(EVIDENCE), max_size=len(EVIDENCE)))
    more = data.draw(st.floats(0.01, 4))
    columns = np.array([values, values])
    columns[1, data.draw(st.integers(0, len(EVIDENCE) - 1))] += more
    for model in (scorecard(population), AbuseModel("logistic", -7.0, {"cluster_size": 0.3}, population)):
        less, greater = model.log_odds(columns)
        assert greater >= less - 1e-9
