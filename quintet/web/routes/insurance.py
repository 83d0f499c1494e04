"""Insurance over HTTP: detail, summaries, the premium report, the forecast with its backtest, and agency segments."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.responses import Response

from quintet.insurance.forecast_tables import forecast_page, forecast_scores, total_records
from quintet.insurance.performance import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    MAX_FILTER_VALUES,
    PIVOTS,
    Filters,
    QueryError,
    detail_page,
    summary_page,
)
from quintet.insurance.premium_report import PremiumReport, period, premium_report, write_csv
from quintet.insurance.premium_workbook import ReportTooLargeError, write_workbook
from quintet.insurance.report_runs import ReportRun, record_report_run
from quintet.insurance.segments import segment_page
from quintet.web.file_answers import answer_complete
from quintet.web.lists import Listed, Page, PageQuery, answer_list, split_values
from quintet.web.problems import Fault, ProblemError
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("insurance:read", prefix="/v1/insurance", tags=["insurance"])
ROUTERS = (router,)

_FINER_THAN_A_YEAR = ("month", "quarter", "week", "day", "date")

_AtMost: Any = Field(default_factory=list, max_length=MAX_FILTER_VALUES)
Ids = Annotated[list[Annotated[int, Field(ge=0, le=2**63 - 1)]], BeforeValidator(split_values), _AtMost]
IdsOrUnknown = Annotated[
    list[Annotated[int, Field(ge=0, le=2**63 - 1)] | Literal["unknown"]], BeforeValidator(split_values), _AtMost
]
Codes = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], BeforeValidator(split_values), _AtMost]
Year = Annotated[int, Field(ge=EARLIEST_YEAR, le=LATEST_YEAR)]


class FilterQuery(BaseModel):
    """Filters of rows. A filter accepts several values, repeated or separated by commas."""

    model_config = ConfigDict(extra="forbid")

    agency: Ids = Field(description="Agency ids.", examples=[[3]])
    primary_agency: IdsOrUnknown = Field(description="Ids of masters, or `unknown`.", examples=[["unknown"]])
    product: Codes = Field(description="Product codes.", examples=[["HOMEOWNERS"]])
    prod_line: Codes = Field(description="Lines: `CL` commercial, `PL` personal.", examples=[["CL"]])
    state: Codes = Field(description="Postal codes of states.", examples=[["OH", "PA"]])
    vendor: Codes = Field(description="Vendors of agencies' systems, or `unknown`.", examples=[["unknown"]])
    year_from: Year | None = Field(None, description="First year, included.", examples=[2010])
    year_to: Year | None = Field(None, description="Last year, included.", examples=[2012])

    @model_validator(mode="before")
    @classmethod
    def _no_part_of_a_year(cls, given: Any) -> Any:
        names = [str(name) for name in given] if isinstance(given, Mapping) else []  # anything else is refused later
        finer = [name for name in names if any(part in name.lower() for part in _FINER_THAN_A_YEAR)]
        if finer:
            raise ValueError(f"{finer[0]}: the data is yearly; use year_from and year_to")
        return given

    def filters(self) -> Filters:
        """Return the filters in the domain's form. Raises QueryError."""
        lists = ("agency", "primary_agency", "product", "prod_line", "state", "vendor")
        return Filters(
            **{name: tuple(getattr(self, name)) for name in lists}, year_from=self.year_from, year_to=self.year_to
        )


class FilteredQuery(FilterQuery, PageQuery):
    """Filters and page of the list."""


class SummaryQuery(FilteredQuery):
    """Filters, pivots and page."""

    group_by: Annotated[list[Annotated[str, Field(max_length=100)]], BeforeValidator(split_values)] = Field(
        default_factory=list,
        max_length=len(PIVOTS),
        description=f"Pivots, any of {', '.join(PIVOTS)}; without any, the grand total.",
        examples=[["prod_line", "year"]],
    )


class ShortYear(BaseModel):
    """A year that is not complete."""

    year: int
    months_covered: int
    reason: str = Field(description="`short`, `few_rows`, `future` or `detached`: see `marts.dim_year`.")


class SummaryRow(BaseModel):
    """One group: its pivots, sums over the rows that have each measure, and ratios computed from sums."""

    model_config = ConfigDict(extra="allow")

    rows: int = Field(description="Rows of the fact table in this group.")
    agencies: int
    months_covered: int = Field(description="Months of the group's years that the data covers.")
    short_years: list[ShortYear] = Field(description="Its years that are not complete.")
    policies_years: list[int] = Field(description="The years that the policies are of.")
    policies_missing_reason: str | None = Field(
        description="`no_complete_year` where no year of the range is complete."
    )
    written_premium: float | None = Field(description="USD; null where no row has it.")
    new_business_premium: float | None
    prev_written_premium: float | None
    earned_premium: float | None
    incurred_losses: float | None
    policies_in_force: int | None = Field(
        description="A stock: over several years, that of the last complete year of each agency, product and state."
    )
    prev_policies_in_force: int | None = Field(description="Of the same years as `policies_in_force`.")
    retained_policies: int | None = Field(description="Of the same years as `policies_in_force`.")
    loss_ratio: float | None
    loss_ratio_missing_reason: str | None
    retention_ratio: float | None
    retention_ratio_missing_reason: str | None
    growth_rate: float | None = Field(
        description="On the year before; over several years, that of the last complete one. None of other years."
    )
    growth_rate_missing_reason: str | None
    missing: dict[str, dict[str, int]] | None = Field(description="By measure and reason, the rows that lack it.")


class SummaryPage(Listed):
    """Groups in the order of their pivots."""

    items: list[SummaryRow]


class DetailRow(BaseModel):
    """One agency, product, state and year as in `marts.fct_agency_performance`, with the agency's master and vendor."""

    model_config = ConfigDict(extra="allow")

    agency_id: int
    primary_agency_id: int | None
    vendor: str | None
    prod_abbr: str
    prod_line: str
    state_abbr: str
    year: int
    months: int | None
    written_premium: float | None
    written_premium_missing_reason: str | None


class DetailPage(Listed):
    """Rows in the order of agency, product, state and year."""

    items: list[DetailRow]


class ForecastQuery(PageQuery):
    """Filters of the forecast."""

    agency: Ids = Field(description="Agency ids.")
    prod_line: Codes = Field(description="Lines: `CL` commercial, `PL` personal.")


class ForecastRow(BaseModel):
    """The forecast of an agency's line; bands are null where the backtest has no forecast to compare."""

    agency_id: int
    prod_line: str
    year: int
    premium: float = Field(description="Written premium of the last complete year, USD.")
    forecast: float = Field(description="Written premium, USD.")
    lo80: float | None
    hi80: float | None
    lo95: float | None
    hi95: float | None
    model: str
    origin_year: int


class ForecastTotal(BaseModel):
    """The sum of the forecasts of a line, or of `all` lines; bands are null below three years of backtest."""

    prod_line: str
    year: int
    forecast: float = Field(description="Written premium, USD.")
    model: str
    lo80: float | None
    hi80: float | None
    lo95: float | None
    hi95: float | None


class ModelScore(BaseModel):
    """The backtest of a model on unseen years; a null year stands for all of them."""

    model: str
    year: int | None
    is_chosen: bool
    n: int
    wape: float | None
    wape_vs_naive: float | None
    bias: float | None
    coverage80: float | None
    coverage95: float | None


class ForecastPage(Listed):
    """Forecasts in the order of agency, line and year, with the backtest."""

    items: list[ForecastRow]
    totals: list[ForecastTotal]
    backtest: list[ModelScore]
    explanation: str | None


class SegmentQuery(PageQuery):
    """Filters of segments."""

    segment: Codes = Field(description="Names of segments.", examples=[["repair"]])


class SegmentRow(BaseModel):
    """An agency's segment with its rule and figures."""

    model_config = ConfigDict(extra="allow")

    agency_id: int
    segment: str
    rule: str
    action: str


class SegmentPage(Listed):
    """Agencies in the order of their ids."""

    items: list[SegmentRow]


class ReportQuery(FilterQuery):
    """Filters, and the format of the file."""

    format: Literal["xlsx", "csv"] = Field("xlsx", description="A workbook holds up to 10,000 rows, CSV any number.")


_REPORT_TYPES = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}


@contextmanager
def query_errors() -> Iterator[None]:
    """Turn a QueryError of the domain into a 422 that names the parameter."""
    try:
        yield
    except QueryError as error:
        fault = Fault(where=f"query.{error.parameter}", what=str(error))
        raise ProblemError(422, str(error), errors=[fault]) from error


def _list(
    request: Request,
    query: PageQuery,
    fetch: Callable[[Any, tuple[Any, ...] | None], Page],
    extra: Callable[[Any], Mapping[str, Any]] = lambda _: {},
) -> Response:
    with query_errors():
        return answer_list(request, query, fetch, extra)


@router.get("/performance", response_model=DetailPage)
@restricted_by("agency")
def performance(request: Request, query: Annotated[FilteredQuery, Query()]) -> Response:
    """List premium, losses and policies by agency, product, state and year.

    An unknown figure is null, and `<figure>_missing_reason` says why.
    """
    with query_errors():
        filters = query.filters()
    return _list(request, query, lambda cursor, after: detail_page(cursor, filters, after, query.page_size))


@router.get("/summary", response_model=SummaryPage)
@restricted_by("agency")
def summary(request: Request, query: Annotated[SummaryQuery, Query()]) -> Response:
    """Return sums over any combination of pivots, with ratios computed at that grain.

    Loss ratio is losses by written premium; retention is retained policies by policies in force the year before;
    growth is against the written premium of the year before. `missing` has the measures that rows lack, and why.
    """
    with query_errors():
        filters = query.filters()
    return _list(
        request,
        query,
        lambda cursor, after: summary_page(cursor, filters, query.group_by, after, query.page_size),
    )


@router.get("/forecast", response_model=ForecastPage)
@restricted_by("agency")
def forecast(request: Request, query: Annotated[ForecastQuery, Query()]) -> Response:
    """Return next year's written premium of each agency and line with 80% and 95% bands, and the backtest.

    `backtest` has the scores of every model, by year and (with a null year) over all of them; `explanation` says which
    one is active and by how much it beats the last complete year, or that none does. `totals` has the sums by line and
    over all lines; their bands come from the same distribution as the bands of agencies, whose ends do not add up.
    """

    def fetch(cursor: Any, after: tuple[Any, ...] | None) -> Page:
        return forecast_page(cursor, query.agency, query.prod_line, after, query.page_size)

    def extra(cursor: Any) -> Mapping[str, Any]:
        return forecast_scores(cursor) | {"totals": total_records(cursor, query.agency, query.prod_line)}

    return _list(request, query, fetch, extra)


@router.get("/segments", response_model=SegmentPage)
@restricted_by("agency")
def segments(request: Request, query: Annotated[SegmentQuery, Query()]) -> Response:
    """List the segment of each agency, its rule, and what to do about it."""

    def fetch(cursor: Any, after: tuple[Any, ...] | None) -> Page:
        return segment_page(cursor, query.segment, after, query.page_size)

    return _list(request, query, fetch)


@router.get(
    "/reports/premium",
    response_class=Response,
    responses={
        200: {
            "description": "The report as a file.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _REPORT_TYPES.values()},
        }
    },
)
@restricted_by("agency")
def premium(request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
    """Return Premium Info by Agency and Product Line as a workbook or CSV (any size); record it in the history."""
    with query_errors():
        filters = query.filters()
    service = service_of(request)
    disposition = f'attachment; filename="premium_{period(filters).replace(" ", "_")}.{query.format}"'
    headers = {"content-disposition": disposition, "cache-control": "private, no-cache"}
    with service.snapshots.read() as snapshot:
        report = premium_report(
            snapshot.cursor, filters, snapshot_id=snapshot.snapshot_id, published_at=snapshot.published_at
        )
        headers["x-snapshot"] = snapshot.snapshot_id
        try:
            chunks = _workbook(report) if query.format == "xlsx" else write_csv(snapshot.cursor, filters)
            answer = answer_complete(chunks, _REPORT_TYPES[query.format], headers)
        except ReportTooLargeError as error:
            raise ProblemError(422, str(error)) from error
    record_report_run(
        service.store,
        ReportRun(
            report="premium",
            written_at=service.clock(),
            written_by=request.state.key.name,
            parameters={name: value for name, value in query.model_dump(exclude={"format"}).items() if value},
            format=query.format,
            rows=len(report.frame),
            total_written_premium=Decimal(str(report.total["written_premium"].fillna(0).iloc[0])),
            snapshot=snapshot.snapshot_id,
            key_id=request.state.key.key_id,
        ),
    )
    return answer


def _workbook(report: PremiumReport) -> Iterator[bytes]:
    file = io.BytesIO()
    write_workbook(report, file)
    yield file.getvalue()
