"""Query parameters of lists: several values, repeated or separated by commas."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from quintet.web.lists import PageQuery, split_values


@pytest.mark.parametrize(
    ("given", "split"),
    [
        (["a,b", "c"], ["a", "b", "c"]),
        (["b", "a"], ["b", "a"]),
        ([], []),
        ([""], [""]),
        ([1, "2,3"], [1, "2", "3"]),
        ("a,b", "a,b"),
        (None, None),
    ],
)
def test_values_are_split_in_their_order(given: Any, split: Any) -> None:
    assert split_values(given) == split


@pytest.mark.parametrize("given", [{"page_size": 0}, {"page_size": 1_001}, {"page_token": "x" * 4_001}, {"colour": 1}])
def test_a_page_out_of_bounds_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PageQuery(**given)


def test_a_page_has_a_usual_size() -> None:
    assert (PageQuery().page_size, PageQuery().page_token) == (50, None)
