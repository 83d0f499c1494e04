"""What the insurance charts share: years in words, and values that a chart can hold."""

from __future__ import annotations

import pandas as pd
import pytest

from quintet.insurance.chart_parts import (
    PREMIUM,
    colours_of,
    finite_measures,
    in_one_text,
    listing,
    loss_ratio_of_all,
    plain_rows,
    premium_in_words,
    short_years_note,
    span_of,
    with_gaps,
    with_lines,
    with_years,
    year_labels,
)
from tests.unit.insurance.chart_frames import LINES


@pytest.mark.parametrize(("items", "text"), [(["a"], "a"), (["a", "b"], "a and b"), ([1, 2, 3], "1, 2 and 3")])
def test_items_are_listed(items: list[object], text: str) -> None:
    assert listing(items) == text


def test_empty_sentences_leave_no_gap() -> None:
    assert in_one_text("One.", "", "Two.") == "One. Two."


@pytest.mark.parametrize(("years", "span"), [([], ""), ([2005], ", 2005"), ([2007, 2005], ", 2005–2007")])
def test_the_years_of_a_title(years: list[int], span: str) -> None:
    assert span_of(pd.DataFrame({"year": years})) == span


def test_a_short_year_is_labelled_with_its_months_and_noted() -> None:
    rows = with_years(LINES)

    assert year_labels(rows) == ["2005|8 mo", "2006", "2007"]
    assert short_years_note(rows, "hollow") == "Incomplete years are hollow: 2005 (8 months)."
    assert short_years_note(rows[~rows["is_short"]], "hollow") == ""


def test_premium_is_compared_with_a_complete_year_only() -> None:
    rows = with_years(with_lines(LINES))

    assert premium_in_words(rows).startswith("2007, the last complete year: 18.0M USD, 0.0% on 2006")
    assert " on 2005" not in premium_in_words(rows[rows["year"] < 2007])
    assert premium_in_words(rows[rows["year"] == 2005]).startswith("2005, not a complete year")


def test_a_value_that_is_not_finite_is_null() -> None:
    rows = finite_measures(pd.DataFrame({"written_premium": [1.0, float("inf"), float("-inf")]}))

    assert rows["written_premium"].isna().tolist() == [False, True, True]
    assert plain_rows(rows, (PREMIUM,))["written_premium"].tolist()[0] == 1.0


def test_a_missing_year_of_a_line_is_a_gap() -> None:
    rows = with_gaps(pd.DataFrame({"line": ["a", "a"], "year": [2005, 2007], "written_premium": [1.0, 2.0]}))

    assert rows["written_premium"].isna().tolist() == [False, True, False]


def test_a_known_name_keeps_its_colour_and_a_new_one_comes_last() -> None:
    scale, shown = colours_of(pd.Series(["z", "b", None]), ("a", "b"))

    assert (list(scale.domain), shown) == (["a", "b", "z"], ["b", "z"])


@pytest.mark.parametrize(("premium", "ratio"), [([100.0, 0.0], 0.6), ([0.0, 0.0], None)])
def test_the_loss_ratio_of_all_is_that_of_the_sums(premium: list[float], ratio: float | None) -> None:
    found = loss_ratio_of_all(pd.DataFrame({"loss_ratio_numerator": [50.0, 10.0], "loss_ratio_denominator": premium}))

    assert found == pytest.approx(ratio) if ratio is not None else pd.isna(found)
