import json
import re
from collections.abc import Callable
from functools import cache

import pandas as pd
import pytest

from quintet.conversions import charts, matching_charts
from quintet.conversions.analysis import Analysis, analyse
from quintet.presentation.design import STYLES, Figure
from quintet.presentation.report_charts import chart_svg
from tests.unit.conversions.journeys import every_count, make_journeys, open_counts


@cache
def findings() -> Analysis:
    """Return what the analysis finds in some journeys."""
    with open_counts(make_journeys(6_000, 1), {"no_candidate": 20, "in_review": 9}) as connection:
        return analyse(every_count(connection))


def found(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(findings(), name)
    return frame


CALIBRATION = pd.DataFrame({"given": [0.1, 0.5, 0.99], "true": [0.12, 0.48, 0.99]})
PLACEBO = pd.DataFrame(
    {"hours": [5, -7], "broker_rows": [100, 100], "matched": [1, 2], "false_match_rate": [0.01, 0.02]}
)
WEIGHTS = pd.DataFrame(
    {
        "partner": "one",
        "field": "ip",
        "outcome": ["same", "missing", "other"],
        "m": [0.98, 0.01, 0.01],
        "u": [0.2, 0.01, 0.79],
    }
)

FIGURES: dict[str, Callable[[], Figure]] = {
    "funnel": lambda: charts.funnel(found("funnel"), "clicks"),
    "funnel of rows": lambda: charts.funnel(found("funnel"), "broker_rows"),
    "outcomes": lambda: charts.outcomes(found("outcomes"), "broker_rows"),
    "lag": lambda: matching_charts.lag(found("lags"), "one"),
    "match rate by country": lambda: charts.rates_by(found("rates"), "match_rate", "country"),
    "share by page": lambda: charts.rates_by(found("rates"), "important_share", "page_category"),
    "mean by element": lambda: charts.rates_by(found("rates"), "mean_score", "ui_element"),
    "day": lambda: charts.match_rate_by_day(found("rates")),
    "residency": lambda: charts.residency(found("residency")),
    "calibration": lambda: matching_charts.calibration(CALIBRATION),
    "placebo": lambda: matching_charts.placebo(PLACEBO),
    "weights": lambda: matching_charts.weights(WEIGHTS, "one"),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "funnel": lambda: charts.funnel(found("funnel").head(0), "clicks"),
    "outcomes": lambda: charts.outcomes(found("outcomes").head(0), "clicks"),
    "lag": lambda: matching_charts.lag(found("lags"), "none"),
    "rates": lambda: charts.rates_by(found("rates").head(0), "match_rate", "country"),
    "day": lambda: charts.match_rate_by_day(found("rates").head(0)),
    "residency": lambda: charts.residency(found("residency").head(0)),
    "calibration": lambda: matching_charts.calibration(CALIBRATION.head(0)),
    "placebo": lambda: matching_charts.placebo(PLACEBO.head(0)),
    "weights": lambda: matching_charts.weights(WEIGHTS, "none"),
}
each_figure = pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())


@each_figure
def test_a_figure_is_drawn(make: Callable[[], Figure]) -> None:
    svg = chart_svg(make(), 640)
    assert "<path" in svg
    assert "undefined" not in svg
    assert "NaN" not in svg


@each_figure
def test_a_figure_names_styles_of_the_theme_and_no_colour(make: Callable[[], Figure]) -> None:
    spec = json.dumps(make().spec(), default=str)
    assert set(re.findall(r'"style": "([\w-]+)"', spec)) <= set(STYLES)
    assert not re.findall(r"#[0-9a-fA-F]{6}|\"(?:white|black|red)\"", spec)


@each_figure
def test_a_figure_states_its_main_number_and_has_its_table(make: Callable[[], Figure]) -> None:
    figure = make()
    assert re.search(r"\d", figure.alternative)
    assert {column.name for column in figure.columns} <= set(figure.table)


@each_figure
def test_a_figure_leaves_its_width_to_the_page(make: Callable[[], Figure]) -> None:
    assert "width" not in make().spec()


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY.keys())
def test_without_rows_a_figure_has_a_note_on_what_to_do(make: Callable[[], Figure]) -> None:
    figure = make()
    assert figure.chart is None
    assert "make run" in figure.note


def test_a_rate_is_drawn_with_the_interval_of_its_frame() -> None:
    figure = charts.rates_by(found("rates"), "important_share", "device")
    layers = figure.spec()["layer"]
    assert any(layer["encoding"].get("x2", {}).get("field") == "high" for layer in layers if "encoding" in layer)


def test_only_the_largest_levels_are_drawn_and_all_are_in_the_table() -> None:
    figure = charts.rates_by(found("rates"), "match_rate", "country", 3)
    assert len(figure.table) == found("rates").query("measure == 'match_rate' and dimension == 'country'").shape[0]
    assert "The 3 smaller ones are in the table." in figure.note
    assert figure.height == 22 * 3 + 20


def test_an_infinite_weight_is_not_drawn() -> None:
    figure = matching_charts.weights(WEIGHTS.assign(u=[0.2, 0.0, 0.79]), "one")
    assert figure.table["bits"].isna().sum() == 1
    assert "Infinity" not in json.dumps(figure.spec(), default=str)
