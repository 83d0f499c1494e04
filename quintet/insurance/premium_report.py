"""The premium report: "Premium Info by Agency and Product Line" over a range of years, as figures and as CSV.

CSV is for other programs: rows without totals, so that a column can be summed. Numbers are numbers, and `as_text`
escapes formulas in texts. The workbook for people is in `premium_workbook.py`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import duckdb
import pandas as pd

from quintet.insurance.performance import Filters, Key, summary_frame, summary_page
from quintet.insurance.years import year_in_words
from quintet.presentation.design import as_text

TITLE = "Premium Info by Agency and Product Line"

WORKBOOK_ROWS = 10_000
"""The largest number of rows of a workbook; a larger report is available as CSV."""

KEY = ("agency_id", "primary_agency_id", "prod_line")
FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "written_premium": "money",
        "new_business_premium": "money",
        "prev_written_premium": "money",
        "growth_from": "money",
        "growth_to": "money",
        "growth_rate": "percent",
        "earned_premium": "money",
        "incurred_losses": "money",
        "loss_ratio": "percent",
        "retention_ratio": "percent",
        "policies_at_end": "count",
    }
)
"""The report's figures. policies_at_end: policies in force in the last complete year. growth_from, growth_to: the
premium of the year before it and of it, in the rows that know both; growth_rate compares the two."""

SHORT_YEAR = ("year", "months_covered", "reason")
_CSV_PAGE_ROWS = 1_000


@dataclass(frozen=True)
class PremiumReport:
    """The figures of a report. Amounts are USD.

    frame: one row per agency and product line, ordered by both: `KEY`, `FIGURES`, rows (of the data behind it).
    agencies, product_lines, total: the same per agency, per product line and in total, each summed from the data.
    years: year, label, prod_line, written_premium. policies_years: the years of policies_at_end, in order; one unless
    some agencies have a later complete year than others.
    missing: prod_line, measure, reason, missing_rows, rows: missing values, their reason and number of rows.
    short_years: year, months_covered and reason of years that are not complete, as in `dim_year`.
    snapshot_id, published_at (UTC without zone): the source of the figures.
    """

    filters: Filters
    snapshot_id: str
    published_at: dt.datetime
    frame: pd.DataFrame
    agencies: pd.DataFrame
    product_lines: pd.DataFrame
    total: pd.DataFrame
    years: pd.DataFrame
    policies_years: tuple[int, ...]
    missing: pd.DataFrame
    short_years: pd.DataFrame


def premium_report(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, *, snapshot_id: str, published_at: dt.datetime
) -> PremiumReport:
    """Return the report on the rows that match the filters."""
    years = summary_frame(cursor, filters, ("year", "prod_line"))
    product_lines = _figures(cursor, filters, ("prod_line",))
    total = _figures(cursor, filters, ())
    short_years = pd.DataFrame(total["short_years"].iloc[0], columns=SHORT_YEAR)
    labels = {year: year_in_words(year, months, why) for year, months, why in records_of(short_years, SHORT_YEAR)}
    kept = [*FIGURES, "rows"]
    return PremiumReport(
        filters=filters,
        snapshot_id=snapshot_id,
        published_at=published_at,
        frame=_figures(cursor, filters, ("agency", "primary_agency", "prod_line"))[[*KEY, *kept]],
        agencies=_figures(cursor, filters, ("agency", "primary_agency"))[[*KEY[:2], *kept]],
        product_lines=product_lines[["prod_line", *kept]],
        total=total[kept],
        years=years.assign(label=years["year"].map(lambda year: labels.get(year, str(year))))[
            ["year", "label", "prod_line", "written_premium"]
        ],
        policies_years=tuple(total["policies_years"].iloc[0]),
        missing=_missing(product_lines),
        short_years=short_years,
    )


def write_csv(cursor: duckdb.DuckDBPyConnection, filters: Filters) -> Iterator[bytes]:
    """Yield the report's rows as CSV, UTF-8 with a header, in chunks of up to 1,000 rows, without totals.

    Columns: `KEY`, `FIGURES`, rows, missing (measure, reason and rows of missing values). Amounts have two decimals, or
    four where the data has them; null is an empty cell. The cursor is in use until the last chunk is read.
    """
    yield _csv_lines([[*KEY, *FIGURES, "rows", "missing"]])
    after: Key | None = None
    while True:
        groups, after = summary_page(cursor, filters, ("agency", "primary_agency", "prod_line"), after, _CSV_PAGE_ROWS)
        for group in groups:
            group.update(_operands(group))
            group[_AT_END] = group["policies_in_force"]
            group["missing"] = _in_words(group["missing"])
        yield _csv_lines([_csv_cell(group, name) for name in (*KEY, *FIGURES, "rows", "missing")] for group in groups)
        if after is None:
            return


def period(filters: Filters) -> str:
    """Return the years of a report in words: "2010 to 2012", "from 2010 on", "all years"."""
    first, last = filters.year_from, filters.year_to
    if first is None and last is None:
        return "all years"
    if first is None:
        return f"up to {last}"
    if last is None:
        return f"from {first} on"
    return str(first) if first == last else f"{first} to {last}"


_AT_END = "policies_at_end"


# -- figures -----------------------------------------------------------------------------------------------------------


def _figures(cursor: duckdb.DuckDBPyConnection, filters: Filters, group_by: Sequence[str]) -> pd.DataFrame:
    summary = summary_frame(cursor, filters, group_by)
    return summary.rename(columns={"policies_in_force": _AT_END}).assign(**_operands(summary))


def _operands(summary: Mapping[str, Any] | pd.DataFrame) -> dict[str, Any]:
    """Return the two premiums that the growth rate compares, of one group or of a frame of them."""
    before, change = summary["growth_rate_denominator"], summary["growth_rate_numerator"]
    return {"growth_from": before, "growth_to": None if before is None else round(before + change, 4)}


def _missing(product_lines: pd.DataFrame) -> pd.DataFrame:
    counted = [
        (line, measure, reason, missing_rows, rows)
        for line, gaps, rows in product_lines[["prod_line", "missing", "rows"]].itertuples(index=False)
        for measure, reasons in gaps.items()
        for reason, missing_rows in reasons.items()
    ]
    return pd.DataFrame(counted, columns=["prod_line", "measure", "reason", "missing_rows", "rows"])


def records_of(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of the columns as Python values, None for null."""
    plain = frame[list(columns)].astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _csv_cell(group: Mapping[str, Any], name: str) -> Any:
    value = group[name]
    if isinstance(value, str):
        return as_text(value)
    if value is not None and FIGURES.get(name) == "money":
        return f"{value:.4f}".removesuffix("00")
    return value


def _in_words(missing: Mapping[str, Mapping[str, int]]) -> str:
    return "; ".join(
        f"{measure}: {reason} ({rows})" for measure, reasons in missing.items() for reason, rows in reasons.items()
    )
