"""The threshold and the one-to-one assignment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from quintet.conversions.assign import best_threshold, one_to_one


def test_the_threshold_is_a_little_under_half_of_the_best_expected_f1():
    f1 = 2 * 2.9 / 6
    assert 0.9 * f1 / 2 < best_threshold(np.array([1.0, 1.0, 0.9, 0.1]), links=3.0) < f1 / 2


def test_without_pairs_the_threshold_is_even_odds():
    assert best_threshold(np.zeros(0), 0.0) == 0.5


def test_two_sure_links_beat_one_surer_one():
    row, column = np.array([0, 0, 1]), np.array([0, 1, 0])
    assert one_to_one(row, column, np.array([0.9, 0.6, 0.6])).tolist() == [False, True, True]


def test_equal_rows_and_conversions_are_paired_in_order():
    row, column = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert one_to_one(row, column, np.full(4, 0.5)).tolist() == [True, False, False, True]


def test_a_tie_is_broken_alike_whatever_else_is_decided():
    row, column = np.array([0, 0, 1, 1, 2, 3, 3]), np.array([0, 2, 3, 4, 5, 0, 1])
    gain = np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5])
    alone = one_to_one(row, column, gain)
    beside = one_to_one(np.r_[row, row + 10, row + 20], np.r_[column, column + 10, column + 20], np.tile(gain, 3))
    assert beside.tolist() == [*alone, *alone, *alone]


@settings(deadline=None)
@given(st.data())
def test_the_choice_is_one_to_one_and_as_good_as_the_best(data):
    pairs = sorted(data.draw(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40)))
    row, column = (np.array(side) for side in zip(*pairs, strict=True))
    gain = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=len(pairs), max_size=len(pairs))))
    kept = one_to_one(row, column, gain)
    assert len(set(row[kept])) == len(set(column[kept])) == kept.sum()
    matrix = np.zeros((10, 10))
    matrix[row, column] = gain
    assert gain[kept].sum() == pytest.approx(matrix[linear_sum_assignment(matrix, maximize=True)].sum(), abs=1e-6)
    moved = one_to_one(np.r_[row, row + 10, row + 20], np.r_[column, column + 10, column + 20], np.tile(gain, 3))
    assert moved[: len(row)].tolist() == kept.tolist()
