"""The estimated density of lags."""

import numpy as np
import pytest

from quintet.conversions.clock import conversion_index
from quintet.conversions.lag import EDGES_SECONDS, cut, first_density, smooth


def test_full_bins_keep_their_steep_steps():
    counts = np.array([28_035, 25_555, 3_399, 907, 361, 214, 0, 0, 0, 0], dtype=float)
    mass = np.array(smooth(EDGES_SECONDS[:11], counts).mass)
    assert mass[:4] == pytest.approx(counts[:4] / counts.sum(), rel=0.1)


def test_thin_bins_are_smoothed(random_seed):
    rng = np.random.default_rng(random_seed)
    lag = rng.lognormal(np.log(360), 1.2, 1_000)
    counts = np.histogram(lag, EDGES_SECONDS)[0].astype(float)
    density = np.array(smooth(EDGES_SECONDS, counts).mass)
    more = np.histogram(rng.lognormal(np.log(360), 1.2, 2_000_000), EDGES_SECONDS)[0]
    truth = more / more.sum()
    assert np.abs(density - truth).sum() < 0.5 * np.abs(counts / counts.sum() - truth).sum()


def test_a_density_sums_to_one_and_no_lag_below_the_horizon_is_impossible():
    density = smooth(EDGES_SECONDS, np.zeros(len(EDGES_SECONDS) - 1))
    assert sum(density.mass) == pytest.approx(1)
    assert density.per_second.min() > 0
    assert len(density.per_second) == density.horizon_seconds


def test_the_first_density_finds_lags_of_seconds_among_chance_pairs(random_seed):
    rng = np.random.default_rng(random_seed)
    at = np.sort(rng.integers(0, 10 * 86_400, 5_000))
    country = rng.integers(0, 10, 5_000)
    density = first_density(conversion_index(country, at), country, at + rng.integers(0, 3, 5_000))
    assert density.per_second[:3].sum() > 0.8
    assert density.horizon_seconds < 60


def test_the_first_density_is_flat_without_an_excess():
    nothing = np.zeros(0, dtype=np.int64)
    assert first_density(conversion_index(nothing, nothing), nothing, nothing).mass == (1.0,)


def test_cutting_leaves_the_shortest_lags_that_hold_the_share():
    density = smooth(EDGES_SECONDS[:11], np.array([900, 50, 30, 10, 5, 1, 1, 1, 1, 1], dtype=float))
    shorter = cut(density, 0.9)
    assert shorter.horizon_seconds < density.horizon_seconds
    assert sum(density.mass[: len(shorter.mass)]) >= 0.9
    assert sum(shorter.mass) == pytest.approx(1)
