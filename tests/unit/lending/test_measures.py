"""Measures of scores, compared with other ways of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from quintet.lending.measures import (
    Ranking,
    auc_gain,
    calibration_error,
    ranking_figures,
    share_interval,
)

_RNG = np.random.default_rng(3)
_PROBABILITY = np.round(_RNG.random(2_000), 2)
_IS_DEFAULT = _RNG.random(2_000) < _PROBABILITY
_CLIENT = _RNG.integers(0, 900, 2_000)


@given(st.integers(0, 1_000))
def test_auc_and_ks_equal_the_libraries_with_ties_and_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, is_default = np.round(rng.random(60), 1), np.arange(60) % 3 == 0
    weight = rng.integers(0, 3, 60) + (np.arange(60) < 2)
    ranking = Ranking(is_default, score)
    assert ranking.auc() == pytest.approx(roc_auc_score(is_default, score))
    assert ranking.auc(weight) == pytest.approx(roc_auc_score(is_default, score, sample_weight=weight))
    assert ranking.ks() == pytest.approx(ks_2samp(score[is_default], score[~is_default]).statistic)


def test_ranking_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="defaulted and loans that were repaid"):
        Ranking(np.ones(5, dtype=bool), np.arange(5.0))


def test_intervals_hold_the_figures_and_gini_follows_auc() -> None:
    found = ranking_figures(_IS_DEFAULT, _PROBABILITY, _CLIENT)
    for one in found.values():
        assert one.low < one.value < one.high
    assert found["gini"].value == pytest.approx(2 * found["auc"].value - 1)


def test_a_better_score_gains_in_every_resample_and_itself_in_none() -> None:
    noise = np.random.default_rng(4).random(2_000)
    assert (auc_gain(_IS_DEFAULT, _PROBABILITY, noise, _CLIENT) > 0).all()
    assert (auc_gain(_IS_DEFAULT, noise, noise, _CLIENT) == 0).all()


def test_true_probabilities_are_calibrated_and_shifted_ones_are_not() -> None:
    assert calibration_error(_IS_DEFAULT, _PROBABILITY) < 0.04
    assert calibration_error(_PROBABILITY, _PROBABILITY) == pytest.approx(0)
    assert calibration_error(_IS_DEFAULT, np.clip(_PROBABILITY + 0.2, 0, 1)) > 0.1


def test_the_interval_of_a_share_holds_it_and_is_unknown_without_rows() -> None:
    low, high = share_interval(np.array([0, 5, 0]), np.array([10, 10, 0]))
    assert low[0] == pytest.approx(0, abs=1e-12)
    assert high[0] == pytest.approx(0.2775, abs=1e-3)
    assert low[1] < 0.5 < high[1]
    assert np.isnan(low[2])
