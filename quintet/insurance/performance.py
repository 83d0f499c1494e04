"""Queries of agency performance: filters, pivots, sums with their ratios, and pages of rows.

The data is yearly, so that a date range is a range of years. Every value from a user is a bound parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import duckdb
import pandas as pd

from quintet.insurance.years import NO_COMPLETE_YEAR, at_end_of_range, coverage
from quintet.warehouse.snapshot import records

MAX_FILTER_VALUES = 200
"""The largest number of values of one filter."""

EARLIEST_YEAR, LATEST_YEAR = 1900, 2100

UNKNOWN = "unknown"
"""As a value of `primary_agency` or `vendor`: the agencies whose master or vendor is unknown."""

PIVOTS: Mapping[str, str] = MappingProxyType(
    {
        "agency": "agency_id",
        "primary_agency": "primary_agency_id",
        "product": "prod_abbr",
        "prod_line": "prod_line",
        "state": "state_abbr",
        "vendor": "vendor",
        "year": "year",
    }
)
"""The pivots of a summary, with their columns."""

AMOUNTS = ("written_premium", "new_business_premium", "prev_written_premium", "earned_premium", "incurred_losses")
"""Measures in USD."""

COUNTS = ("policies_in_force", "prev_policies_in_force", "retained_policies")
"""Measures in policies: a range of years has those of its last complete year (`summary_frame`)."""

MEASURES = (*AMOUNTS, *COUNTS)

RATIOS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "loss_ratio": ("written_premium", "incurred_losses"),
        "retention_ratio": ("prev_policies_in_force", "retained_policies"),
        "growth_rate": ("prev_written_premium", "written_premium"),
    }
)
"""Each ratio with its denominator and the compared measure; a growth rate is their difference by the denominator."""

RATIO_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "no_row_knows_both_sides": "No row has both figures of the ratio.",
        "denominator_not_positive": "The denominator is zero or less.",
        NO_COMPLETE_YEAR: "No year is complete; a part of a year has no growth on a whole one.",
    }
)
"""Why a ratio of a summary is null."""

SUMMARY_COLUMNS = (
    *("rows", "agencies", "months_covered", "short_years", "policies_years", "policies_missing_reason"),
    *MEASURES,
    *(f"{ratio}{part}" for ratio in RATIOS for part in ("", "_numerator", "_denominator", "_missing_reason")),
    "missing",
)
"""The columns of each group of a summary, after its key."""

DETAIL_KEY = ("agency_id", "prod_abbr", "state_abbr", "year")

_WHOLE_NUMBERS = frozenset({"agency", "primary_agency", "year"})
_WHOLE_COLUMNS = frozenset(PIVOTS[pivot] for pivot in _WHOLE_NUMBERS)
_MAY_BE_UNKNOWN = frozenset({"primary_agency", "vendor"})
_YEARS = ("year_from", "year_to")
_LARGEST_ID = 2**63 - 1

Key = tuple[int | str | None, ...]


class QueryError(ValueError):
    """An invalid query: `parameter` is the faulty parameter; the text names the fault and the fix."""

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(f"{parameter}: {text}")
        self.parameter = parameter


@dataclass(frozen=True)
class Filters:
    """Filters of rows: a row matches one value of every filter; an empty filter matches all.

    agency, primary_agency: ids. product, prod_line, state, vendor: codes as in the data, case-sensitive.
    `UNKNOWN` (stored as None) in primary_agency or vendor matches the agencies for which it is unknown.
    year_from, year_to: the first and last year, both inclusive. Raises QueryError for an invalid value.
    """

    agency: tuple[int, ...] = ()
    primary_agency: tuple[int | str | None, ...] = ()
    product: tuple[str, ...] = ()
    prod_line: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    vendor: tuple[str | None, ...] = ()
    year_from: int | None = None
    year_to: int | None = None

    def __post_init__(self) -> None:
        """Check every value and turn each filter into a tuple without repetitions."""
        for name in _LISTS:
            object.__setattr__(self, name, _checked_values(name, getattr(self, name)))
        for name in _YEARS:
            _check_year(name, getattr(self, name))
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            raise QueryError("year_from", f"{self.year_from} is after year_to {self.year_to}; swap the two")

    def given(self) -> dict[str, tuple[Any, ...] | int]:
        """Return the filters that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in ((), None)}

    def where(self) -> tuple[str, list[Any]]:
        """Return the conditions as SQL over the fact and the agency's dimension, and the values to bind."""
        conditions, bound = ["true"], []
        for name in _LISTS:
            values = getattr(self, name)
            known = [value for value in values if value is not None]
            alternatives = [f"{PIVOTS[name]} in ({', '.join('?' * len(known))})"] if known else []
            alternatives += [f"{PIVOTS[name]} is null"] if None in values else []
            if alternatives:
                conditions.append(f"({' or '.join(alternatives)})")
                bound += known
        for name, comparison in zip(_YEARS, ("year >= ?", "year <= ?"), strict=True):
            if getattr(self, name) is not None:
                conditions.append(comparison)
                bound.append(getattr(self, name))
        return " and ".join(conditions), bound


_LISTS = tuple(field.name for field in fields(Filters) if field.name in PIVOTS)


def summary_frame(cursor: duckdb.DuckDBPyConnection, filters: Filters, group_by: Sequence[str] = ()) -> pd.DataFrame:
    """Return the sums of each group, ordered by its key with nulls last; without pivots one row, the grand total.

    One column for each pivot (`PIVOTS`), then:

    rows, agencies: their number. months_covered: months of the group's years that the data covers, as in `dim_year`.
    short_years: its years that are not complete, each `{"year", "months_covered", "reason"}`, as in `dim_year`.
    policies_years: the years that the policies are of. policies_missing_reason: `NO_COMPLETE_YEAR` without any.
    Each of `MEASURES`: its sum over the rows where it is known, summed as decimals; amounts are USD, each the float
    nearest to the exact sum: query a coarser sum instead of adding them up. Null where it is known in no row.
    Policies (`COUNTS`) are a stock: over several years they are those of the last complete year in the range of each
    agency, product and state. With the pivot `year`, or a range of one year, they are those of that year.
    Each of `RATIOS` with `_numerator` and `_denominator`, summed over the rows where both are known; null with a
    `_missing_reason` (`RATIO_REASONS`) where it is undefined. Growth is relative to the reported year before, and of
    complete years only: over several years it is that of the last complete year, as the policies are.
    missing: measure to reason to number of rows, for measures that are missing in some rows.

    Raises QueryError for unknown or repeated pivots.
    """
    columns = _columns(group_by)
    condition, bound = filters.where()
    at_end = at_end_of_range(filters.year_from, filters.year_to, columns)
    summary = _summarise(cursor, columns, condition, bound, at_end)
    # as objects: whole numbers beside nulls would be floats, which round large ids
    frame = pd.DataFrame(summary, columns=[*columns, *SUMMARY_COLUMNS], dtype="object")
    whole = {*_WHOLE_COLUMNS, "rows", "agencies", "months_covered", *COUNTS}
    decimal = {*AMOUNTS, *RATIOS, *(f"{ratio}_{side}" for ratio in RATIOS for side in ("numerator", "denominator"))}
    types = {"Int64": whole, "float64": decimal, "str": {*PIVOTS.values()} - _WHOLE_COLUMNS}
    return frame.astype({name: kind for kind, names in types.items() for name in names if name in frame.columns})


def summary_page(
    cursor: duckdb.DuckDBPyConnection,
    filters: Filters,
    group_by: Sequence[str],
    after: Key | None,
    limit: int,
) -> tuple[list[dict[str, Any]], Key | None]:
    """Return the next `limit` groups after the key `after`, and the next key (None on the last page).

    The rows are those of `summary_frame` as JSON values. A key has the values of the pivots in the order of `group_by`.
    Raises QueryError, also for a key of another query.
    """
    columns = _columns(group_by)
    condition, bound = filters.where()
    _check_page(columns, after, limit)
    condition, bound = _and_after(condition, bound, columns, after)
    at_end = at_end_of_range(filters.year_from, filters.year_to, columns)
    if not columns:  # the grand total is the only row
        return ([] if after is not None else _summarise(cursor, columns, condition, bound, at_end)), None
    groups = _summarise(cursor, columns, condition, bound, at_end, limit + 1)
    page = groups[:limit]
    return page, tuple(page[-1][name] for name in columns) if len(groups) > limit else None


def detail_page(
    cursor: duckdb.DuckDBPyConnection, filters: Filters, after: Key | None, limit: int
) -> tuple[list[dict[str, Any]], Key | None]:
    """Return the next `limit` rows of the fact after the key `after`, and the next key (None on the last page).

    Each row has the fact's columns and its agency's primary_agency_id and vendor, as JSON values. A key has the values
    of `DETAIL_KEY`. Raises QueryError.
    """
    condition, bound = filters.where()
    _check_page(DETAIL_KEY, after, limit)
    condition, bound = _and_after(condition, bound, DETAIL_KEY, after)
    amounts = ", ".join(f"{name}::double as {name}" for name in AMOUNTS)
    rows = records(
        cursor.execute(
            f"""
            with page as (select performance.rowid {_source((), condition)} {_order(DETAIL_KEY)} limit ?)
            select performance.* replace ({amounts}), primary_agency_id, vendor
            {_FACT} {_AGENCY}
            where performance.rowid in (select rowid from page)
            {_order(DETAIL_KEY)}
            """,
            [*bound, limit + 1],
        )
    )
    page = rows[:limit]
    return page, tuple(page[-1][name] for name in DETAIL_KEY) if len(rows) > limit else None


_FACT = "from marts.fct_agency_performance as performance"
_AGENCY = "left join marts.dim_agency as agency using (agency_id)"
_OF_THE_AGENCY = ("primary_agency_id", "vendor")


def _source(columns: Iterable[str], condition: str) -> str:
    """Return from and where; the dimension is joined only where it is needed."""
    needs_agency = any(name in columns or name in condition for name in _OF_THE_AGENCY)
    return f"{_FACT} {_AGENCY if needs_agency else ''} where {condition}"


def _order(columns: Sequence[str]) -> str:
    return f"order by {', '.join(f'{name} nulls last' for name in columns)}" if columns else ""


def _summarise(
    cursor: duckdb.DuckDBPyConnection,
    columns: Sequence[str],
    condition: str,
    bound: Sequence[Any],
    at_end: str,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return the first `limit` groups of the summary by `columns` of the rows that meet `condition`.

    at_end: SQL for whether a row has the policies at the end of the range.
    """
    known_years = cursor.execute("select year, months_covered, incomplete_reason from marts.dim_year").fetchall()
    covered = {year: (months, reason) for year, months, reason in known_years}
    agencies = "1" if "agency_id" in columns else "count(distinct agency_id)"
    years, policies_years = "list(distinct year)", f"list_sort(list(distinct year) filter ({at_end}))"
    if "year" in columns:
        years = policies_years = "[year]"
    sums = records(
        cursor.execute(
            f"""
            select {"".join(f"{name}, " for name in columns)}
                count(*) as rows, {agencies} as agencies, {years} as years,
                {", ".join(f"sum({name})::double as {name}" for name in AMOUNTS)},
                {", ".join(f"sum({name}) filter ({at_end})::bigint as {name}" for name in COUNTS)},
                {policies_years} as policies_years,
                coalesce(bool_or(is_year_complete), false) as has_complete_year,
                {", ".join(_sides(ratio, at_end) for ratio in RATIOS)},
                histogram(missing_reasons) as missing
            {_source(columns, condition)} {_group(columns)} {_order(columns)} {"" if limit is None else "limit ?"}
            """,
            [*bound, *([] if limit is None else [limit])],
        )
    )
    for group in sums:
        group["missing"] = _missing(group["missing"] or {})
        group.update(coverage(group["years"] or (), covered) | _ratios(group))
        group["policies_years"] = group["policies_years"] or []
        group["policies_missing_reason"] = None if group["policies_years"] else NO_COMPLETE_YEAR
    return [{name: group[name] for name in (*columns, *SUMMARY_COLUMNS)} for group in sums]


def _missing(combinations: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return measure to reason to rows. combinations: rows by the set of their missing measures and reasons."""
    missing: dict[str, dict[str, int]] = {}
    for text in sorted(combinations):
        for pair in text.split(";"):
            measure, reason = pair.split(":")
            by_reason = missing.setdefault(measure, {})
            by_reason[reason] = by_reason.get(reason, 0) + combinations[text]
    return {measure: missing[measure] for measure in MEASURES if measure in missing}


def _sides(ratio: str, at_end: str) -> str:
    base, compared = RATIOS[ratio]
    rows = f"{base} is not null and {compared} is not null"
    if ratio == "growth_rate":
        rows += f" and is_year_complete and {at_end}"
    denominator, numerator = f"sum({base}) filter ({rows})", f"sum({compared}) filter ({rows})"
    if ratio == "growth_rate":
        numerator = f"{numerator} - {denominator}"
    return f"""
        ({numerator})::double as {ratio}_numerator,
        ({denominator})::double as {ratio}_denominator
    """


def _ratios(group: Mapping[str, Any]) -> dict[str, Any]:
    ratios: dict[str, Any] = {}
    for ratio in RATIOS:
        numerator, denominator = group[f"{ratio}_numerator"], group[f"{ratio}_denominator"]
        reason = None
        if denominator is None:
            is_of_no_year = ratio == "growth_rate" and not group["has_complete_year"]
            reason = NO_COMPLETE_YEAR if is_of_no_year else "no_row_knows_both_sides"
        elif denominator <= 0:
            reason = "denominator_not_positive"
        ratios |= {ratio: numerator / denominator if reason is None else None, f"{ratio}_missing_reason": reason}
    return ratios


def _group(columns: Sequence[str]) -> str:
    return f"group by {', '.join(columns)}" if columns else ""


def _and_after(condition: str, bound: list[Any], columns: Sequence[str], after: Key | None) -> tuple[str, list[Any]]:
    if after is None:
        return condition, bound
    is_after, after_bound = _is_after(columns, after)
    return f"{condition} and {is_after}", [*bound, *after_bound]


def _is_after(columns: Sequence[str], key: Key) -> tuple[str, list[Any]]:
    """Return SQL for whether a row's key comes after `key` in the order of `_order`; true or false, never null."""
    alternatives, bound = [], []
    for position, (name, value) in enumerate(zip(columns, key, strict=True)):
        if value is None:  # nothing comes after null
            continue
        equal = "".join(f"{before} is not distinct from ? and " for before in columns[:position])
        alternatives.append(f"({equal}({name} > ? or {name} is null))")
        bound += [*key[:position], value]
    return f"({' or '.join(alternatives) or 'false'})", bound


def _columns(group_by: Sequence[str]) -> list[str]:
    for pivot in group_by:
        if pivot not in PIVOTS:
            raise QueryError("group_by", f"there is no pivot {pivot!r}; there are {', '.join(PIVOTS)}")
        if list(group_by).count(pivot) > 1:
            raise QueryError("group_by", f"{pivot} is repeated; name it once")
    return [PIVOTS[pivot] for pivot in group_by]


def _check_page(columns: Sequence[str], after: Key | None, limit: int) -> None:
    if limit < 1:
        raise QueryError("limit", f"{limit} rows are not a page; use 1 or more")
    if after is None:
        return
    fits = len(after) == len(columns) and all(
        value is None or type(value) is (int if name in _WHOLE_COLUMNS else str)
        for name, value in zip(columns, after, strict=True)
    )
    if not fits:
        raise QueryError("after", "the key is of another query; start again without it")


def _check_year(name: str, year: object) -> None:
    if year is None:
        return
    if type(year) is not int:
        raise QueryError(name, f"{year!r} is not a whole number; write the year as 2012")
    if not EARLIEST_YEAR <= year <= LATEST_YEAR:
        raise QueryError(name, f"{year} is not between {EARLIEST_YEAR} and {LATEST_YEAR}; use a year of that range")


def _checked_values(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    if isinstance(values, str):
        raise QueryError(name, "the value is one text; use a list of values")
    values = tuple(values)
    if len(values) > MAX_FILTER_VALUES:
        raise QueryError(
            name, f"{len(values):,} values exceed the limit of {MAX_FILTER_VALUES}; use fewer, or no filter"
        )
    return tuple(dict.fromkeys(_checked_value(name, value) for value in values))


def _checked_value(name: str, value: Any) -> Any:
    if name in _MAY_BE_UNKNOWN and value in (None, UNKNOWN):
        return None
    if name in _WHOLE_NUMBERS:
        if type(value) is not int or not 0 <= value <= _LARGEST_ID:
            raise QueryError(name, f"{value!r} is not an id; use whole numbers from 0")
    elif not isinstance(value, str) or not value:
        raise QueryError(name, f"{value!r} is not a code; use a text of one character or more")
    elif not value.isprintable():
        raise QueryError(name, f"{value!r} contains control characters; remove them")
    return value
