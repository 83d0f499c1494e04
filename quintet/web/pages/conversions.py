"""The conversions page: which conversions became customers, which pages bring good ones, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import duckdb
import pandas as pd
from fastapi import Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from quintet.conversions import chart_parts, charts, matching_charts
from quintet.conversions.analysis_tables import read_analysis, read_frame
from quintet.conversions.insights import DIMENSIONS, Insight, Measure
from quintet.presentation.design import Column, Figure
from quintet.presentation.wording import counted
from quintet.web.contexts import ConversionsContext
from quintet.web.pages.downloads import csv_answer, report_file, with_query
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("conversions:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/conversions"

FILES: Mapping[str, str] = {
    "unified_journeys.parquet": "Unified journeys, Parquet",
    "unified_journeys.csv": "Unified journeys, CSV",
    "unified_journeys_dictionary.csv": "Data dictionary",
    "conversions_insights.pdf": "Insights, PDF",
    "conversions_pipeline.pdf": "The ideal pipeline, PDF",
}
"""The files that a run writes for this page into the folder of reports, with their labels."""

_MEASURES: Mapping[Measure, str] = {
    "important_share": "Share of important scores",
    "mean_score": "Mean score",
    "match_rate": "Match rate",
}
_FIRST: Measure = "important_share"

_RATE_COLUMNS: Mapping[Measure, tuple[Column, ...]] = {
    measure: (
        Column("dimension", "By"),
        Column("level", "Level"),
        Column("n", "Sessions", "count"),
        *(
            Column(name, label, "decimal" if measure == "mean_score" else "percent")
            for name, label in (("mean", "Value"), ("low", "From"), ("high", "To"), ("rest_mean", "The rest"))
        ),
        Column("adjusted", "Among equals", "decimal" if measure == "mean_score" else "change"),
        Column("q_value", "q", "decimal"),
        Column("is_finding", "Holds"),
    )
    for measure in _MEASURES
}


@dataclass(frozen=True)
class Choice:
    """The selection: a measure for the comparisons, a partner for clock, lag and weights."""

    measure: Measure
    partner: str


@router.get(PATH)
def conversions(request: Request) -> Response:
    """Show which conversions became customers and which pages bring good ones."""

    def make(snapshot: Any) -> ConversionsContext:
        cursor = snapshot.cursor
        partners = _partners(cursor)
        choice, problem = choice_of(request.query_params, partners)
        analysis = read_analysis(cursor)
        query = [("measure", choice.measure), ("partner", choice.partner)]
        rates = analysis.rates[analysis.rates["measure"] == choice.measure]
        rates = rates.sort_values(["q_value", "n"], ascending=[True, False])
        figures = {name: make_figure(cursor, choice) for name, make_figure in FIGURES.items()}
        return {
            "filters": FilterBar(PATH, _fields(choice, partners), problem),
            "announcement": f"{_MEASURES[choice.measure]} compared, {choice.partner or 'no partner'}",
            "kpis": key_figures(cursor),
            "figures": {
                name: Panel(figure, with_query(f"{PATH}/figures/{name}.csv", query)) for name, figure in figures.items()
            },
            "insights": _by_topic(analysis.insights),
            "clocks": _clocks(cursor),
            "table": Table(
                rates.assign(
                    level=[
                        chart_parts.level_label(dimension, level)
                        for dimension, level in zip(rates["dimension"], rates["level"], strict=True)
                    ],
                    dimension=rates["dimension"].map(DIMENSIONS),
                    is_finding=rates["is_finding"].map({True: "yes", False: "no"}),
                ),
                _RATE_COLUMNS[choice.measure],
                f"{_MEASURES[choice.measure]}: every comparison, the surest first",
                len(rates),
                f"{PATH}/figures/comparisons.csv",
                nothing="Nothing is matched yet, so there is nothing to compare.",
            ),
            "files": [
                Option(f"{PATH}/files/{name}", label)
                for name, label in FILES.items()
                if (service_of(request).settings.reports / name).is_file()
            ],
        }

    return show_snapshot(request, "conversions.html", "Conversions", make, varying=_written(request))


@router.get(f"{PATH}/figures/{{name}}.csv")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure, with all rows."""
    with service_of(request).snapshots.read() as snapshot:
        if name == "comparisons":
            rates = read_frame(snapshot.cursor, "rates")
            return csv_answer(name, rates, [Column(str(column), str(column)) for column in rates.columns])
        if name not in FIGURES:
            raise ProblemError(404, f"there is no figure {name}; there are {', '.join(FIGURES)} and comparisons")
        choice, problem = choice_of(request.query_params, _partners(snapshot.cursor))
        if problem:
            raise ProblemError(422, problem)
        figure = FIGURES[name](snapshot.cursor, choice)
        return csv_answer(name, figure.table, figure.columns)


@router.get(f"{PATH}/files/{{name}}")
def written_file(request: Request, name: str) -> Response:
    """Return a file that the last run wrote."""
    return report_file(service_of(request).settings.reports, name, FILES)


def choice_of(given: QueryParams, partners: list[str]) -> tuple[Choice, str | None]:
    """Return the selection in a page's address; if it is invalid, the default and why."""
    usual = Choice(_FIRST, partners[0] if partners else "")
    measure, partner = given.get("measure") or usual.measure, given.get("partner") or usual.partner
    if measure not in get_args(Measure):
        return usual, f"measure: {measure[:40]!r} is none of {', '.join(_MEASURES)}"
    if partner not in partners and partners:
        return usual, f"partner: {partner[:40]!r} is none of {', '.join(partners[:20])}"
    return Choice(measure, partner), None  # type: ignore[arg-type]  # one of get_args(Measure)


def key_figures(cursor: duckdb.DuckDBPyConnection) -> list[Kpi]:
    """Return the key figures: how much is matched, how surely, and what awaits review."""
    figures = dict(cursor.execute("select figure, value from ml.matching_summary").fetchall())
    placebo = cursor.execute("select max(false_match_rate), count(*) from ml.matching_placebo").fetchall()[0]
    steps: dict[str, int] = dict(
        cursor.execute("select side || ' ' || step, rows from ml.conversion_funnel").fetchall()
    )
    matched, rows, reach = (steps[name] for name in ("broker_rows matched", "broker_rows all", "clicks in_reach"))
    of_rows, of_conversions = (matched / whole if whole else None for whole in (rows, reach))
    return [
        Kpi("Broker rows matched", of_rows, "percent", basis=f"{matched:,} of {counted(rows, 'row')}"),
        Kpi(
            "Conversions in reach matched",
            of_conversions,
            "percent",
            basis=f"{matched:,} of {counted(reach, 'conversion')}",
        ),
        Kpi("False matches, at most", placebo[0], "percent", basis=f"the worst of {placebo[1]} placebo runs"),
        Kpi("Expected F1", figures.get("expected_f1"), "percent", basis="from calibrated probabilities"),
        Kpi("Pairs for review", figures.get("review"), "count", basis="they count nowhere until reviewed"),
    ]


def _partners(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in cursor.execute("select distinct partner from ml.matching_clocks order by 1").fetchall()]


def _fields(choice: Choice, partners: list[str]) -> list[Filter]:
    measures = [Option(name, label) for name, label in _MEASURES.items()]
    return [
        Filter("measure", "Compare", "select", measures, [choice.measure], _MEASURES[_FIRST]),
        Filter("partner", "Partner", "select", [Option(name, name) for name in partners], [choice.partner], "First"),
    ]


def _by_topic(insights: tuple[Insight, ...]) -> list[tuple[str, list[Insight]]]:
    """Return the insights under their headings, in the order of the questions."""
    headings = {
        "quality": "What brings good clients",
        "matching": "Where conversions get lost",
        "funnel": "How far broker rows get",
        "residency": "Where people live",
        "data": "What is wrong with the data",
    }
    grouped = {topic: [each for each in insights if each.topic == topic] for topic in headings}
    return [(headings[topic], each) for topic, each in grouped.items() if each]


def _clocks(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the trained clock of each partner, one sentence per period."""
    rows = cursor.execute(
        "select partner, strftime(from_at, '%Y-%m-%d %H:%M'), offset_seconds, is_clear from ml.matching_clocks "
        "order by partner, from_at nulls first"
    ).fetchall()
    return [
        f"{partner}: {abs(offset) / 3_600:g} h {'ahead of' if offset > 0 else 'behind'} UTC"
        f"{f' from {since} on' if since else ''}{'' if is_clear else ' (not significant)'}"
        if offset
        else f"{partner}: UTC{f' from {since} on' if since else ''}{'' if is_clear else ' (not significant)'}"
        for partner, since, offset, is_clear in rows
    ]


def _written(request: Request) -> str:
    """Return the existing files and their times, which the page shows."""
    paths = [service_of(request).settings.reports / name for name in FILES]
    return ",".join(f"{path.name} {path.stat().st_mtime_ns}" for path in paths if path.is_file())


def _frame(cursor: duckdb.DuckDBPyConnection, table: str) -> pd.DataFrame:
    return cursor.execute(f"from ml.matching_{table}").df()


_Make = Callable[[duckdb.DuckDBPyConnection, Choice], Figure]


def _compared_by(dimension: str) -> _Make:
    return lambda cursor, choice: charts.rates_by(read_frame(cursor, "rates"), choice.measure, dimension)


FIGURES: Mapping[str, _Make] = {
    "funnel-clicks": lambda cursor, _: charts.funnel(read_frame(cursor, "funnel"), "clicks"),
    "unmatched-clicks": lambda cursor, _: charts.outcomes(read_frame(cursor, "outcomes"), "clicks"),
    "unmatched-broker-rows": lambda cursor, _: charts.outcomes(read_frame(cursor, "outcomes"), "broker_rows"),
    "lag": lambda cursor, choice: matching_charts.lag(read_frame(cursor, "lags"), choice.partner),
    "match-rate-by-day": lambda cursor, _: charts.match_rate_by_day(read_frame(cursor, "rates")),
    "match-rate-by-country": lambda cursor, _: charts.rates_by(read_frame(cursor, "rates"), "match_rate", "country"),
    **{f"compared-by-{name.replace('_', '-')}": _compared_by(name) for name in DIMENSIONS if name != "day"},
    "residency": lambda cursor, _: charts.residency(read_frame(cursor, "residency")),
    "placebo": lambda cursor, _: matching_charts.placebo(_frame(cursor, "placebo")),
    "calibration": lambda cursor, _: matching_charts.calibration(_frame(cursor, "calibration")),
    "weights": lambda cursor, choice: matching_charts.weights(_frame(cursor, "weights"), choice.partner),
}
"""Every figure of the page by its name, made from a cursor and the selection."""
