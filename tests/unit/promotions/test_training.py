"""Training on labels: when it refuses, the promotion gate, and contradicting labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import EVIDENCE, gather
from quintet.promotions.model import scorecard
from quintet.promotions.profile import Population
from quintet.promotions.training import (
    CannotTrainError,
    Choice,
    choose_model,
    gate,
    is_clearly_better,
    settled_labels,
    train,
)
from tests.unit.promotions.worlds import small_world


@pytest.fixture(scope="module")
def known() -> tuple[Accounts, np.ndarray]:
    """The small world's accounts and the truth, 1 or 0."""
    users, usages, truth = small_world()
    accounts = accounts_of(users, usages)
    return accounts, truth.loc[accounts.user_id.to_pylist(), "is_abuser"].to_numpy(dtype=float)


@pytest.fixture(scope="module")
def choice(known: tuple[Accounts, np.ndarray]) -> Choice:
    return choose_model(*known)


def test_a_trained_model_beats_the_scorecard(choice: Choice):
    training = choice.training
    assert training is not None
    by_logistic, by_card = (average_precision_score(training.is_abuser, s) for s in (training.logistic, training.card))

    assert by_logistic > by_card + 0.02
    assert choice.model == training.model
    assert choice.model.kind == "logistic"


def test_trained_scores_are_calibrated(choice: Choice):
    training = choice.training
    assert training is not None
    step = np.minimum((training.logistic * 10).astype(int), 9)
    gaps = [
        abs(training.logistic[step == at].mean() - training.is_abuser[step == at].mean()) * (step == at).mean()
        for at in np.unique(step)
    ]

    assert training.logistic.mean() == pytest.approx(training.is_abuser.mean(), abs=0.01)
    assert sum(gaps) < 0.03


def test_training_again_gives_the_same_model(known: tuple[Accounts, np.ndarray], choice: Choice):
    assert choose_model(*known).model.version == choice.model.version


def test_clusters_are_never_split(known: tuple[Accounts, np.ndarray]):
    # The number of the cluster as the only evidence cannot predict clusters that were not seen.
    accounts, _ = known
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(250), 10)
    label = (rng.random(250) < 0.3)[cluster].astype(float)
    columns = np.zeros((2_500, len(EVIDENCE)))
    columns[:, :8] = rng.random((250, 8))[cluster]
    training = train(columns, label, cluster, np.arange(2_500.0), Population.of(accounts))

    for scores in (training.logistic, training.boosted):
        assert average_precision_score(training.is_abuser, scores) < 0.45


def test_later_clusters_are_scored_by_a_model_of_earlier_ones(known: tuple[Accounts, np.ndarray], choice: Choice):
    accounts, label = known
    training = choice.training
    assert training is not None
    later = accounts.created_at_s[training.later_rows]
    earlier = np.delete(accounts.created_at_s, training.later_rows)

    assert 0.2 < len(later) / len(label) < 0.4
    assert later.min() > np.median(earlier)
    assert average_precision_score(label[training.later_rows] == 1, training.later) > 0.7


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_labels_of_one_class_are_refused_and_the_scorecard_stays(kept: float, known: tuple[Accounts, np.ndarray]):
    accounts, label = known
    choice = choose_model(accounts, np.where(label == kept, label, np.nan))

    assert choice.training is None
    assert choice.model == scorecard(Population.of(accounts))
    assert "are needed to train" in choice.verdict.why


def test_without_labels_a_trained_model_stays(known: tuple[Accounts, np.ndarray], choice: Choice):
    accounts, label = known

    assert choose_model(accounts, np.full(len(label), np.nan), choice.model).model == choice.model


def test_abusers_of_one_cluster_are_too_few_to_train_on(known: tuple[Accounts, np.ndarray]):
    accounts, label = known
    matrix = gather(accounts, Population.of(accounts))

    with pytest.raises(CannotTrainError, match="clusters"):
        train(
            matrix.columns,
            label,
            np.where(label == 1, 0, np.arange(len(label)) + 1),
            accounts.created_at_s,
            Population.of(accounts),
        )


def test_a_misleading_model_is_replaced(known: tuple[Accounts, np.ndarray], choice: Choice):
    mislead = replace(choice.model, coefficients={name: -value for name, value in choice.model.coefficients.items()})

    assert choose_model(*known, mislead).model == choice.model


def test_a_model_that_fails_the_gate_is_not_promoted(
    known: tuple[Accounts, np.ndarray], choice: Choice, monkeypatch: pytest.MonkeyPatch
):
    accounts, label = known
    monkeypatch.setattr("quintet.promotions.training.is_clearly_better", lambda *_: True)
    older = replace(choice.model, intercept=choice.model.intercept - 1)

    assert choose_model(accounts, label, older).model == older
    first = choose_model(accounts, label)
    assert first.model == scorecard(Population.of(accounts))
    assert "clearly worse" in first.verdict.why


def test_the_gate_refuses_a_clearly_worse_model_and_passes_an_equal_one(choice: Choice):
    rng = np.random.default_rng(0)
    y, cluster = rng.random(2_000) < 0.1, np.arange(2_000)
    good = y + rng.normal(0, 0.5, 2_000)
    poor = y + rng.normal(0, 2.0, 2_000)

    assert choice.training is not None

    def passes(new: np.ndarray, **before: np.ndarray) -> bool:
        assert choice.training is not None
        return gate(replace(choice.training, is_abuser=y, logistic=new), cluster, before).passes

    assert not passes(poor, card=good)
    assert not passes(poor, card=poor, active=good)
    assert passes(good, card=poor, active=poor)
    assert passes(good, card=good)
    assert is_clearly_better(y, good, poor, cluster)
    assert not is_clearly_better(y, good, good, cluster)


def test_contradicting_labels_are_unknown():
    labels = pd.DataFrame(
        {"user_id": ["a", "a", "b", "b", "c", "d"], "is_abuser": [True, False, True, True, False, None]}
    )
    settled, contradicting = settled_labels(labels, ["a", "b", "c", "d", "e"])

    assert np.array_equal(settled, [np.nan, 1, 0, np.nan, np.nan], equal_nan=True)
    assert contradicting == ["a"]


def test_the_latest_label_is_used():
    labels = pd.DataFrame(
        {"user_id": ["a", "a"], "is_abuser": [True, False], "labelled_at": pd.to_datetime(["2024-01-02", "2024-01-01"])}
    )

    assert settled_labels(labels, ["a"]) == (np.array([1.0]), [])
