"""Probabilities of links where conversions and rows compete."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.conversions.marginals import link_probabilities, most_likely_rival


def _exact(row: np.ndarray, conversion: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """By the sum over all one-to-one choices of pairs."""
    total, linked = 0.0, np.zeros(len(row))
    for choice in product([False, True], repeat=len(row)):
        chosen = np.array(choice)
        if len(set(row[chosen])) == chosen.sum() == len(set(conversion[chosen])):
            share = weight[chosen].prod()
            total += share
            linked += share * chosen
    return linked / total


def test_a_pair_without_rivals_has_the_odds_of_its_weight():
    probability, _ = link_probabilities(np.array([0]), np.array([0]), np.array([3.0]))
    assert probability == pytest.approx([0.75], abs=1e-3)


def test_a_chain_is_exact():
    row, conversion, weight = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), np.array([5.0, 2.0, 4.0, 0.5])
    probability, _ = link_probabilities(row, conversion, weight)
    assert probability == pytest.approx(_exact(row, conversion, weight), abs=2e-3)


def test_on_a_loop_it_is_near_and_keeps_the_order():
    row, conversion, weight = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([3.0, 1.0, 0.5, 2.0])
    probability, _ = link_probabilities(row, conversion, weight)
    exact = _exact(row, conversion, weight)
    assert probability == pytest.approx(exact, abs=0.1)
    assert list(np.argsort(probability)) == list(np.argsort(exact))


@settings(deadline=None)
@given(st.data())
def test_no_row_and_no_conversion_is_linked_more_than_once_and_neighbours_change_nothing(data):
    pairs = sorted(data.draw(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15)))
    row, conversion = (np.array(side) for side in zip(*pairs, strict=True))
    weight = np.array(data.draw(st.lists(st.floats(1e-3, 1e3), min_size=len(pairs), max_size=len(pairs))))
    probability, _ = link_probabilities(row, conversion, weight)
    assert np.bincount(row, probability).max() <= 1 + 1e-9
    assert np.bincount(conversion, probability).max() <= 1 + 1e-9
    twice, _ = link_probabilities(np.r_[row, row + 6], np.r_[conversion, conversion + 6], np.r_[weight, 2 * weight])
    assert twice[: len(row)].tolist() == probability.tolist()


def test_the_rival_of_the_likeliest_is_the_second_and_of_all_others_the_likeliest():
    group, probability = np.array([0, 0, 0, 1]), np.array([0.5, 0.2, 0.1, 0.9])
    assert most_likely_rival(group, probability).tolist() == [0.2, 0.5, 0.5, 0.0]


def test_the_rival_of_an_equal_pair_is_as_likely():
    assert most_likely_rival(np.array([0, 0]), np.array([0.4, 0.4])).tolist() == [0.4, 0.4]
