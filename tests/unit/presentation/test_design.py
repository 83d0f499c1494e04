import math
import re
from itertools import product

import altair as alt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.presentation.design import (
    CATEGORY,
    COLOURS,
    MISSING,
    RAMP,
    STRONG_CLASSES,
    STYLES,
    Column,
    Figure,
    as_text,
    compact,
    css,
    format_value,
    is_missing,
    vega_config,
)

SCHEMES = ("light", "dark")
TEXT = 4.5  # WCAG 2, AA
GRAPHICS = 3.0


def figure(chart: alt.Chart | None) -> Figure:
    return Figure("a-figure", "A title", "A sentence.", chart, pd.DataFrame({"a": [1]}), (Column("a", "A"),), "Why")


def contrast(one: str, other: str) -> float:
    """Return the WCAG 2 contrast of two colours `#rrggbb`, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# -- colours -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.478), ("#0072b2", "#0072b2", 1)],
)
def test_contrast_follows_wcag_in_either_order(one: str, other: str, expected: float) -> None:
    assert contrast(one, other) == pytest.approx(expected, abs=0.001)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize(("scheme", "behind"), list(product(SCHEMES, ("page", "rail", "raised"))))
def test_text_can_be_read_on_every_surface(scheme, behind) -> None:
    colours = COLOURS[scheme]
    words = ("ink", "ink-muted", "accent", "good", "warning", "critical")
    assert {word: contrast(colours[word], colours[behind]) for word in words if
            contrast(colours[word], colours[behind]) < TEXT} == {}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_on_their_tint_and_on_buttons_can_be_read(scheme) -> None:
    colours = COLOURS[scheme]
    pairs = [(name, f"{name}-soft") for name in ("accent", "good", "warning", "critical")]
    pairs += [("on-accent", "accent"), ("ink", "accent-soft"), ("ink-muted", "skeleton"), ("ink", "skeleton")]
    assert [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < TEXT] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_controls_and_categories_stand_out_from_the_page(scheme) -> None:
    shown = [COLOURS[scheme]["control"], *CATEGORY[scheme]]
    assert [colour for colour in shown if contrast(colour, COLOURS[scheme]["page"]) < GRAPHICS] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_label_on_each_class_of_a_ramp_can_be_read(scheme) -> None:
    ramp, colours = RAMP[scheme], COLOURS[scheme]
    weak, strong = ramp[:-STRONG_CLASSES], ramp[-STRONG_CLASSES:]
    assert [colour for colour in weak if contrast(colour, colours["ink"]) < TEXT] == []
    assert [colour for colour in strong if contrast(colour, colours["page"]) < TEXT] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_ramp_goes_from_the_page_away_step_by_step(scheme) -> None:
    steps = [contrast(colour, COLOURS[scheme]["page"]) for colour in RAMP[scheme]]
    assert steps == sorted(steps)


def test_both_schemes_give_every_colour_that_the_other_has() -> None:
    assert set(COLOURS["light"]) == set(COLOURS["dark"])
    assert len(CATEGORY["light"]) == len(CATEGORY["dark"]) == len(set(CATEGORY["light"])) == len(set(CATEGORY["dark"]))


def test_the_css_has_light_and_dark_tokens_and_prints_the_light_ones() -> None:
    light, dark, printed = css().splitlines()
    assert f"--page:{COLOURS['light']['page']};" in light
    assert f"--page:{COLOURS['dark']['page']};" in dark
    assert "prefers-color-scheme:dark" in dark
    assert f"--page:{COLOURS['light']['page']};" in printed
    assert printed.startswith("@media print")
    names = [set(re.findall(r"(--[\w-]+):", line)) for line in (dark, printed)]
    assert names[0] == names[1] <= set(re.findall(r"(--[\w-]+):", light))


# -- the chart theme ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_style_that_a_chart_may_name_is_in_the_theme(scheme) -> None:
    assert set(STYLES) == set(vega_config(scheme)["style"])


def test_the_themes_differ_in_colour_alone() -> None:
    def without_colours(value):
        if isinstance(value, dict):
            return {name: without_colours(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [without_colours(inner) for inner in value]
        return "colour" if isinstance(value, str) and value.startswith("#") else value

    assert without_colours(vega_config("light")) == without_colours(vega_config("dark"))
    assert vega_config("light") != vega_config("dark")


def test_a_specification_carries_no_theme_whichever_is_enabled() -> None:
    chart = alt.Chart(pd.DataFrame({"a": [1]})).mark_bar().encode(x="a:Q")
    before = alt.theme.active
    try:
        alt.theme.register("loud", enable=True)(lambda: alt.theme.ThemeConfig(config={"background": "red"}))
        spec = figure(chart).spec()
        in_a_notebook = chart.to_dict()
    finally:
        alt.theme.enable(before)
    assert "config" not in spec
    assert in_a_notebook["config"]["background"] == "red"


def test_a_figure_without_a_chart_has_no_specification_and_says_why() -> None:
    with pytest.raises(ValueError, match="a-figure has no chart: Why"):
        figure(None).spec()


@pytest.mark.parametrize(("kind", "expected"), [("money", True), ("percent", True), ("text", False), ("year", False)])
def test_numeric_columns_are_figures_and_names_are_not(kind, expected) -> None:
    assert Column("a", "A", kind).is_figure is expected


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (17_507_846.70, "money", "17,507,847"),
        (-3_600.4, "money", "−3,600"),
        (-0.4, "money", "0"),
        (0.944463, "percent", "94.4%"),
        (0.032, "change", "+3.2%"),
        (-0.032, "change", "−3.2%"),
        (0.0, "change", "0.0%"),
        (-0.0001, "change", "0.0%"),
        (0.12345, "decimal", "0.123"),
        (2014, "year", "2014"),
        (1234, "identifier", "1234"),
        (1234, "count", "1,234"),
        ("CYCLES  12", "text", "CYCLES  12"),
        (pd.Timestamp("2026-11-21 09:44:16.5"), "moment", "2026-11-21 09:44"),
        (None, "money", MISSING),
        (math.nan, "percent", MISSING),
        (math.inf, "percent", MISSING),
        (pd.NA, "count", MISSING),
        (pd.NaT, "moment", MISSING),
    ],
)
def test_a_value_is_formatted_for_people(value, kind, expected: str) -> None:
    assert format_value(value, kind) == expected


@pytest.mark.parametrize("value", [0, "", False, [], {"a": None}])
def test_empty_text_and_zero_are_not_missing(value) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (950, "950"),
        (999.6, "1.00k"),
        (1_204, "1.20k"),
        (17_507_846.7, "17.5M"),
        (999_999, "1.00M"),
        (4_188_201_163.52, "4.19B"),
        (5e12, "5,000B"),
        (-2_500, "−2.50k"),
        (math.nan, MISSING),
        (-math.inf, MISSING),
    ],
)
def test_a_large_number_is_written_with_three_digits(value: float, expected: str) -> None:
    assert compact(value) == expected


def test_an_amount_carries_its_currency_and_a_missing_one_none() -> None:
    assert compact(17_507_846.7, "USD") == "17.5M USD"
    assert compact(math.nan, "USD") == MISSING


@given(st.floats(min_value=-1e14, max_value=1e14))
def test_three_digits_are_off_by_at_most_half_of_the_last(value: float) -> None:
    text = compact(value).replace("−", "-").replace(",", "")
    scale = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    assert float(text.rstrip("kMB")) * scale == pytest.approx(value, rel=0.00501, abs=1e-300)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"])
def test_a_text_that_looks_like_a_formula_gets_an_apostrophe(text: str):
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "CYCLES  12", "1-2", "a=b", "'=1", "é", "[@]"])
def test_any_other_text_stays_as_it_is(text: str):
    assert as_text(text) == text


def test_characters_that_a_workbook_cannot_carry_are_replaced():
    assert as_text("a\x00b\ud800c\td") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\td"
