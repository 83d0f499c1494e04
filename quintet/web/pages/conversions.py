"""The conversions page: findings, pages, lost conversions, and how sure the matches are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import duckdb
from fastapi import Request
from starlette.responses import Response

from quintet.conversions.analysis_tables import read_insights
from quintet.conversions.insights import Insight
from quintet.conversions.selection import levels_of
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.web.contexts import ConversionsContext, WorstPage
from quintet.web.pages.conversions_parts import (
    FIGURES,
    FINDING_COLUMNS,
    LEVEL_COLUMNS,
    MEASURES,
    PATH,
    RELIABILITY_COLUMNS,
    TABS,
    Chosen,
    choice_of,
    filter_fields,
    findings_table,
    key_figures,
    levels_table,
    rate_columns,
    reliability_table,
    worst_page,
)
from quintet.web.pages.downloads import csv_answer, report_file, with_query
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import FilterBar, Option, Panel, Tab, Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("conversions:read", include_in_schema=False)
ROUTERS = (router,)

FILES: Mapping[str, str] = {
    "unified_journeys.parquet": "Unified journeys, Parquet",
    "unified_journeys.csv": "Unified journeys, CSV",
    "unified_journeys_dictionary.csv": "Data dictionary",
    "conversions_insights.pdf": "Insights, PDF",
    "conversions_pipeline.pdf": "The ideal pipeline, PDF",
}
"""The files that a run writes for this page into the folder of reports, with their labels."""

_DIMENSIONS = ("page_category", "country", "device")
"""The dimensions whose levels are ranked."""


@router.get(PATH)
def conversions(request: Request) -> Response:
    """Show what to do next, which pages bring customers, where conversions get lost, and how sure that is."""

    def make(snapshot: Any) -> ConversionsContext:
        levels = levels_of(snapshot.cursor)
        choice, problem = choice_of(request.query_params, levels)
        chosen = Chosen(snapshot.cursor, choice)
        insights = _by_topic(read_insights(snapshot.cursor)) if choice.tab == "lost" else []
        return {
            "filters": FilterBar(PATH, filter_fields(choice, levels), problem),
            "tab": choice.tab,
            "tabs": [Tab(label, choice.address(tab=name), name == choice.tab) for name, label in TABS.items()],
            "announcement": f"{TABS[choice.tab]}: {counted(chosen.funnel['rows'].iloc[0], 'conversion')}",
            "has_rows": bool(levels["day"]),
            "is_filtered": not choice.selection.is_all,
            "kpis": key_figures(chosen) if choice.tab == "findings" else [],
            "figures": {
                name: Panel(make_figure(chosen), with_query(f"{PATH}/figures/{name}.csv", choice.query()))
                for name, make_figure in FIGURES[choice.tab].items()
            },
            "tables": _tables(chosen),
            "worst": _worst(chosen) if choice.tab == "findings" else None,
            "pages_url": choice.address(tab="pages"),
            "insights": insights,
            "clocks": _clocks(snapshot.cursor) if choice.tab == "certainty" else [],
            "files": [
                Option(f"{PATH}/files/{name}", label)
                for name, label in FILES.items()
                if (service_of(request).settings.served / "reports" / name).is_file()
            ],
        }

    return show_snapshot(request, "conversions.html", "Conversions", make, varying=_written(request))


@router.get(f"{PATH}/figures/{{name}}.csv")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure, with all rows."""
    with service_of(request).snapshots.read() as snapshot:
        choice, problem = choice_of(request.query_params, levels_of(snapshot.cursor))
        if problem:
            raise ProblemError(422, problem)
        chosen = Chosen(snapshot.cursor, choice)
        figures = {name: make for of_tab in FIGURES.values() for name, make in of_tab.items()}
        ranked = {f"levels-{dimension.replace('_', '-')}": dimension for dimension in _DIMENSIONS}
        if name == "comparisons":
            return csv_answer(name, chosen.rates, [Column(str(column), str(column)) for column in chosen.rates.columns])
        if name == "findings":
            return csv_answer(name, chosen.findings, [*FINDING_COLUMNS, Column("q_value", "q", "decimal")])
        if name == "reliability":
            return csv_answer(name, chosen.reliability(), RELIABILITY_COLUMNS)
        if name in ranked:
            return csv_answer(name, chosen.levels(ranked[name]), LEVEL_COLUMNS)
        if name not in figures:
            there = ", ".join([*figures, *ranked, "findings", "comparisons", "reliability"])
            raise ProblemError(404, f"there is no figure {name}; there are {there}")
        figure = figures[name](chosen)
        return csv_answer(name, figure.table, figure.columns)


@router.get(f"{PATH}/files/{{name}}")
def written_file(request: Request, name: str) -> Response:
    """Return a file that the last run wrote."""
    return report_file(service_of(request).settings.served / "reports", name, FILES)


def _tables(chosen: Chosen) -> list[Table]:
    """Return the tables of the tab."""
    if chosen.choice.tab == "findings":
        return [findings_table(chosen)]
    if chosen.choice.tab == "certainty":
        return [reliability_table(chosen)]
    if chosen.choice.tab != "pages":
        return []
    measure = chosen.choice.measure
    frame = chosen.comparisons()
    every = Table(
        frame,
        rate_columns(measure),
        f"{MEASURES[measure]}: every comparison, the surest first",
        len(frame),
        with_query(f"{PATH}/figures/comparisons.csv", chosen.choice.query()),
        nothing="Nothing is matched yet, so there is nothing to compare.",
    )
    return [*(levels_table(chosen, dimension) for dimension in _DIMENSIONS), every]


def _worst(chosen: Chosen) -> WorstPage | None:
    """Return the worst page with its figures, for a sentence; None without one that differs from the rest."""
    row = worst_page(chosen)
    return None if row is None else cast(WorstPage, {name: row[name] for name in WorstPage.__annotations__})


def _by_topic(insights: tuple[Insight, ...]) -> list[tuple[str, list[Insight]]]:
    """Return the insights that are not in the table of findings under their headings, in the order of the questions."""
    headings = {
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
    paths = [service_of(request).settings.served / "reports" / name for name in FILES]
    return ",".join(f"{path.name} {path.stat().st_mtime_ns}" for path in paths if path.is_file())
