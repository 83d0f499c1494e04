"""The parts of the conversions page: its tabs, filters, figures and tables of a selection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

import duckdb
import pandas as pd
from starlette.datastructures import QueryParams

from quintet.conversions import chart_parts, charts, matching_charts
from quintet.conversions.analysis import rates as rates_of
from quintet.conversions.analysis_tables import read_frame
from quintet.conversions.executive_summary import beyond_levels
from quintet.conversions.findings import level_ranking, ranked_findings
from quintet.conversions.insights import DIMENSIONS, Measure, country_name
from quintet.conversions.reliability import reliability
from quintet.conversions.selection import Selection, selected_cells, selected_funnel, selected_outcomes
from quintet.conversions.visit_groups import visit_groups
from quintet.presentation.design import Column, Figure, format_value
from quintet.presentation.wording import counted
from quintet.web.pages.downloads import with_query
from quintet.web.rendering import Filter, Kpi, Option, Table

PATH = "/conversions"

TABS: Mapping[str, str] = {
    "findings": "Findings",
    "pages": "Pages, countries, devices",
    "lost": "Lost conversions",
    "certainty": "Certainty of matches",
    "files": "Downloads",
}
"""The tabs of the page with their labels; the first one is shown by default."""

MEASURES: Mapping[Measure, str] = {
    "important_share": "Share of important scores",
    "mean_score": "Mean score",
    "match_rate": "Match rate",
}
_FIRST: Measure = "important_share"

FINDING_COLUMNS = (
    Column("finding", "Finding", "sentence"),
    Column("effect", "Effect", "points", "points"),
    Column("effect_range", "95% interval"),
    Column("customers", "Worth", "count", "customers"),
    Column("customers_range", "95% interval"),
    Column("action", "What to do", "sentence"),
)
LEVEL_COLUMNS = (
    Column("label", "Level", "sentence"),
    Column("n", "Sessions", "count"),
    Column("match_rate", "Reach the broker", "percent"),
    Column("important_share", "Of these customers", "percent"),
    Column("per_thousand", "Customers of 1,000", "count"),
    Column("why", "Why, among equals", "sentence"),
)
RELIABILITY_COLUMNS = (
    Column("measured_by", "Measured by", "sentence"),
    Column("precision", "Matches that are right", "percent"),
    Column("interval", "95% interval"),
    Column("recall", "Links that are matched", "percent"),
    Column("basis", "From", "sentence"),
)


def rate_columns(measure: Measure) -> tuple[Column, ...]:
    """Return the columns of the table of all comparisons of a measure."""
    kind: Any = "decimal" if measure == "mean_score" else "percent"
    shares = (("mean", "Value"), ("low", "From"), ("high", "To"), ("rest_mean", "The rest"))
    return (
        Column("dimension", "By"),
        Column("level", "Level"),
        Column("n", "Sessions", "count"),
        *(Column(name, label, kind) for name, label in shares),
        Column(
            "adjusted",
            "Among equals",
            "decimal" if measure == "mean_score" else "points",
            "" if measure == "mean_score" else "points",
        ),
        Column("q_value", "q", "decimal"),
        Column("is_finding", "Holds"),
    )


@dataclass(frozen=True)
class Choice:
    """The state of the page: its tab, the measure that is compared, and the filters."""

    tab: str = "findings"
    measure: Measure = _FIRST
    selection: Selection = field(default_factory=Selection)

    def query(self, **changes: Any) -> list[tuple[str, str]]:
        """Return the state as pairs of a query string, without what is the default."""
        other = replace(self, **changes)
        pairs = [("tab", other.tab)] if other.tab != "findings" else []
        return [*pairs, *([("measure", other.measure)] if other.measure != _FIRST else []), *other.selection.given()]

    def address(self, **changes: Any) -> str:
        """Return the path of the page in this state, with changes."""
        return with_query(PATH, self.query(**changes))


class Chosen:
    """What a snapshot has of a selection; each frame is read once, when it is first needed."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, choice: Choice) -> None:
        self.cursor, self.choice = cursor, choice

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The sums behind each rate."""
        if self.choice.selection.is_all:
            return read_frame(self.cursor, "cells")
        return selected_cells(self.cursor, self.choice.selection)

    @cached_property
    def rates(self) -> pd.DataFrame:
        """Each measure by each level, against the rest; as a run has written it if nothing is filtered."""
        return read_frame(self.cursor, "rates") if self.choice.selection.is_all else rates_of(self.cells)

    @cached_property
    def funnel(self) -> pd.DataFrame:
        """The conversions by step."""
        return selected_funnel(self.cursor, self.choice.selection)

    @property
    def partner(self) -> str:
        """The partner whose matching is shown: the chosen one, or the first."""
        found = self.cursor.execute("select min(partner) from ml.matching_clocks").fetchall()[0][0]
        return self.choice.selection.partner or found or ""

    def matching(self, table: str) -> pd.DataFrame:
        """Return a table that describes the matching."""
        return self.cursor.execute(f"from ml.matching_{table}").df()

    def comparisons(self) -> pd.DataFrame:
        """Return all comparisons of the measure, the surest first."""
        own = self.rates[self.rates["measure"] == self.choice.measure]
        own = own.sort_values(["q_value", "n"], ascending=[True, False])
        labels = [chart_parts.level_label(*pair) for pair in zip(own["dimension"], own["level"], strict=True)]
        return own.assign(
            level=labels,
            dimension=own["dimension"].map(DIMENSIONS),
            is_finding=own["is_finding"].map({True: "yes", False: "no"}),
        )

    @cached_property
    def findings(self) -> pd.DataFrame:
        """The ranked findings, with their intervals in words.

        Those that are no difference between levels are of all data, so that a selection has none of them.
        """
        if self.choice.selection.is_all:
            found = self._every_finding(read_frame(self.cursor, "findings"))
        else:
            found = ranked_findings(self.rates, self.cells)
        points, counts = (lambda value: format_value(value, "points")), (lambda value: f"{value:,.0f}")
        return found.assign(
            effect_range=_ranges(found["effect_low"], found["effect_high"], points),
            customers_range=_ranges(found["customers_low"], found["customers_high"], counts),
        )

    def _every_finding(self, between_levels: pd.DataFrame) -> pd.DataFrame:
        """Return the findings of the run with those that the report has besides, worth the most customers first."""
        others = beyond_levels(self.cursor, read_frame(self.cursor, "outcomes"), visit_groups(self.cursor))
        rows = [
            {"finding": one.finding.text, "customers": one.customers, "action": one.finding.action} for one in others
        ]
        return pd.concat([between_levels, pd.DataFrame(rows)]).sort_values(
            "customers", ascending=False, kind="stable", na_position="last", ignore_index=True
        )

    def reliability(self) -> pd.DataFrame:
        """Return how reliable the matches are, by each way of measuring it, with the intervals in words."""
        found = reliability(self.cursor)
        return found.assign(interval=_ranges(found["low"], found["high"], lambda value: format_value(value, "percent")))

    def levels(self, dimension: str) -> pd.DataFrame:
        """Return the levels of a dimension, the worst first, with their labels and the query that selects one."""
        found = level_ranking(self.rates, dimension)
        return found.assign(label=[chart_parts.level_label(dimension, level) for level in found["level"]])


_Make = Callable[[Chosen], Figure]


def _compared_by(dimension: str) -> _Make:
    return lambda chosen: charts.rates_by(chosen.rates, chosen.choice.measure, dimension)


FIGURES: Mapping[str, Mapping[str, _Make]] = {
    "findings": {"funnel-clicks": lambda chosen: charts.funnel(chosen.funnel, "clicks")},
    "pages": {
        **{f"compared-by-{name.replace('_', '-')}": _compared_by(name) for name in DIMENSIONS if name != "day"},
    },
    "lost": {
        "unmatched-clicks": lambda chosen: charts.outcomes(
            selected_outcomes(chosen.cursor, chosen.choice.selection), "clicks"
        ),
        "unmatched-broker-rows": lambda chosen: charts.outcomes(read_frame(chosen.cursor, "outcomes"), "broker_rows"),
        "match-rate-by-day": lambda chosen: charts.match_rate_by_day(chosen.rates),
        "match-rate-by-country": lambda chosen: charts.rates_by(chosen.rates, "match_rate", "country"),
        "residency": lambda chosen: charts.residency(read_frame(chosen.cursor, "residency")),
    },
    "certainty": {
        "lag": lambda chosen: matching_charts.lag(read_frame(chosen.cursor, "lags"), chosen.partner),
        "placebo": lambda chosen: matching_charts.placebo(chosen.matching("placebo")),
        "calibration": lambda chosen: matching_charts.calibration(chosen.matching("calibration")),
        "weights": lambda chosen: matching_charts.weights(chosen.matching("weights"), chosen.partner),
    },
    "files": {},
}
"""Every figure by its tab and name."""

_LINKED = {"page_category": "page", "country": "country", "device": "device"}
"""The filter of a dimension."""


def choice_of(given: QueryParams, levels: Mapping[str, Sequence[Any]]) -> tuple[Choice, str | None]:
    """Return the state in a page's address; if it is invalid, the default and why. levels: of the snapshot."""
    tab, measure = given.get("tab") or "findings", given.get("measure") or _FIRST
    known = {"tab": TABS, "measure": get_args(Measure), "device": levels["device"], "partner": levels["partner"]}
    for name, values in known.items():
        value = given.get(name)
        if value and value not in values:
            return Choice(), f"{name}: {value[:40]!r} is none of {', '.join(list(values)[:20])}"
    days: dict[str, dt.date | None] = {}
    for name in ("date_from", "date_to"):
        text = given.get(name) or ""
        try:
            days[name] = dt.date.fromisoformat(text) if text else None
        except ValueError:
            return Choice(), f"{name}: {text[:40]!r} is no day; write one like 2024-05-01"
    if days["date_from"] and days["date_to"] and days["date_from"] > days["date_to"]:
        return Choice(), f"date_from: {days['date_from']} is after {days['date_to']}; swap the two"
    lists: dict[str, tuple[str, ...]] = {}
    for name, level in (("country", "country"), ("page", "page_category")):
        values = tuple(dict.fromkeys(value for value in given.getlist(name) if value))
        unknown = [value for value in values if value not in levels[level]]
        if unknown:
            return Choice(), f"{name}: {unknown[0][:40]!r} is not in the data"
        lists[name] = values
    selection = Selection(**days, **lists, device=given.get("device") or "", partner=given.get("partner") or "")  # type: ignore[arg-type]
    return Choice(tab, measure, selection), None  # type: ignore[arg-type]  # one of get_args(Measure)


def filter_fields(choice: Choice, levels: Mapping[str, Sequence[Any]]) -> list[Filter]:
    """Return the filters with the values that the snapshot has."""
    chosen = choice.selection
    ends = [Option(str(day), str(day)) for day in levels["day"]]
    countries = sorted((Option(code, country_name(code)) for code in levels["country"]), key=lambda one: one.label)
    pages = [Option(page, chart_parts.level_label("page_category", page)) for page in levels["page_category"]]
    fields = [
        Filter("date_from", "From day", "date", ends, _listed(chosen.date_from)),
        Filter("date_to", "To day", "date", ends, _listed(chosen.date_to)),
        Filter("country", "Country", "many", countries, chosen.country),
        Filter("page", "Page", "many", pages, chosen.page),
        Filter("device", "Device", "select", _options(levels["device"]), _listed(chosen.device)),
        Filter("partner", "Partner", "select", _options(levels["partner"]), _listed(chosen.partner)),
    ]
    if choice.tab == "pages":
        measures = [Option(name, label) for name, label in MEASURES.items() if name != _FIRST]
        fields.append(Filter("measure", "Compare", "select", measures, [choice.measure], MEASURES[_FIRST]))
    return fields


def _ranges(low: pd.Series, high: pd.Series, written: Callable[[Any], str]) -> pd.Series:
    """Return intervals in words; empty where an end is not known."""
    words = [f"{written(one)} to {written(other)}" for one, other in zip(low, high, strict=True)]
    return pd.Series(words, index=low.index, dtype="str").where(low.notna() & high.notna())


def _listed(value: object) -> list[str]:
    return [str(value)] if value else []


def _options(values: Sequence[str]) -> list[Option]:
    return [Option(value, value) for value in values]


def key_figures(chosen: Chosen) -> list[Kpi]:
    """Return the key figures of the selection, and how sure the matches are."""
    count = dict(zip(chosen.funnel["step"], chosen.funnel["rows"].tolist(), strict=True))
    placebo = chosen.cursor.execute("select max(false_match_rate), count(*) from ml.matching_placebo").fetchall()[0]
    reach, matched, scored, important = (count[step] for step in ("in_reach", "matched", "scored", "important"))
    return [
        Kpi(
            "Conversions in reach matched",
            matched / reach if reach else None,
            "percent",
            basis=f"{matched:,} of {counted(reach, 'conversion')}",
        ),
        Kpi(
            "Matched with an important score",
            important / scored if scored else None,
            "percent",
            basis=f"{important:,} of {counted(scored, 'valid score')}",
        ),
        Kpi(
            "Customers of 1,000 conversions",
            1_000 * important / reach if reach else None,
            "count",
            basis=f"{important:,} of {counted(reach, 'conversion')} in reach",
        ),
        Kpi(
            "False matches, at most",
            placebo[0],
            "percent",
            basis=f"the worst of {counted(placebo[1], 'placebo run')}, all conversions",
        ),
    ]


def worst_page(chosen: Chosen) -> pd.Series | None:
    """Return the page that loses the most customers, with its figures; None where no page is worse than the rest."""
    found = chosen.findings
    worse = found[(found["dimension"] == "page_category") & (found["effect"] < 0)]
    if worse.empty:
        return None
    pages = chosen.levels("page_category").set_index("level", drop=False)
    return pages.loc[worse["level"].iloc[0]].combine_first(worse.iloc[0])


def findings_table(chosen: Chosen) -> Table:
    """Return the ranked findings, each linked to the page filtered to it where it can be."""
    frame = chosen.findings
    return Table(
        frame,
        FINDING_COLUMNS,
        "Findings, those worth the most customers first",
        len(frame),
        with_query(f"{PATH}/figures/findings.csv", chosen.choice.query()),
        nothing="No difference between countries, days, devices, pages or elements holds among equals.",
    )


def reliability_table(chosen: Chosen) -> Table:
    """Return how reliable the matches are, by each way of measuring it."""
    frame = chosen.reliability()
    return Table(
        frame,
        RELIABILITY_COLUMNS,
        "How often a match is right, measured in three ways",
        len(frame),
        f"{PATH}/figures/reliability.csv",
        nothing="Nothing is matched yet, so there is nothing to measure.",
    )


def levels_table(chosen: Chosen, dimension: str) -> Table:
    """Return the levels of a dimension, the worst first, each linked to the findings among its sessions."""
    frame = chosen.levels(dimension)
    cleared: dict[str, Any] = {_LINKED[dimension]: "" if dimension == "device" else ()}
    without = replace(chosen.choice.selection, **cleared)
    query = chosen.choice.query(tab="findings", selection=without)
    link = with_query(PATH, [*query, (_LINKED[dimension], "")]) + "{level}"
    return Table(
        frame,
        LEVEL_COLUMNS,
        f"{DIMENSIONS[dimension]}: the fewest customers of 1,000 sessions first",
        len(frame),
        with_query(f"{PATH}/figures/levels-{dimension.replace('_', '-')}.csv", chosen.choice.query()),
        ("label", link),
        "Nothing is matched yet, so there is nothing to compare.",
    )
