import json
import math
import re
import warnings
from collections.abc import Callable

import pandas as pd
import pytest
import vl_convert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quintet.insurance import charts
from quintet.presentation.design import STYLES, Figure, vega_config

VEGA_LITE = "6.4"


def summary(*rows: dict) -> pd.DataFrame:
    """Return rows as `performance.summary_frame` does; other values are those of an ordinary row."""
    ordinary = {
        "rows": 1,
        "agencies": 1,
        "months_covered": 12,
        "written_premium": 1_000_000.0,
        "new_business_premium": 100_000.0,
        "incurred_losses": 500_000.0,
        "policies_in_force": 100,
        "loss_ratio": 0.5,
        "retention_ratio": 0.9,
        "growth_rate": 0.1,
        "loss_ratio_numerator": 500_000.0,
        "loss_ratio_denominator": 1_000_000.0,
    }
    return pd.DataFrame([ordinary | row for row in rows]).astype(
        {"months_covered": "Int64", "policies_in_force": "Int64"}
    )


def by_line_and_year(*rows: dict) -> pd.DataFrame:
    return summary(*({"prod_line": "CL", "year": 2010} | row for row in rows)).astype({"year": "Int64"})


def by_state_and_year(*rows: dict) -> pd.DataFrame:
    return summary(*({"state_abbr": "OH", "year": 2010} | row for row in rows)).astype({"year": "Int64"})


def by_agency(*rows: dict) -> pd.DataFrame:
    return summary(*({"agency_id": number} | row for number, row in enumerate(rows, 1))).astype({"agency_id": "Int64"})


LINES = by_line_and_year(
    {"year": 2005, "months_covered": 8, "written_premium": 5e6},
    {"year": 2006, "written_premium": 7e6},
    {"year": 2007, "written_premium": 7.5e6},
    {"year": 2005, "prod_line": "PL", "months_covered": 8, "written_premium": 8e6},
    {"year": 2006, "prod_line": "PL", "written_premium": 11e6},
    {"year": 2007, "prod_line": "PL", "written_premium": 10.5e6},
)
STATES = by_state_and_year(
    {"loss_ratio": 0.3},
    {"year": 2011, "loss_ratio": 1.4},
    {"state_abbr": "MI", "loss_ratio": -110.0, "written_premium": 900.0},
    {"state_abbr": "MI", "year": 2011, "loss_ratio": None, "written_premium": 0.0},
)
AGENCIES = by_agency(
    {"written_premium": 4e6},
    {"written_premium": 2e6, "loss_ratio": 3.5, "incurred_losses": 7e6},
    {"written_premium": 2e6, "loss_ratio": 0.9},
    {"written_premium": 0.0, "loss_ratio": None},
)
FORECAST = pd.DataFrame(
    {
        "prod_line": ["CL", "PL"],
        "year": [2008, 2008],
        "forecast": [7.6e6, 10.4e6],
        "lo80": [7e6, None],
        "hi80": [8e6, None],
        "lo95": [6.5e6, None],
        "hi95": [8.5e6, None],
        "model": ["naive", "naive"],
    }
)
SCORES = pd.DataFrame(
    {
        "model": ["forest", "naive", "best_so_far", "forest", "naive"],
        "year": pd.array([None, None, None, 2014, 2014], dtype="Int64"),
        "wape": [0.12, 0.14, 0.13, 0.11, 0.15],
        "coverage80": [0.8, 0.79, 0.8, 0.8, 0.7],
        "coverage95": [0.95, 0.94, 0.95, 0.95, 0.9],
        "n": [400, 400, 400, 80, 80],
        "is_chosen": [True, False, False, True, False],
        "explanation": ["The forecast is a forest of trees: 14% below the last complete year.", None, None, None, None],
    }
)
SEGMENTS = pd.DataFrame(
    {
        "segment": ["repair", "keep"],
        "rule": ["Loss ratio is 70% or more.", "The rest."],
        "agencies": [1, 3],
        "written_premium": [1e6, 3e6],
        "loss_ratio": [0.9, 0.4],
    }
)

FIGURES: dict[str, Callable[[], Figure]] = {
    "premium": lambda: charts.premium_by_year_and_line(LINES),
    "loss ratio": lambda: charts.loss_ratio_by_state_and_year(STATES),
    "top": lambda: charts.agencies_ranked(AGENCIES, count=2),
    "bottom": lambda: charts.agencies_ranked(AGENCIES, "bottom", count=2),
    "growth": lambda: charts.agencies_ranked(AGENCIES, by="growth_rate"),
    "scatter": lambda: charts.agency_scatter(AGENCIES),
    "scatter with segments": lambda: charts.agency_scatter(AGENCIES.assign(segment=["keep", "repair", "repair", None])),
    "forecast": lambda: charts.forecast_with_bands(LINES, FORECAST),
    "backtest": lambda: charts.forecast_backtest(SCORES),
    "history": lambda: charts.agency_history(LINES),
    "segments": lambda: charts.segments(SEGMENTS),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "premium": lambda: charts.premium_by_year_and_line(LINES.head(0)),
    "loss ratio": lambda: charts.loss_ratio_by_state_and_year(STATES.head(0)),
    "top": lambda: charts.agencies_ranked(AGENCIES.head(0)),
    "bottom": lambda: charts.agencies_ranked(AGENCIES.head(0), "bottom"),
    "growth": lambda: charts.agencies_ranked(AGENCIES.head(0), by="growth_rate"),
    "scatter": lambda: charts.agency_scatter(AGENCIES.head(0)),
    "forecast": lambda: charts.forecast_with_bands(LINES, FORECAST.head(0)),
    "backtest": lambda: charts.forecast_backtest(SCORES.head(0)),
    "history": lambda: charts.agency_history(LINES.head(0)),
    "segments": lambda: charts.segments(SEGMENTS.head(0)),
}
each_figure = pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())


def text_of(figure: Figure) -> str:
    return json.dumps(figure.spec(), allow_nan=False, default=str)


def drawn(figure: Figure) -> str:
    return vl_convert.vegalite_to_svg(figure.spec(), vl_version=VEGA_LITE, config=vega_config("light"))


def data_of(figure: Figure) -> list[dict]:
    return [row for rows in figure.spec()["datasets"].values() for row in rows]


# -- what holds for every figure ---------------------------------------------------------------------------------------


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
        charts.agency_history(frame),
        charts.forecast_with_bands(frame, FORECAST),
        charts.loss_ratio_by_state_and_year(states),
        charts.agencies_ranked(agencies),
        charts.agencies_ranked(agencies, "bottom"),
        charts.agencies_ranked(agencies, by="growth_rate"),
        charts.agency_scatter(agencies),
    ):
        if figure.chart is None:
            assert figure.note
        else:
            text_of(figure)


# -- each figure -------------------------------------------------------------------------------------------------------


def test_premium_states_the_last_complete_year_with_its_change_and_its_lines() -> None:
    assert charts.premium_by_year_and_line(LINES).alternative == (
        "2007, the last complete year: 18.0M USD, 0.0% on 2006 "
        "(Commercial (CL) 7.50M USD, Personal (PL) 10.5M USD)."
    )  # fmt: skip


def test_premium_is_not_compared_with_a_short_year() -> None:
    assert " on 2005" not in charts.premium_by_year_and_line(LINES[LINES["year"] < 2007]).alternative


def test_a_short_year_is_hollow_with_its_months() -> None:
    figure = charts.premium_by_year_and_line(LINES)
    assert figure.note == "Short years are hollow: 2005 (8 months)."
    assert {row["year_label"] for row in data_of(figure)} == {"2005|8 mo", "2006", "2007"}
    assert "Short" not in charts.premium_by_year_and_line(LINES[LINES["year"] > 2005]).note


def test_a_line_keeps_its_colour_where_the_other_is_filtered_away() -> None:
    both = charts.premium_by_year_and_line(LINES)
    one = charts.premium_by_year_and_line(LINES[LINES["prod_line"] == "PL"])
    domains = [figure.spec()["layer"][0]["encoding"]["fill"]["scale"]["domain"] for figure in (both, one)]
    assert domains[0] == domains[1] == list(charts.LINES.values())
    assert one.spec()["layer"][0]["encoding"]["fill"]["legend"]["values"] == ["Personal (PL)"]


def test_the_colour_of_a_segment_does_not_depend_on_the_others() -> None:
    scale = charts.segments(SEGMENTS.head(1)).spec()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == list(charts.SEGMENTS)


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


def test_a_ranking_notes_a_cut_through_a_tie() -> None:
    figure = charts.agencies_ranked(by_agency(*[{"written_premium": 5.0}] * 4), count=3)
    assert figure.note == "1 more tie with the last one shown; the lower agency number goes first."
    assert figure.table["agency_id"].tolist() == [1, 2, 3]


def test_a_ranking_notes_shared_values() -> None:
    assert charts.agencies_ranked(AGENCIES).note == "2 of these share their value with another."
    assert charts.agencies_ranked(AGENCIES.iloc[[0, 1]]).note == ""


def test_the_largest_come_first_with_their_share() -> None:
    figure = charts.agencies_ranked(AGENCIES, count=1)
    assert figure.title == "Largest 1 of 4 agencies by written premium, USD"
    assert figure.alternative.endswith("Together they write 50.0% of the premium.")


def test_the_smallest_are_among_those_that_write_anything() -> None:
    figure = charts.agencies_ranked(AGENCIES, "bottom", count=2)
    assert figure.table["agency_id"].tolist() == [2, 3]
    assert "1 agencies without premium above zero are left out." in figure.note


def test_where_few_agencies_are_left_one_ranking_is_enough() -> None:
    figure = charts.agencies_ranked(AGENCIES, "bottom")
    assert figure.chart is None
    assert figure.note == "All 3 agencies of this selection stand in the other ranking."


def test_an_agency_beyond_the_scale_is_drawn_at_its_edge_and_keeps_its_figure() -> None:
    figure = charts.agency_scatter(AGENCIES)
    beyond = [row for row in data_of(figure) if row.get("is_beyond")]
    assert [(row["loss_ratio"], row["shown"]) for row in beyond] == [(3.5, charts.MOST_SHOWN_LOSS_RATIO)]
    assert "1 with a loss ratio below 0 or above 150%" in figure.note
    assert "beyond" not in charts.agency_scatter(AGENCIES.head(1)).note


def test_agencies_without_premium_are_left_out_of_the_scatter_and_counted() -> None:
    figure = charts.agency_scatter(AGENCIES)
    assert figure.table["agency_id"].tolist() == [1, 2, 3]
    assert "1 agencies without premium above zero" in figure.note
    assert figure.alternative.startswith("1 of 3 agencies lost more than they wrote")


def test_losing_exactly_the_premium_is_not_losing_more() -> None:
    even = AGENCIES.head(2).assign(loss_ratio=1.0)
    assert charts.agency_scatter(even).alternative.startswith("0 of 2 agencies lost more than they wrote")
    over = AGENCIES.head(2).assign(loss_ratio=[1.0, 1.01])
    assert charts.agency_scatter(over).alternative.startswith("1 of 2 agencies lost more than they wrote")


def test_agencies_are_said_to_be_named_only_where_one_is() -> None:
    assert "Named are those" in charts.agency_scatter(AGENCIES).note
    assert "Named are those" not in charts.agency_scatter(AGENCIES.head(1)).note


def test_a_forecast_states_its_band_or_its_absence() -> None:
    figure = charts.forecast_with_bands(LINES, FORECAST)
    assert figure.alternative == (
        "Forecast: Commercial (CL) 7.60M USD in 2008 (80% between 7.00M and 8.00M); Personal (PL) 10.4M USD in 2008. "
        "Model: naive."
    )
    assert "No band where too few earlier forecasts" in figure.note


def test_the_bands_open_at_the_last_complete_year() -> None:
    later = by_line_and_year(
        {"year": 2006}, {"year": 2007, "written_premium": 7e6}, {"year": 2008, "months_covered": 5}
    )
    fan = [row for row in data_of(charts.forecast_with_bands(later, FORECAST)) if "hi95" in row and "model" not in row]
    assert [(row["year"], row["lo95"], row["hi95"]) for row in fan if row["year"] < 2008] == [(2007, 7e6, 7e6)]


@pytest.mark.parametrize("make", [charts.agency_history, lambda rows: charts.forecast_with_bands(rows, FORECAST)])
def test_nothing_is_drawn_across_a_year_that_is_missing(make: Callable[[pd.DataFrame], Figure]) -> None:
    def pieces(frame: pd.DataFrame) -> int:
        paths = re.findall(r'class="mark-line[^>]*><path[^>]* d="([^"]*)"', drawn(make(frame)))
        return max(path.count("M") for path in paths)

    years = [2001, 2002, 2004, 2005]
    broken = by_line_and_year(*({"year": year} for year in years))
    whole = by_line_and_year(*({"year": year} for year in [*years, 2003]))
    assert (pieces(whole), pieces(broken)) == (1, 2)


def test_a_short_year_is_not_joined_to_the_line() -> None:
    figure = charts.agency_history(LINES)
    assert figure.note == "Short years are hollow and not joined to the line: 2005 (8 months)."


def test_the_backtest_explains_the_scores_and_marks_the_model_in_use() -> None:
    figure = charts.forecast_backtest(SCORES)
    assert figure.alternative == "The forecast is a forest of trees: 14% below the last complete year."
    assert figure.table["label"].tolist()[:2] == ["forest (in use)", "best so far"]
    assert "Best so far" in figure.note


def test_segments_state_agencies_premium_and_share() -> None:
    figure = charts.segments(SEGMENTS)
    assert figure.alternative == "keep writes the most: 3.00M USD by 3 of 4 agencies, 75.0% of the premium."
    assert figure.table["rule"].tolist() == ["The rest.", "Loss ratio is 70% or more."]
