"""A scale says that it does not start at zero exactly where it does not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.presentation.scales import line_scale


@pytest.mark.parametrize(
    ("values", "is_said"),
    [
        ([80, 90, 100], True),
        ([10, 100], False),
        ([-5, 5], False),
        ([], False),
        ([math.nan, 0.9, 0.95], True),
        ([0], False),
    ],
)
def test_the_note_is_there_where_zero_is_not(values: list[float], is_said: bool) -> None:
    scale, note = line_scale(values, "axis")

    assert (note == "The axis does not start at zero.") == is_said
    assert scale.to_dict()["zero"] != is_said


@given(st.lists(st.floats(-1e9, 1e9), max_size=9))
def test_a_scale_without_the_note_has_zero_in_it(values: list[float]) -> None:
    scale, note = line_scale(values)

    assert scale.to_dict()["zero"] == (not note)
    if note:
        assert min(values) > 0
