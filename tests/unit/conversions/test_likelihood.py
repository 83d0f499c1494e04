"""Likelihood ratios of pairs: what speaks for a link raises them, what is impossible makes them 0."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quintet.conversions.candidates import UNKNOWN
from quintet.conversions.likelihood import weights
from quintet.conversions.matching_model import LagDensity
from tests.unit.conversions.pairs import DE, US, candidates, model


def weight_of(lag_seconds: int, ip: int = US, residency: int = UNKNOWN, **changed: object) -> float:
    """Return the ratio of one pair: a conversion from the US, and a row."""
    (found,) = weights(model(**changed), candidates([(1_000, US)], [(1_000 + lag_seconds, ip, residency)]))
    return float(found)


def test_an_ip_country_that_agrees_speaks_for_a_link_and_another_against_it() -> None:
    assert weight_of(1) > 10 * weight_of(1, ip=DE)


def test_a_residency_that_agrees_speaks_for_a_link_where_the_ip_is_of_another_country() -> None:
    assert weight_of(1, ip=DE, residency=US) > 10 * weight_of(1, ip=DE, residency=DE)


def test_a_likelier_lag_weighs_as_much_more_as_its_density() -> None:
    steep = LagDensity((0, 1, 2, 3, 4), (0.1, 0.6, 0.2, 0.1))

    assert weight_of(1, lag=steep) == pytest.approx(6 * weight_of(3, lag=steep))


def test_a_lag_beyond_the_partners_horizon_has_no_weight() -> None:
    assert weight_of(1, lag=LagDensity((0, 1), (1.0,))) == 0
    assert weight_of(0, lag=LagDensity((0, 1), (1.0,))) > 0


def test_a_pair_of_other_countries_counts_only_within_the_partners_short_lag() -> None:
    assert weight_of(1, ip=DE, any_country_seconds=1) == 0
    assert weight_of(1, ip=US, any_country_seconds=1) > 0


def test_a_partner_with_more_links_weighs_by_its_odds() -> None:
    half, most = weight_of(1, click_rate=0.5), weight_of(1, click_rate=0.75)

    assert most == pytest.approx(3 * half)


def test_rows_close_together_make_a_link_by_chance_likelier() -> None:
    alone = weight_of(1)
    crowd = candidates([(1_000, US)], [(1_001, US, UNKNOWN), *((3_000 + n, US, UNKNOWN) for n in range(9))])
    found = weights(model(), crowd)

    assert found[0] == pytest.approx(alone / 10)


def test_without_rows_there_are_no_weights() -> None:
    assert not len(weights(model(), candidates([(1, US)], [])))


def test_partners_share_the_conversions() -> None:
    one = model()
    both = replace(one, partners={"one": one.partners["one"], "two": one.partners["one"]})
    pair = candidates([(1_000, US)], [(1_001, US, UNKNOWN)])

    assert weights(both, pair)[0] > weights(one, pair)[0], "fewer conversions are left without any link"
