"""The conversions that a page shows: filters by day, country, page, device and partner over the cube of counts.

dbt counts the cube (`ml.conversion_cube`) once a build; a selection adds up its rows.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from typing import Any

import duckdb
import pandas as pd

from quintet.conversions.insights import DIMENSIONS, EQUALS

STEPS = ("all", "in_reach", "with_candidate", "matched", "scored", "important")
"""The steps of the funnel, from a conversion to a customer with an important score."""

_OUT_OF_REACH = "('outside_time_span', 'country_unknown', 'country_never_seen', 'partner_not_learned')"
_LEVELS = {name: "strftime(day, '%Y-%m-%d')" if name == "day" else name for name in DIMENSIONS}
_SUMS = {  # by measure: sessions, rows, and the sums of the values, of their squares and of their cubes
    "match_rate": ("reachable_sessions", "reachable_conversions", *["matched_sessions"] * 3),
    "important_share": ("scored_sessions", "scored_conversions", *["important_sessions"] * 3),
    "mean_score": ("scored_sessions", "scored_conversions", "score_total", "score_squares", "score_cubes"),
}
_OF_PARTNER = (
    *("matched_sessions", "scored_conversions", "important_conversions", "scored_sessions", "important_sessions"),
    *("score_total", "score_squares", "score_cubes"),
)
_MILLIONTHS = 1e6
_NO_PARTNER = "(no partner)"


@dataclass(frozen=True)
class Selection:
    """Filters; all empty selects everything. date_to is included. partner: the partner that matches count for."""

    date_from: dt.date | None = None
    date_to: dt.date | None = None
    country: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    device: str = ""
    partner: str = ""

    @property
    def is_all(self) -> bool:
        """Return whether nothing is filtered."""
        return self == Selection()

    def given(self) -> list[tuple[str, str]]:
        """Return the filters that are set, as pairs of a query string."""
        pairs: list[tuple[str, str]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            pairs += [(field.name, str(one)) for one in (value if isinstance(value, tuple) else (value,)) if one]
        return pairs


def selected_cells(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> pd.DataFrame:
    """Return the sums behind each rate of a selection, in the form of dbt's `conversion_cells`."""
    sums = ", ".join(
        f"sum({name})::double as {name}" for name in sorted({name for names in _SUMS.values() for name in names})
    )
    queries = [
        f"select '{name}' as dimension, {level} as level, {' || chr(31) || '.join(EQUALS[name])} as stratum, {sums} "
        "from chosen where not is_scanner_traffic group by all"
        for name, level in _LEVELS.items()
    ]
    wide = _chosen(cursor, selection, " union all ".join(queries)).df()
    parts = []
    for measure, (n, rows, *totals) in _SUMS.items():
        unit = _MILLIONTHS if measure == "mean_score" else 1.0
        part = wide[["dimension", "level", "stratum"]].assign(
            measure=measure,
            n=wide[n].astype("int64"),
            rows=wide[rows].astype("int64"),
            **{name: wide[total] / unit for name, total in zip(("total", "squares", "cubes"), totals, strict=True)},
        )
        parts.append(part[part["rows"] > 0])
    order = ["measure", "dimension", "level", "stratum"]
    return pd.concat(parts).sort_values(order, ignore_index=True)[[*order, "n", "rows", "total", "squares", "cubes"]]


def selected_funnel(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> pd.DataFrame:
    """Return the conversions of a selection by step: side (`clicks`), step (one of `STEPS`), rows, share (of all)."""
    counts = _chosen(
        cursor,
        selection,
        "select coalesce(sum(conversions), 0), "
        f"coalesce(sum(conversions) filter (where outcome not in {_OUT_OF_REACH}), 0), "
        f"coalesce(sum(conversions) filter (where outcome not in {_OUT_OF_REACH} and outcome <> 'no_candidate'), 0), "
        "coalesce(sum(conversions) filter (where outcome = 'matched' and is_own), 0), "
        "coalesce(sum(scored_conversions), 0), coalesce(sum(important_conversions), 0) from chosen",
    ).fetchall()[0]
    rows = [int(count) for count in counts]
    shares = [count / rows[0] if rows[0] else None for count in rows]
    return pd.DataFrame({"side": "clicks", "step": STEPS, "rows": rows, "share": shares})


def selected_outcomes(cursor: duckdb.DuckDBPyConnection, selection: Selection) -> pd.DataFrame:
    """Return the conversions of a selection by outcome, the most first: side (`clicks`), outcome, rows, share."""
    return _chosen(
        cursor,
        selection,
        "select 'clicks' as side, if(outcome = 'matched' and not is_own, 'matched_elsewhere', outcome) as outcome, "
        "sum(conversions)::bigint as rows, sum(conversions) / sum(sum(conversions)) over () as share "
        "from chosen group by all order by rows desc, outcome",
    ).df()


def levels_of(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[Any]]:
    """Return the days (first and last), countries, pages, devices and partners that a snapshot has."""
    names = ("country", "page_category", "device", "partner")
    listed = ", ".join(f"list(distinct {name} order by {name})" for name in names)
    first, last, *lists = cursor.execute(f"select min(day), max(day), {listed} from ml.conversion_cube").fetchall()[0]
    found = {name: values or [] for name, values in zip(names, lists, strict=True)}
    found["partner"] = [name for name in found["partner"] if name != _NO_PARTNER]
    return {"day": [first, last] if first else [], **found}


def _chosen(cursor: duckdb.DuckDBPyConnection, selection: Selection, query: str) -> duckdb.DuckDBPyConnection:
    """Run a query on `chosen`: the rows of the selection, where matches with other partners count for nothing."""
    own = "partner = $partner" if selection.partner else f"partner <> '{_NO_PARTNER}'"
    replaced = ", ".join(f"if({own}, {name}, 0) as {name}" for name in _OF_PARTNER)
    conditions = {
        "date_from": "day >= $date_from",
        "date_to": "day <= $date_to",
        "country": "list_contains($country, country)",
        "page": "list_contains($page, page_category)",
        "device": "device = $device",
    }
    given = {field.name: getattr(selection, field.name) for field in fields(selection)}
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}
    where = " and ".join(condition for name, condition in conditions.items() if name in values) or "true"
    return cursor.execute(
        f"with chosen as materialized (select * replace ({replaced}), {own} as is_own "
        f"from ml.conversion_cube where {where}) {query}",
        values,
    )
