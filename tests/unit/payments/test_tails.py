"""Tails of counts whose rate is uncertain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quintet.payments.tails import as_score, lower_tail, upper_tail


@given(count=st.integers(0, 400), expected=st.floats(0.01, 300), shape=st.floats(0.5, 1_000))
def test_both_tails_are_those_of_the_negative_binomial(count: int, expected: float, shape: float):
    law = stats.nbinom(shape, shape / (shape + expected))

    assert float(upper_tail(count, expected, shape)) == pytest.approx(law.sf(count - 1), rel=1e-6, abs=1e-300)
    assert float(lower_tail(count, expected, shape)) == pytest.approx(law.cdf(count), rel=1e-6, abs=1e-300)


def test_a_certain_rate_is_poisson_and_an_uncertain_one_gives_lower_scores():
    sure, unsure = upper_tail(np.array(20), np.array(8.0), np.array([1e9, 5.0]))

    assert sure == pytest.approx(stats.poisson(8).sf(19), rel=1e-4)
    assert unsure > 10 * sure


def test_a_score_is_bounded_where_the_probability_vanishes():
    assert as_score(np.array([1e-6, 0.0])).tolist() == pytest.approx([6.0, 300.0])
