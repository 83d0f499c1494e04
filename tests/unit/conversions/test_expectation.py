"""Expectation maximisation: probabilities that compete, and parameters that fit the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quintet.conversions.candidates import UNKNOWN
from quintet.conversions.expectation import calibrated, country_share, inferred, pair_probabilities, settled
from tests.unit.conversions.pairs import DE, US, candidates, model, world


def test_two_rows_that_want_one_conversion_share_it() -> None:
    alone = inferred(model(), candidates([(1_000, US)], [(1_001, US, UNKNOWN)]))
    rivals = inferred(model(), candidates([(1_000, US)], [(1_001, US, UNKNOWN), (1_002, US, UNKNOWN)]))

    assert alone[0] > 0.99
    assert rivals.sum() <= 1
    assert rivals == pytest.approx([rivals.sum() / 2] * 2)


def test_an_impossible_pair_has_probability_0_and_calibration_keeps_it() -> None:
    pairs = candidates([(1_000, US)], [(1_001, DE, DE)])
    sure = replace(model(any_country_seconds=1), calibration=((0.0, 0.5), (1.0, 1.0)))

    assert pair_probabilities(sure, pairs).tolist() == [0]


def test_calibration_interpolates_between_its_points() -> None:
    bent = replace(model(), calibration=((0.0, 0.0), (0.5, 0.2), (1.0, 1.0)))

    assert calibrated(bent, np.array([0.0, 0.25, 0.5, 0.75])) == pytest.approx([0, 0.1, 0.2, 0.6])


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_training_finds_the_share_of_links_and_the_lag(share: float) -> None:
    (partner,) = settled(model(), world(1_500, share, seed=1)).partners.values()

    assert partner.click_rate == pytest.approx(share, abs=0.05)
    assert np.argmax(partner.lag.per_second) == 1
    assert partner.lag.per_second[1] > 0.4, "from 0.25"
    assert partner.country_share == pytest.approx({"US": 0.5, "DE": 0.5}, abs=0.1)


def test_rows_that_follow_no_conversion_lower_the_share_of_links() -> None:
    linked = world(1_500, 0.9, seed=2)
    late = linked.rows.assign(at_second=linked.rows["at_second"] + 30)
    unlinked = candidates(
        list(linked.conversions[["at_second", "country"]].itertuples(index=False, name=None)),
        list(late[["at_second", "ip", "residency"]].itertuples(index=False, name=None)),
    )
    (related,) = settled(model(), linked).partners.values()
    (unrelated,) = settled(model(), unlinked).partners.values()

    assert related.row_link_share > 0.9
    assert unrelated.row_link_share < 0.2


def test_a_partner_without_rows_keeps_its_parameters() -> None:
    first = model()

    assert settled(first, candidates([(1_000, US)], [])).partners == first.partners


def test_training_again_from_its_own_result_changes_little() -> None:
    pairs = world(800, 0.7, seed=3)
    once = settled(model(), pairs)
    (first,), (again,) = once.partners.values(), settled(once, pairs).partners.values()

    assert again.click_rate == pytest.approx(first.click_rate, abs=0.01)
    assert again.lag.mass == pytest.approx(first.lag.mass, abs=0.01)


def test_shares_of_countries_leave_out_the_unknown_and_sum_to_one() -> None:
    assert country_share(np.array([US, US, DE, UNKNOWN]), np.array([1.0, 1.0, 2.0, 9.0])) == {"DE": 0.5, "US": 0.5}
    assert country_share(np.array([UNKNOWN]), np.ones(1)) == {}
