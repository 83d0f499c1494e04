"""Detecting the conversions of a burst."""

from __future__ import annotations

import numpy as np

from quintet.conversions.bursts import AROUND_SECONDS, LEAST_OTHERS, in_burst

_DAY = 86_400


def test_forty_conversions_in_ten_minutes_of_a_quiet_country_are_a_burst_and_those_of_the_day_are_not(random_seed):
    rng = np.random.default_rng(random_seed)
    quiet, bots = rng.integers(0, _DAY, 60), rng.integers(40_000, 40_600, 40)
    away = np.abs(quiet - 40_300) > 300 + AROUND_SECONDS
    found = in_burst(np.zeros(100, np.int64), np.concatenate([quiet, bots]), _DAY)
    assert found[60:].mean() > 0.9
    assert not found[:60][away].any()


def test_the_usual_rate_of_a_busy_country_is_no_burst(random_seed):
    at = np.random.default_rng(random_seed).integers(0, _DAY, 50_000)
    assert in_burst(np.zeros(50_000, np.int64), at, _DAY).mean() < 0.01


def test_each_group_is_judged_by_itself():
    at = np.tile(np.arange(LEAST_OTHERS + 1), 2)
    together = in_burst(np.zeros(len(at), np.int64), at, _DAY)
    apart = in_burst(np.arange(len(at)), at, _DAY)
    assert together.all()
    assert not apart.any()


def test_a_few_conversions_of_a_rare_country_are_no_burst_and_no_conversions_give_none():
    assert not in_burst(np.zeros(LEAST_OTHERS, np.int64), np.arange(LEAST_OTHERS), _DAY).any()
    assert not len(in_burst(np.zeros(0, np.int64), np.zeros(0, np.int64), _DAY))
