"""Names and values of dimensions: hostile, long, empty and mixed ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.payments.dimensions import LONGEST_VALUE, MOST_DIMENSIONS, OTHERS, clean_value, parse_dimensions


def test_names_are_read_in_their_order() -> None:
    assert parse_dimensions("merchant, issuer country_2") == ("merchant", "issuer", "country_2")
    assert parse_dimensions("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "Merchant",
        "merchant merchant",
        "status",
        "count, merchant",
        "a-b",
        "<b>",
        "x" * 31,
        " ".join(f"d{number}" for number in range(MOST_DIMENSIONS + 1)),
    ],
)
def test_names_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dimension"):
        parse_dimensions(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("  Acme\tGmbH ", "acme gmbh"),
        ("ACME\u202e\x00 gmbh", "acme gmbh"),
        ("<b>Acme</b>", "<b>acme</b>"),
        ("\x07\n ", ""),
        ("\ud800", ""),
        ("Cafe\u0301", "caf\u00e9"),
        ("All Others", "all others"),
    ],
)
def test_case_blanks_and_marks_without_a_shape_do_not_count(text: str, value: str) -> None:
    assert clean_value(text) == value


def test_long_values_are_cut_and_stay_different() -> None:
    first, second = clean_value("x" * 5_000), clean_value("x" * 4_999 + "y")

    assert len(first) == len(second) == LONGEST_VALUE
    assert first != second
    assert clean_value("X" * 5_000) == first


@given(st.text(max_size=300))
def test_a_clean_value_is_clean_and_never_the_name_of_the_rest(text: str) -> None:
    value = clean_value(text)

    assert clean_value(value) == value or len(value) == LONGEST_VALUE
    assert len(value) <= LONGEST_VALUE
    assert value != OTHERS
