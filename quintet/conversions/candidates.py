"""Which clicks may have become which row: the pairs that later steps weigh, by calendar block.

Belongs here: the tables of clicks and rows in the window of each block, and the clicks within reach of each row, found
by country and time in SQL and bounded per row. Weights do not belong here.

A block is a stretch of the calendar; its window reaches beyond it on both sides by a halo, so that the clicks of the
block meet all the rows and rivals they have. Within a block everything has one canonical order, by content: sums of
floats and ties come out the same however the rows arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.matching_model import MatchingModel

LARGEST_PER_ROW = 64
LARGEST_OF_ANY_COUNTRY = 8

UNKNOWN = -1
COUNTRY_CODES = 26 * 26

_SECONDS = "floor(epoch({column}))::bigint"
_CODE = "coalesce((ascii({column}) - 65) * 26 + ascii({column}[2]) - 65, -1)::smallint"


def country_name(code: int) -> str:
    """The ISO alpha-2 code of a country's number, "" for the unknown."""
    return "" if code == UNKNOWN else chr(65 + code // 26) + chr(65 + code % 26)


def by_country(shares: Mapping[str, float], rest: float) -> np.ndarray:
    """Shares as an array by country number; the unknown country is the last element, so that index -1 finds it."""
    array = np.full(COUNTRY_CODES + 1, float(rest))
    for name, share in shares.items():
        array[(ord(name[0]) - 65) * 26 + ord(name[1]) - 65 if name else UNKNOWN] = share
    return array


@dataclass(frozen=True)
class MatchInput:
    """What is matched: two relations of the connection, each a table or view by name or a query in brackets.

    clicks: conversion_id (bigint), country_iso2 (null if unknown), created_at (UTC). An id given twice
    for about one time is one click, of an unknown country if its countries differ.
    broker_rows: broker_row_id (text, unique), partner (text), broker_at (as the partner's clock says), residency_iso2,
    ip_iso2 (null if unknown).
    """

    clicks: str
    broker_rows: str


def partner_of(file_column: str) -> str:
    """SQL: the partner that a file's name tells: without ending, dates, numbers and words such as "part"."""
    stem = rf"regexp_replace(lower({file_column}), '(\.[a-z][a-z0-9]*)+$', '')"
    ended = rf"regexp_replace({stem}, '([\s_.()-]+([0-9]+|part|batch|chunk|split))+[\s_.()-]*$', '')"
    return rf"coalesce(nullif(regexp_replace({ended}, '^[0-9\s_.()-]+', ''), ''), 'broker')"


def typed_clicks(data: MatchInput) -> str:
    """SQL: conversion_id, at_second (Unix seconds), country (number)."""
    return f"""(
        select conversion_id, {_SECONDS.format(column="created_at")} as at_second,
            {_CODE.format(column="country_iso2")} as country
        from {data.clicks} where created_at is not null and conversion_id is not null
    )"""


def one_by_id(clicks: str) -> str:
    """SQL: each click once; one that is given with two countries has none."""
    return f"""(
        select conversion_id, min(at_second) as at_second,
            case when min(country) = max(country) then min(country) else {UNKNOWN}::smallint end as country
        from {clicks} group by conversion_id
    )"""


def typed_rows(data: MatchInput) -> str:
    """SQL: broker_row_id, partner, own_at (Unix seconds by the partner's clock), ip, residency (country numbers)."""
    return f"""(
        select broker_row_id, partner, {_SECONDS.format(column="broker_at")} as own_at,
            {_CODE.format(column="ip_iso2")} as ip, {_CODE.format(column="residency_iso2")} as residency
        from {data.broker_rows} where broker_at is not null
    )"""


def stretches(model: MatchingModel) -> pd.DataFrame:
    """The clocks as a table: partner, partner_number, from_at, until_at, offset_seconds; stretches meet."""
    rows = []
    for number, (name, partner) in enumerate(sorted(model.partners.items())):
        starts = [-(2**40), *(stretch.from_at for stretch in partner.clock[1:]), 2**40]
        rows += [
            (name, number, start, end, stretch.offset_seconds)
            for start, end, stretch in zip(starts, starts[1:], partner.clock, strict=False)
        ]
    return pd.DataFrame(rows, columns=["partner", "partner_number", "from_at", "until_at", "offset_seconds"]).astype(
        {
            "partner": "str",
            "partner_number": "int64",
            "from_at": "int64",
            "until_at": "int64",
            "offset_seconds": "int64",
        }
    )


@dataclass(frozen=True)
class Window:
    """How the calendar is cut: blocks of `width_seconds` from the epoch, with `halo_seconds` on both sides."""

    width_seconds: int
    halo_seconds: int


@dataclass(frozen=True)
class Candidates:
    """Clicks, rows and pairs of some blocks, in canonical order; the order within a block is its own.

    clicks: block, country, at_second, own (whether in the block itself). rows: block, at_second (our clock), partner
    (number in the order of names), ip, residency, own. By pair: row, click (positions in `rows` and `clicks`), lag
    (seconds), agrees (whether a country of the row is the click's).
    """

    clicks: pd.DataFrame
    rows: pd.DataFrame
    row: np.ndarray
    click: np.ndarray
    lag: np.ndarray
    agrees: np.ndarray


def lay_out(connection: duckdb.DuckDBPyConnection, clicks: str, rows: str, window: Window, blocks: np.ndarray) -> None:
    """Write the windows of `blocks` to the temporary tables window_clicks and window_rows, numbered in order.

    clicks: typed clicks. rows: broker_row_id, partner_number, at_second (our clock), ip, residency.
    """
    connection.register("wanted_blocks", pd.DataFrame({"block": blocks.astype(np.int64)}))
    width, halo = window.width_seconds, window.halo_seconds
    in_blocks = f"unnest(generate_series((at_second - {halo}) // {width}, (at_second + {halo}) // {width})) as block"
    first, last = (int(blocks.min()), int(blocks.max())) if len(blocks) else (0, -1)
    near = f"at_second >= {first * width - halo} and at_second < {(last + 1) * width + halo}"
    connection.execute(f"""
        create or replace temp table window_clicks as
        select block::integer as block, country, at_second, conversion_id, at_second // {width} = block as own,
            (row_number() over (order by block, country, at_second, conversion_id) - 1)::integer as click_place
        from (select *, {in_blocks} from {clicks} where {near}) semi join wanted_blocks using (block)
    """)
    connection.execute(f"""
        create or replace temp table window_rows as
        select block::integer as block, at_second, partner_number, ip, residency, broker_row_id,
            at_second // {width} = block as own,
            (row_number() over (order by block, partner_number, at_second, ip, residency, broker_row_id) - 1)::integer
                as row_place
        from (select *, {in_blocks} from {rows} where {near}) semi join wanted_blocks using (block)
    """)
    connection.unregister("wanted_blocks")


def find_candidates(
    connection: duckdb.DuckDBPyConnection, horizon_seconds: int, any_country_seconds: int
) -> Candidates:
    """The candidates of what `lay_out` wrote.

    Of each country that a row names, through residency and through IP, the nearest `LARGEST_PER_ROW` clicks before it;
    of any other country those within `any_country_seconds`, at most `LARGEST_OF_ANY_COUNTRY`.
    """
    clicks = connection.execute("select block, country, at_second, own from window_clicks order by click_place").df()
    rows = connection.execute(
        "select block, at_second, partner_number as partner, ip, residency, own from window_rows order by row_place"
    ).df()
    agreeing = _ranges(
        connection,
        "select block, country, at_second, click_place, null as row_place from window_clicks where country >= 0 "
        "union all "
        "select block, ip, at_second, null, row_place from window_rows where ip >= 0 union all "
        "select block, residency, at_second, null, row_place from window_rows where residency >= 0 and residency <> ip",
        horizon_seconds,
        LARGEST_PER_ROW,
    )
    in_time = connection.execute(
        "select click_place from window_clicks order by block, at_second, conversion_id"
    ).fetchnumpy()["click_place"]
    anywhere = _ranges(
        connection,
        "select block, 0 as country, at_second, "
        "(row_number() over (order by block, at_second, conversion_id) - 1)::integer as click_place, null as row_place "
        "from window_clicks union all select block, 0, at_second, null, row_place from window_rows",
        any_country_seconds,
        LARGEST_OF_ANY_COUNTRY,
    )
    other_click = np.asarray(in_time)[anywhere[1]].astype(np.int64)
    country = clicks["country"].to_numpy()
    other_country = country[other_click]
    other_row = anywhere[0]
    is_other = (other_country != rows["ip"].to_numpy()[other_row]) & (
        other_country != rows["residency"].to_numpy()[other_row]
    )
    is_other |= other_country == UNKNOWN
    row = np.concatenate([agreeing[0], other_row[is_other]])
    click = np.concatenate([agreeing[1], other_click[is_other]])
    agrees = np.concatenate([np.ones(len(agreeing[0]), dtype=bool), np.zeros(int(is_other.sum()), dtype=bool)])
    order = np.lexsort((click, row))
    row, click, agrees = row[order], click[order], agrees[order]
    lag = rows["at_second"].to_numpy()[row] - clicks["at_second"].to_numpy()[click]
    return Candidates(clicks, rows, row, click, lag, agrees)


def _ranges(
    connection: duckdb.DuckDBPyConnection, events: str, reach_seconds: int, largest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of row and click number: for each row the clicks of its partition in the last seconds, the latest first.

    Clicks of one partition (block, country) are numbered in order of time, so that a range of numbers names them: the
    database finds the ranges, and no row meets more clicks than it may keep.
    """
    found = connection.execute(f"""
        select row_place, last_click, least(clicks, {largest}) as clicks
        from (
            select row_place, max(click_place) over reach as last_click, count(click_place) over reach as clicks
            from ({events})
            window reach as (
                partition by block, country order by at_second
                range between {reach_seconds - 1} preceding and current row
            )
        )
        where row_place is not null and clicks > 0
    """).fetchnumpy()
    count = np.asarray(found["clicks"]).astype(np.int64)
    row = np.repeat(np.asarray(found["row_place"]).astype(np.int64), count)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, np.repeat(np.asarray(found["last_click"]).astype(np.int64), count) - nth
