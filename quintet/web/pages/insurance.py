"""The insurance pages: all agencies, one agency, and the CSV behind each figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import duckdb
import pandas as pd
from fastapi import Path, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from quintet.insurance import agency_charts, charts, forecast_charts
from quintet.insurance.chart_parts import LINES as LINE_LABELS
from quintet.insurance.forecast_tables import forecast_totals
from quintet.insurance.performance import UNKNOWN, Filters, QueryError
from quintet.insurance.summaries import Summaries
from quintet.presentation.design import Column, Figure
from quintet.presentation.wording import counted
from quintet.web.contexts import AgencyContext, InsuranceContext
from quintet.web.forms import whole_number
from quintet.web.pages.downloads import csv_answer, with_query
from quintet.web.pages.insurance_compare import AGENCY_PATH, compared_periods
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Kpi, Option, Panel, Tab, Table
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("insurance:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/insurance"

LISTS = ("agency", "primary_agency", "product", "prod_line", "state", "vendor")
YEARS = ("year_from", "year_to")
_WHOLE_NUMBERS = {"agency", "primary_agency", *YEARS}

AGENCY_COLUMNS = (
    Column("agency_id", "Agency", "identifier"),
    Column("segment", "Segment"),
    Column("written_premium", "Written premium", "money", "USD"),
    Column("growth_from", "Growth from", "money", "USD"),
    Column("growth_to", "Growth to", "money", "USD"),
    Column("growth_rate", "Growth", "change"),
    Column("incurred_losses", "Incurred losses", "money", "USD"),
    Column("loss_ratio", "Loss ratio", "percent"),
    Column("retention_ratio", "Retention", "percent"),
    Column("policies_in_force", "Policies in force", "count"),
    Column("action", "What to do"),
)

_SEGMENT_FACTS = {
    "segment": "Segment",
    "rule": "Rule",
    "action": "What to do",
}
_AGENCY_FACTS = {
    "primary_agency_id": "Master agency",
    "appointment_year": "Appointed",
    "active_producers": "Active producers",
    "vendor": "System vendor",
    "first_year": "First year with data",
    "last_year": "Last year with data",
}


@router.get(PATH)
@restricted_by("agency")
def insurance(request: Request) -> Response:
    """Show where premium and losses come from, who to talk to, and what comes next."""

    def make(snapshot: Any) -> InsuranceContext:
        cursor = snapshot.cursor
        filters, problem = filters_of(request.query_params)
        tab = request.query_params.get("tab") or "premium"
        whole_only = () if request.state.key.binding is None else ("forecast",)  # its scores are of the whole book
        tabs = {name: one for name, one in TABS.items() if name not in whole_only}
        if tab not in tabs:
            tab, problem = "premium", f"tab: {tab[:40]!r} is none of {', '.join(tabs)}"
        query = query_of(filters)
        summaries = Summaries(cursor)
        agencies = _agencies(summaries, filters)
        years = summaries.of(filters, ["year"])
        compared = None
        if tab == "compare":
            compared, problem = compared_periods(cursor, filters, request.query_params, problem)
        figures = {name: FIGURES[name](summaries, filters) for name in TABS[tab][1]}
        figures = {name: one for name, one in figures.items() if one.chart is not None or name not in _REMAINDERS}
        return {
            "tab": tab,
            "tabs": [
                Tab(label, with_query(PATH, [*([("tab", name)] if name != "premium" else []), *query]), name == tab)
                for name, (label, _) in tabs.items()
            ],
            "filters": FilterBar(PATH, list(filter_fields(cursor, filters)), problem),
            "announcement": _announcement(agencies, years),
            "kpis": key_figures(years),
            "figures": {
                name: Panel(figure, with_query(f"{PATH}/figures/{name}.csv", query), _link_of(name, query))
                for name, figure in figures.items()
            },
            "compared": compared,
            "table": Table(
                agencies.sort_values("written_premium", ascending=False),
                AGENCY_COLUMNS,
                "Agencies",
                len(agencies),
                with_query(f"{PATH}/figures/agencies.csv", query),
                ("agency_id", with_query(AGENCY_PATH, query)),
                "No agency matches these filters.",
            ),
            "report_url": with_query("/reports", query),
        }

    return show_snapshot(request, "insurance.html", "Insurance", make)


@router.get(AGENCY_PATH)
@restricted_by("agency")
def agency(request: Request, agency_id: Annotated[int, Path(ge=0, le=2**63 - 1)]) -> Response:
    """Show one agency: its history, its products and its facts."""

    def make(snapshot: Any) -> AgencyContext:
        cursor = snapshot.cursor
        known = cursor.execute(
            "select * from marts.dim_agency left join marts.dim_agency_segment using (agency_id) where agency_id = ?",
            [agency_id],
        ).df()
        if known.empty:
            raise ProblemError(404, f"there is no agency {agency_id}")
        filters = Filters(agency=(agency_id,))
        around, _ = filters_of(request.query_params)
        summaries = Summaries(cursor)
        products = with_operands(summaries.of(filters, ["prod_line", "product", "year"]))
        history = agency_charts.agency_history(summaries.of(filters, ["prod_line", "year"]))
        ahead = _forecast(summaries, filters)
        facts = {label: _fact(known, name) for name, label in {**_SEGMENT_FACTS, **_AGENCY_FACTS}.items()}
        return {
            "agency_id": agency_id,
            "facts": facts,
            "back_url": with_query(PATH, query_of(around)),
            "kpis": key_figures(summaries.of(filters, ["year"])),
            "figures": {figure.name: Panel(figure) for figure in (history, ahead)},
            "table": Table(
                products.sort_values(["year", "written_premium"], ascending=False),
                (
                    Column("year", "Year", "year"),
                    Column("prod_line", "Line"),
                    Column("prod_abbr", "Product"),
                    *AGENCY_COLUMNS[2:-1],
                ),
                "Products by year",
                len(products),
                with_query("/v1/insurance/reports/premium", [("agency", agency_id), ("format", "csv")]),
            ),
        }

    return show_snapshot(request, "insurance_agency.html", f"Agency {agency_id}", make)


@router.get(f"{PATH}/figures/{{name}}.csv")
@restricted_by("agency")
def figure_csv(request: Request, name: str) -> Response:
    """Return the table behind a figure with the page's filters, with all rows."""
    filters, problem = filters_of(request.query_params)
    if problem:
        raise ProblemError(422, problem)
    with service_of(request).snapshots.read() as snapshot:
        summaries = Summaries(snapshot.cursor)
        if name == "agencies":
            return csv_answer(name, _agencies(summaries, filters), AGENCY_COLUMNS)
        if name not in FIGURES:
            raise ProblemError(404, f"there is no figure {name}; there are {', '.join(FIGURES)}")
        figure = FIGURES[name](summaries, filters)
        return csv_answer(name, figure.table, figure.columns)


# -- filters -----------------------------------------------------------------------------------------------------------


def filters_of(given: QueryParams) -> tuple[Filters, str | None]:
    """Return the filters in a page's address; if one is invalid, no filters and why."""
    values: dict[str, Any] = {}
    try:
        for name in (*LISTS, *YEARS):
            parts = [part.strip() for value in given.getlist(name) for part in value.split(",") if part.strip()]
            typed = [_typed(name, part) for part in parts]
            if typed:
                values[name] = typed[0] if name in YEARS else tuple(typed)
        return Filters(**values), None
    except QueryError as error:
        return Filters(), str(error)


def query_of(filters: Filters) -> list[tuple[str, Any]]:
    """Return the filters as pairs of a query string."""
    pairs = []
    for name, value in filters.given().items():
        values = value if isinstance(value, tuple) else (value,)
        pairs += [(name, UNKNOWN if one is None else one) for one in values]
    return pairs


def filter_fields(cursor: duckdb.DuckDBPyConnection, filters: Filters) -> Iterator[Filter]:
    """Yield the filters with the options of this snapshot."""
    years = _column(cursor, "select year from marts.dim_year order by year")
    for name, label, nothing in (("year_from", "From year", "First"), ("year_to", "To year", "Last")):
        chosen = getattr(filters, name)
        yield Filter(name, label, "select", _options(years), [] if chosen is None else [str(chosen)], nothing)
    choices = {
        "prod_line": ("Line", "select", "select distinct prod_line from marts.dim_product order by 1"),
        "state": ("State", "many", "select state_abbr from marts.dim_state order by 1"),
        "product": ("Product", "many", "select prod_abbr from marts.dim_product order by 1"),
        "vendor": ("Vendor", "many", "select distinct coalesce(vendor, 'unknown') from marts.dim_agency order by 1"),
    }
    for name, (label, kind, query) in choices.items():
        chosen = [UNKNOWN if value is None else value for value in getattr(filters, name)]
        options = _options(_column(cursor, query), LINE_LABELS if name == "prod_line" else {})
        yield Filter(name, label, kind, options, chosen)  # type: ignore[arg-type]
    yield Filter("agency", "Agency", "text", (), [str(value) for value in filters.agency], "All or ids, as 3, 156")


def _typed(name: str, text: str) -> int | str:
    if name not in _WHOLE_NUMBERS or (name == "primary_agency" and text == UNKNOWN):
        return text
    number = whole_number(text, 10**18 - 1)
    if number is None:
        raise QueryError(name, f"{text[:40]!r} is not a whole number; write one like 2012")
    return number


def _column(cursor: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [str(value) for (value,) in cursor.execute(query).fetchall()]


def _options(values: list[str], labels: Mapping[str, str] | None = None) -> list[Option]:
    return [Option(value, (labels or {}).get(value, value)) for value in values]


# -- figures -----------------------------------------------------------------------------------------------------------


def _by(*pivots: str) -> Callable[[Summaries, Filters], pd.DataFrame]:
    return lambda summaries, filters: summaries.of(filters, pivots)


def _agencies(summaries: Summaries, filters: Filters) -> pd.DataFrame:
    """Return one row per agency, with its segment and its action."""
    segments = summaries.cursor.execute("select agency_id, segment, rule, action from marts.dim_agency_segment").df()
    return with_operands(summaries.of(filters, ["agency"])).merge(segments, on="agency_id", how="left")


def with_operands(summary: pd.DataFrame) -> pd.DataFrame:
    """Return a summary with the two premiums that its growth compares, of the rows that know both."""
    before = summary["growth_rate_denominator"]
    return summary.assign(growth_from=before, growth_to=before + summary["growth_rate_numerator"])


def _segments(summaries: Summaries, filters: Filters) -> Figure:
    agencies = _agencies(summaries, filters)
    sums = agencies.groupby(["segment", "rule"], as_index=False).agg(
        agencies=("agency_id", "count"),
        written_premium=("written_premium", "sum"),
        losses=("loss_ratio_numerator", "sum"),
        premium=("loss_ratio_denominator", "sum"),
    )
    return agency_charts.segments(sums.assign(loss_ratio=(sums["losses"] / sums["premium"]).where(sums["premium"] > 0)))


def _forecast(summaries: Summaries, filters: Filters) -> Figure:
    """Return the forecast of the filtered agencies; it ignores products, states and years."""
    agencies = replace(filters, product=(), state=(), year_from=None, year_to=None)
    history = summaries.of(agencies, ["prod_line", "year"])
    ids = summaries.of(agencies, ["agency"])["agency_id"].tolist()
    figure = forecast_charts.forecast_with_bands(
        history, forecast_totals(summaries.cursor, ids, list(filters.prod_line))
    )
    if agencies == replace(filters, year_from=None, year_to=None):
        return figure
    return replace(figure, note=f"The forecast is not split by product or state. {figure.note}")


def _backtest(summaries: Summaries, _: Filters) -> Figure:
    scores = summaries.cursor.execute(
        "from marts.fct_premium_forecast_scores order by year nulls first, wape, model"
    ).df()
    return forecast_charts.forecast_backtest(scores)


FIGURES: Mapping[str, Callable[[Summaries, Filters], Figure]] = {
    "premium-by-year-and-line": lambda *asked: charts.premium_by_year_and_line(_by("prod_line", "year")(*asked)),
    "premium-forecast": _forecast,
    "loss-ratio-by-state-and-year": lambda *asked: charts.loss_ratio_by_state_and_year(_by("state", "year")(*asked)),
    "agency-segments": _segments,
    "agencies-premium-and-loss-ratio": lambda *asked: agency_charts.agency_scatter(_agencies(*asked)),
    "agencies-top-by-written-premium": lambda *asked: agency_charts.agencies_ranked(_by("agency")(*asked), "top"),
    "agencies-bottom-by-written-premium": lambda *asked: agency_charts.agencies_ranked(_by("agency")(*asked), "bottom"),
    "agencies-top-by-growth-rate": lambda *asked: agency_charts.agencies_ranked(
        _by("agency")(*asked), "top", "growth_rate"
    ),
    "agencies-bottom-by-growth-rate": lambda *asked: agency_charts.agencies_ranked(
        _by("agency")(*asked), "bottom", "growth_rate"
    ),
    "forecast-backtest": _backtest,
}
"""Every figure of the page by its name, made from the summaries and filters."""

TABS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "premium": (
        "Premium and losses",
        ("premium-by-year-and-line", "premium-forecast", "loss-ratio-by-state-and-year"),
    ),
    "agencies": (
        "Agencies compared",
        (
            *("agency-segments", "agencies-premium-and-loss-ratio"),
            *(
                f"agencies-{end}-by-{measure}"
                for measure in ("written-premium", "growth-rate")
                for end in ("top", "bottom")
            ),
        ),
    ),
    "compare": ("Two periods", ()),
    "forecast": ("Quality of the forecast", ("forecast-backtest",)),
}
"""The tabs of the page, each with its label and figures; the first one is shown by default."""

_REMAINDERS = ("agencies-bottom-by-written-premium", "agencies-bottom-by-growth-rate")
"""Rankings of the agencies that another ranking leaves out; not on the page where it leaves none."""


def _link_of(figure: str, query: Sequence[tuple[str, Any]]) -> str:
    """Return the address that a click on a mark of a figure opens, with the names of its data in it."""
    if figure == "premium-by-year-and-line":
        return with_query(PATH, [*_without(query, YEARS), ("year_from", "")]) + "{year}&year_to={year}"
    if figure == "loss-ratio-by-state-and-year":
        rest = _without(query, (*YEARS, "state"))
        return with_query(PATH, [*rest, ("state", "")]) + "{state_abbr}&year_from={year}&year_to={year}"
    return with_query(AGENCY_PATH, query)


def _without(query: Sequence[tuple[str, Any]], names: Sequence[str]) -> list[tuple[str, Any]]:
    return [pair for pair in query if pair[0] not in names]


def key_figures(years: pd.DataFrame) -> list[Kpi]:
    """Return the key figures: the last complete year of a summary by year against the complete one before it."""
    complete = years[years["short_years"].map(len) == 0].sort_values("year")
    known = complete.astype(object).where(complete.notna(), None).to_dict("records")
    last: dict[Any, Any] = known[-1] if known else {}
    before: dict[Any, Any] = known[-2] if len(known) > 1 else {}
    year = f" {last['year']}" if last else ""
    against = f"against {before['year']}" if before else "no complete year before it"
    basis = (
        f"{counted(last['agencies'], 'agency')}, {counted(last['rows'], 'row')}"
        if last
        else "no complete year in this selection"
    )

    def tile(label: str, name: str, kind: Any, unit: str = "", better: bool | None = None) -> Kpi:
        value, former = last.get(name), before.get(name)
        is_share = kind == "percent"
        change, of = None, against
        if name == "written_premium":  # growth is of the rows that know both years: the same agencies
            change = last.get("growth_rate")
            former_year = against if before else "against the year before"
            of = f"{former_year}, same agencies" if change is not None else against
        elif value is not None and former is not None:
            change = value - former if is_share else (value / former - 1 if former > 0 else None)
        return Kpi(
            label=label + year,
            value=value,
            kind=kind,
            unit=unit,
            change=change,
            change_against=of,
            change_kind="points" if is_share else "percent",
            better=better,
            trend=[row.get(name) for row in known],
            basis=basis,
        )

    return [
        tile("Written premium", "written_premium", "money", "USD", better=True),
        tile("New business", "new_business_premium", "money", "USD", better=True),
        tile("Loss ratio", "loss_ratio", "percent", better=False),
        tile("Retention", "retention_ratio", "percent", better=True),
        tile("Policies in force", "policies_in_force", "count", better=True),
    ]


def _announcement(agencies: pd.DataFrame, years: pd.DataFrame) -> str:
    if agencies.empty:
        return "No row matches these filters."
    return f"{counted(len(agencies), 'agency')}, {years['year'].min()} to {years['year'].max()}"


def _fact(known: pd.DataFrame, name: str) -> str:
    value = known[name].iloc[0]
    if pd.isna(value):
        return "not known"
    return f"{value:.0f}" if isinstance(value, float) else str(value)
