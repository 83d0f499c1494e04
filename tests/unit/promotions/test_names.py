"""How alike the names of two accounts are."""

from __future__ import annotations

import numpy as np
import pytest

from quintet.promotions.names import are_strangers, family_name, full_name, similarity


@pytest.mark.parametrize(
    ("first", "last", "name", "family"),
    [
        ("Ana", "Ruiz", "ana ruiz", "ruiz"),
        ("Ana", "de la Cruz", "ana de la cruz", "cruz"),
        ("Ana", None, "ana", ""),
        (None, None, "", ""),
    ],
)
def test_the_family_name_is_the_last_of_several_words(first: str | None, last: str | None, name: str, family: str):
    assert full_name(first, last) == name
    assert family_name(name) == family


def test_accounts_with_one_family_name_are_no_strangers():
    names = ["ana ruiz", "ivan ivanov", "ana ruiz", "ana", ""]
    others = ["leo ruiz", "olga ivanova", "leo smith", "leo ruiz", ""]

    np.testing.assert_equal(are_strangers(names, others), [0, 0, 1, np.nan, np.nan])
    assert are_strangers([], []).tolist() == []


def test_equal_names_are_most_alike():
    assert similarity(["ana ruiz", "ana ruiz"], ["ana ruiz", "bob"]).tolist() == [1.0, pytest.approx(0, abs=0.5)]
