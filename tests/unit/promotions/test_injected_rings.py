"""Injected rings: which there are, and the promotion gate that refuses a model that lets them pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.injected_rings import DAYS, SHARED, SIZES, InjectedRings, inject_rings, ring_verdict
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.promotions.training import choose_model
from tests.unit.promotions.worlds import world


class SignFree(AbuseModel):
    """A model whose weights may have any sign, without the scorecard as a floor."""

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        return self.linear(columns)


@pytest.fixture(scope="module")
def population() -> tuple[Accounts, np.ndarray]:
    """Accounts of which the labelled abusers have odd profiles and share nothing, and the labels."""
    users, usages, truth = world(5, 1_500, abuser_share=0.1, malformed_share=1.0, hidden_share=0.0)
    accounts = accounts_of(users, usages)
    return accounts, truth.loc[accounts.user_id.to_pylist(), "is_abuser"].to_numpy(dtype=float)


@pytest.fixture(scope="module")
def rings(population: tuple[Accounts, np.ndarray]) -> InjectedRings:
    return inject_rings(population[0])


def test_there_is_a_ring_of_each_size_and_speed_and_of_each_shared_key(rings: InjectedRings):
    found = rings.rings

    assert set(zip(found["size"], found["days"], strict=True)) == {(size, days) for size in SIZES for days in DAYS}
    assert set(found["shared"]) == set(SHARED)
    assert (found.groupby("ring").size() == found.groupby("ring")["size"].first()).all()


def test_the_rings_depend_on_the_seed_alone(population: tuple[Accounts, np.ndarray], rings: InjectedRings):
    again, other = inject_rings(population[0]), inject_rings(population[0], seed=1)

    assert again.accounts.fields == rings.accounts.fields
    assert np.array_equal(again.accounts.created_at_s, rings.accounts.created_at_s, equal_nan=True)
    assert other.accounts.fields != rings.accounts.fields


def test_no_accounts_have_no_rings():
    nobody = accounts_of(world(5, 10)[0].head(0))
    assert inject_rings(nobody).rings.empty


def test_a_model_of_labels_without_rings_passes_and_its_sign_free_twin_is_refused(
    population: tuple[Accounts, np.ndarray], rings: InjectedRings, monkeypatch: pytest.MonkeyPatch
):
    accounts, label = population
    choice = choose_model(accounts, label, rings=rings)
    assert choice.training is not None
    assert choice.verdict.passes
    assert "injected rings" in choice.verdict.why

    trained = choice.training.model
    free = replace(choice.training, model=SignFree(*(getattr(trained, name) for name in trained.__dataclass_fields__)))
    monkeypatch.setattr("quintet.promotions.training.train", lambda *_: free)
    refused = choose_model(accounts, label, rings=rings)
    assert not refused.verdict.passes
    assert "lets injected rings pass" in refused.verdict.why
    assert refused.model.kind == "scorecard"


def test_a_model_must_catch_what_the_scorecard_catches(population: tuple[Accounts, np.ndarray], rings: InjectedRings):
    card = scorecard(Population.of(population[0]))
    strict = replace(card, intercept=card.intercept + 3)
    caught = rings.caught({"card": card, "strict": strict}, read_policy())

    assert ring_verdict(caught["strict"], caught["card"]).passes
    verdict = ring_verdict(caught["card"], caught["strict"].assign(flagged=1.0))
    assert not verdict.passes
    assert "lets injected rings pass" in verdict.why
