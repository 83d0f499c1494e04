"""The scorecard and the frozen form of a model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.model import AbuseModel, scorecard
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
    columns[3, EVIDENCE.index("next_pair")] = 7
    columns[3, EVIDENCE.index("cluster_size")] = 3
    nothing, one, two, linked = scorecard(population).scores(columns)

    assert nothing < 0.01
    assert 0.5 < one < two < 0.9 < linked


def test_a_new_email_domain_alone_is_no_reason_to_review(population: Population):
    columns = np.zeros((1, len(EVIDENCE)))
    columns[0, EVIDENCE.index("email_domain_strange")] = 1

    assert scorecard(population).scores(columns)[0] < 0.1


def test_a_trained_model_gives_links_no_less_than_the_scorecard(population: Population):
    columns = np.zeros((2, len(EVIDENCE)))
    for name, value in (("device_shared", 3.6), ("best_pair", 5), ("next_pair", 5), ("cluster_size", 3.6)):
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
    values = {"best_pair": 6, "next_pair": 6, "device_shared": 2, "same_code": 1, "cluster_size": np.log2(accounts)}
    columns = np.array([[(values | changes).get(name, 0.0) for name in EVIDENCE]])

    assert (scorecard(population).scores(columns)[0] >= 0.9) == is_blocked
