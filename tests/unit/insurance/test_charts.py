"""The figures of premium and losses, and what holds for every insurance figure."""

import json
import math
import re
import warnings
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.insurance import agency_charts, chart_parts, charts, forecast_charts
from quintet.presentation.design import STYLES, Figure
from tests.unit.insurance.chart_frames import (
    AGENCIES,
    FORECAST,
    LINES,
    SCORES,
    SEGMENTS,
    STATES,
    by_line_and_year,
    by_state_and_year,
    data_of,
    drawn,
)

VEGA_LITE = "6.4"
FIGURES: dict[str, Callable[[], Figure]] = {
    "premium": lambda: charts.premium_by_year_and_line(LINES),
    "loss ratio": lambda: charts.loss_ratio_by_state_and_year(STATES),
    "top": lambda: agency_charts.agencies_ranked(AGENCIES, count=2),
    "bottom": lambda: agency_charts.agencies_ranked(AGENCIES, "bottom", count=2),
    "growth": lambda: agency_charts.agencies_ranked(AGENCIES, by="growth_rate"),
    "scatter": lambda: agency_charts.agency_scatter(AGENCIES),
    "scatter with segments": lambda: agency_charts.agency_scatter(
        AGENCIES.assign(segment=["keep", "repair", "repair", None])
    ),
    "forecast": lambda: forecast_charts.forecast_with_bands(LINES, FORECAST),
    "backtest": lambda: forecast_charts.forecast_backtest(SCORES),
    "history": lambda: agency_charts.agency_history(LINES),
    "segments": lambda: agency_charts.segments(SEGMENTS),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "premium": lambda: charts.premium_by_year_and_line(LINES.head(0)),
    "loss ratio": lambda: charts.loss_ratio_by_state_and_year(STATES.head(0)),
    "top": lambda: agency_charts.agencies_ranked(AGENCIES.head(0)),
    "bottom": lambda: agency_charts.agencies_ranked(AGENCIES.head(0), "bottom"),
    "growth": lambda: agency_charts.agencies_ranked(AGENCIES.head(0), by="growth_rate"),
    "scatter": lambda: agency_charts.agency_scatter(AGENCIES.head(0)),
    "forecast": lambda: forecast_charts.forecast_with_bands(LINES, FORECAST.head(0)),
    "backtest": lambda: forecast_charts.forecast_backtest(SCORES.head(0)),
    "history": lambda: agency_charts.agency_history(LINES.head(0)),
    "segments": lambda: agency_charts.segments(SEGMENTS.head(0)),
}
each_figure = pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())


def text_of(figure: Figure) -> str:
    return json.dumps(figure.spec(), allow_nan=False, default=str)


@each_figure
def test_a_figure_has_a_chart_and_a_sentence_with_a_number(make: Callable[[], Figure]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = make()
        assert "mark-" in drawn(figure)
    assert re.search(r"\d", figure.alternative)
    assert figure.alternative.endswith(".")
    assert "nan" not in figure.alternative.lower()


@each_figure
def test_a_figure_names_no_colour_and_no_style_beyond_the_theme(make: Callable[[], Figure]) -> None:
    spec = text_of(make())
    assert re.findall(r'"#[0-9a-fA-F]{3,8}"', spec) == []
    assert set(re.findall(r'"style": "([\w-]+)"', spec)) <= set(STYLES)


@each_figure
def test_a_figure_leaves_its_width_to_the_page_and_has_a_height(make: Callable[[], Figure]) -> None:
    figure = make()
    assert "width" not in figure.spec()
    assert figure.spec().get("height", figure.height) == figure.height


@each_figure
def test_every_column_of_a_figure_s_table_exists(make: Callable[[], Figure]) -> None:
    figure = make()
    assert [column.name for column in figure.columns if column.name not in figure.table] == []
    assert len(figure.table) > 0


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY.keys())
def test_an_empty_figure_has_no_chart_and_a_note_on_what_to_do(make: Callable[[], Figure]) -> None:
    figure = make()
    assert figure.chart is None
    assert len(figure.table) == 0
    assert "eset" in figure.note
    assert "make run" in figure.note


def test_names_of_figures_are_unique() -> None:
    names = [make().name for title, make in FIGURES.items() if title != "scatter with segments"]
    assert len(set(names)) == len(names)


amounts = st.one_of(st.none(), st.just(0.0), st.floats(-1e7, 1e9), st.just(math.inf), st.just(math.nan))


# ten: an example draws every chart, which takes half a second
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "prod_line": st.sampled_from(["CL", "PL", "XL"]),
                "year": st.integers(1990, 2030),
                "months_covered": st.integers(1, 12),
                "written_premium": amounts,
                "incurred_losses": amounts,
                "loss_ratio": amounts,
                "growth_rate": amounts,
                "loss_ratio_numerator": amounts,
                "loss_ratio_denominator": amounts,
            }
        ),
        max_size=8,
        unique_by=lambda row: (row["prod_line"], row["year"]),
    )
)
def test_no_figures_however_odd_break_a_chart(rows: list[dict]) -> None:
    frame = by_line_and_year(*rows) if rows else LINES.head(0)
    states = frame.rename(columns={"prod_line": "state_abbr"})
    agencies = frame.assign(agency_id=range(len(frame)))
    for figure in (
        charts.premium_by_year_and_line(frame),
        agency_charts.agency_history(frame),
        forecast_charts.forecast_with_bands(frame, FORECAST),
        charts.loss_ratio_by_state_and_year(states),
        agency_charts.agencies_ranked(agencies),
        agency_charts.agencies_ranked(agencies, "bottom"),
        agency_charts.agencies_ranked(agencies, by="growth_rate"),
        agency_charts.agency_scatter(agencies),
    ):
        if figure.chart is None:
            assert figure.note
        else:
            text_of(figure)


def test_premium_states_the_last_complete_year_with_its_change_and_its_lines() -> None:
    assert charts.premium_by_year_and_line(LINES).alternative == (
        "2007, the last complete year: 18.0M USD, 0.0% on 2006 "
        "(Commercial (CL) 7.50M USD, Personal (PL) 10.5M USD)."
    )  # fmt: skip


def test_premium_is_not_compared_with_a_short_year() -> None:
    assert " on 2005" not in charts.premium_by_year_and_line(LINES[LINES["year"] < 2007]).alternative


def test_a_short_year_is_hollow_with_its_months() -> None:
    figure = charts.premium_by_year_and_line(LINES)
    assert figure.note == "Incomplete years are hollow: 2005 (8 months)."
    assert {row["year_label"] for row in data_of(figure)} == {"2005|8 mo", "2006", "2007"}
    assert "Short" not in charts.premium_by_year_and_line(LINES[LINES["year"] > 2005]).note


def test_a_line_keeps_its_colour_where_the_other_is_filtered_away() -> None:
    both = charts.premium_by_year_and_line(LINES)
    one = charts.premium_by_year_and_line(LINES[LINES["prod_line"] == "PL"])
    domains = [figure.spec()["layer"][0]["encoding"]["fill"]["scale"]["domain"] for figure in (both, one)]
    assert domains[0] == domains[1] == list(chart_parts.LINES.values())
    assert one.spec()["layer"][0]["encoding"]["fill"]["legend"]["values"] == ["Personal (PL)"]


def test_a_tiny_premium_leaves_its_cell_without_colour_and_the_table_with_its_ratio() -> None:
    figure = charts.loss_ratio_by_state_and_year(STATES)
    faint = [row for row in data_of(figure) if row["is_faint"]]
    assert [row["state_abbr"] for row in faint] == ["MI"]
    assert f"{charts.LEAST_PREMIUM_USD:,} USD" in figure.note
    assert figure.table.query("state_abbr == 'MI' and year == 2010")["loss_ratio"].tolist() == [-110.0]


def test_the_highest_loss_ratio_is_that_of_a_cell_with_enough_premium() -> None:
    tiny = by_state_and_year({"loss_ratio": 0.3}, {"year": 2011, "loss_ratio": 9.0, "written_premium": 10.0})
    assert charts.loss_ratio_by_state_and_year(tiny).alternative.endswith("Highest: OH in 2010, 30.0%.")


def test_a_missing_loss_ratio_is_a_gap_and_not_a_zero() -> None:
    figure = charts.loss_ratio_by_state_and_year(STATES)
    assert [row for row in data_of(figure) if row["loss_ratio"] is None] == []
    assert data_of(figure)
    assert "A gap is a year without premium" in figure.note
    assert "A gap" not in charts.loss_ratio_by_state_and_year(STATES.head(2)).note


def test_the_loss_ratio_of_all_counts_losses_that_have_no_premium_of_their_own() -> None:
    frame = by_state_and_year(
        {"loss_ratio": 0.5}, {"year": 2011, "loss_ratio": None, "loss_ratio_denominator": 0.0, "written_premium": 0.0}
    )
    assert "All states together: 100.0%." in charts.loss_ratio_by_state_and_year(frame).alternative
