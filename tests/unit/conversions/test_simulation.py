"""Simulated rows: drawn as the model says, and calibration that observes what it claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quintet.conversions.expectation import settled
from quintet.conversions.simulation import (
    UNCALIBRATED,
    Correction,
    Simulation,
    Trial,
    chosen_correction,
    reliability,
)
from tests.unit.conversions.pairs import UNCALIBRATED as IDENTITY
from tests.unit.conversions.pairs import US, candidates, model, world


def trial(probability: list[float], is_link: list[bool]) -> Trial:
    """Return a trial of pairs that do not compete."""
    place = np.arange(len(probability))
    return Trial(place, place, np.array(probability), np.array(is_link))


@pytest.mark.parametrize("rate", [0.2, 0.8])
def test_rows_are_drawn_at_the_models_rate_and_lag(rate: float) -> None:
    given = world(2_000, 0.5, seed=1)
    reach = model().partners["one"].reach
    drawn = Simulation.drawn(model(click_rate=rate), given, seed=4)
    linked = drawn.candidates.rows.query("true_conversion >= 0")
    lag = linked["at_second"].to_numpy() - given.conversions["at_second"].to_numpy()[linked["true_conversion"]]

    assert len(linked) / len(given.conversions) == pytest.approx(rate / reach, abs=0.04)
    assert set(lag) == {0, 1, 2, 3}
    assert linked["true_conversion"].is_unique
    assert drawn.is_link.sum() <= len(linked)
    assert drawn.is_link.sum() > 0.9 * len(linked)


def test_a_seed_draws_the_same_rows_and_another_seed_other_rows() -> None:
    given = world(200, 0.5, seed=1)
    one, same, other = (Simulation.drawn(model(), given, seed).candidates.rows for seed in (4, 4, 5))

    assert one.equals(same)
    assert not one.equals(other)


def test_without_any_known_country_rows_are_still_drawn() -> None:
    nowhere = model(country_share={}, unlinked_ip_share={}, unlinked_ip_rest=0.0)
    drawn = Simulation.drawn(nowhere, world(200, 0.5, seed=1), seed=4)

    assert len(drawn.candidates.rows) > 0


def test_the_bias_of_training_is_bounded_and_its_correction_keeps_a_density() -> None:
    trained = settled(model(), world(800, 0.7, seed=2))
    correction = Correction.measured(trained, Simulation.drawn(trained, world(800, 0.7, seed=2), seed=0))
    corrected = correction.of(trained).partners["one"]

    assert all(0.5 <= factor <= 2 for factor in (*correction.lag["one"], *correction.odds["one"]))
    assert sum(corrected.lag.mass) == pytest.approx(1)
    assert 0 < corrected.click_rate < 1


def test_a_correction_of_odds_moves_the_rate() -> None:
    doubled = Correction({"one": np.ones(4)}, {"one": np.array([2.0, 1.0, 0.5])})
    partner = doubled.of(model(click_rate=0.5, row_link_share=0.5)).partners["one"]

    assert (partner.click_rate, partner.row_link_share) == pytest.approx((2 / 3, 1 / 3))


def test_calibration_returns_what_was_observed_and_rises() -> None:
    rng = np.random.default_rng(1)
    claimed = rng.uniform(0.05, 0.95, 5_000)
    points = np.array(reliability([trial(claimed.tolist(), (rng.random(5_000) < claimed**2).tolist())]))

    assert (np.diff(points, axis=0) >= 0).all()
    assert np.interp([0.3, 0.6, 0.9], *points.T) == pytest.approx([0.09, 0.36, 0.81], abs=0.06)


def test_few_pairs_are_no_calibration() -> None:
    assert reliability([trial([0.4] * 19, [True] * 19)]) == UNCALIBRATED == IDENTITY
    assert reliability([trial([0.4] * 20, [True] * 20)]) != UNCALIBRATED


@pytest.mark.parametrize(("is_link", "expected"), [([True, True], 2 / 1.6), ([True, False], 1 / 1.6), ([False] * 2, 0)])
def test_what_was_chosen_is_compared_with_the_sum_of_its_probabilities(is_link: list[bool], expected: float) -> None:
    assert chosen_correction(model(), [trial([0.8, 0.8], is_link)]) == pytest.approx(expected)


def test_pairs_below_the_threshold_are_not_chosen() -> None:
    strict = replace(model(), threshold=0.9)

    assert chosen_correction(strict, [trial([0.8, 0.8], [False, False])]) == 1


def test_a_trial_keeps_possible_pairs_of_agreeing_countries() -> None:
    given = world(400, 0.7, seed=3)
    neutral = Correction({"one": np.ones(4)}, {"one": np.ones(3)})
    found = Trial.of(model(), given, neutral, seed=1)

    assert (found.probability > 0).all()
    assert found.is_link.mean() > 0.9
    assert not len(Trial.of(model(click_rate=0.01, row_link_share=0.99), candidates([(5, US)], []), neutral, 1).row)
