"""Candidate pairs of conversions and broker rows, by calendar block.

A block is a stretch of the calendar; its window extends it on both sides by a halo, so that it includes all the rows
and rivals of the block's conversions. Within a block everything is ordered by content: float sums and ties do not
depend on the order in which rows arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.bursts import in_burst
from quintet.conversions.matching_model import MatchingModel

LARGEST_PER_ROW = 64
LARGEST_OF_ANY_COUNTRY = 8

UNKNOWN = -1
COUNTRY_CODES = 26 * 26
_HOUR = 3_600
# Wider than any window with its halo and the lags on both sides, so that keys of blocks and countries never meet.
_LONGEST_REACH_SECONDS = 1 << 19
_KEY_SECONDS = 1 << 21

_SECONDS = "floor(epoch({column}))::bigint"
_CODE = "coalesce((ascii({column}) - 65) * 26 + ascii({column}[2]) - 65, -1)::smallint"


def country_name(code: int) -> str:
    """Return the ISO alpha-2 code of a country number, "" for the unknown country."""
    return "" if code == UNKNOWN else chr(65 + code // 26) + chr(65 + code % 26)


def by_country(shares: Mapping[str, float], rest: float) -> np.ndarray:
    """Return shares as an array by country number; the unknown country is last, at index -1."""
    array = np.full(COUNTRY_CODES + 1, float(rest))
    for name, share in shares.items():
        array[(ord(name[0]) - 65) * 26 + ord(name[1]) - 65 if name else UNKNOWN] = share
    return array


@dataclass(frozen=True)
class MatchInput:
    """The input of matching: two relations of the connection, each a table or view by name or a query in brackets.

    conversions: conversion_id (bigint), country_iso2 (null if unknown), created_at (UTC). Rows of one id at about the
    same time are one conversion; its country is unknown if they differ.
    broker_rows: broker_row_id (text, unique), partner (text), broker_at (on the partner's clock), residency_iso2,
    ip_iso2 (null if unknown).
    verdicts: verdict_id, conversion_id, broker_row_id, is_link (all of people's verdicts on pairs); empty for none.
    """

    conversions: str
    broker_rows: str
    verdicts: str = ""


def typed_conversions(data: MatchInput) -> str:
    """Return SQL with the columns conversion_id, at_second (Unix seconds), country (number)."""
    return f"""(
        select conversion_id, {_SECONDS.format(column="created_at")} as at_second,
            {_CODE.format(column="country_iso2")} as country
        from {data.conversions} where created_at is not null and conversion_id is not null
    )"""


def one_by_id(conversions: str) -> str:
    """Return SQL with each conversion once; its country is unknown where it has two."""
    return f"""(
        select conversion_id, min(at_second) as at_second,
            case when min(country) = max(country) then min(country) else {UNKNOWN}::smallint end as country
        from {conversions} group by conversion_id
    )"""


def typed_rows(data: MatchInput) -> str:
    """Return SQL with broker_row_id, partner, own_at (Unix seconds, partner's clock), ip, residency (numbers)."""
    return f"""(
        select broker_row_id, partner, {_SECONDS.format(column="broker_at")} as own_at,
            {_CODE.format(column="ip_iso2")} as ip, {_CODE.format(column="residency_iso2")} as residency
        from {data.broker_rows} where broker_at is not null
    )"""


def stretches(model: MatchingModel) -> pd.DataFrame:
    """Return the clocks as a table: partner, partner_number, from_at, until_at, offset_seconds; without gaps."""
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
    """The calendar's division: blocks of `width_seconds` from the epoch, with `halo_seconds` on both sides.

    Both are whole hours.
    """

    width_seconds: int
    halo_seconds: int


@dataclass(frozen=True)
class WindowArrays:
    """Conversions and rows in the windows of some blocks, in canonical order within each block.

    conversions: block, place, country, at_second, own (whether inside the block itself), in_burst. rows: block, place,
    at_second (our clock), partner (number in the order of names), ip, residency, own. place: in the tables of
    `write_ordered`.
    """

    window: Window
    conversions: pd.DataFrame
    rows: pd.DataFrame


@dataclass(frozen=True)
class Candidates:
    """Candidate pairs, ordered by row and conversion.

    By pair: row, conversion (positions in `rows` and `conversions`), lag (seconds), agrees (whether a country of the
    row equals the conversion's).
    """

    laid: WindowArrays
    row: np.ndarray
    conversion: np.ndarray
    lag: np.ndarray
    agrees: np.ndarray

    @property
    def conversions(self) -> pd.DataFrame:
        """As laid out."""
        return self.laid.conversions

    @property
    def rows(self) -> pd.DataFrame:
        """As laid out."""
        return self.laid.rows


def write_ordered(
    connection: duckdb.DuckDBPyConnection,
    conversions: str,
    rows: str,
    window: Window,
    blocks: np.ndarray,
    name: str,
    further_hours: int = 0,
) -> None:
    """Write the contents of the windows of `blocks` to the temporary tables {name}_conversions and {name}_rows.

    conversions: typed conversions. rows: broker_row_id, partner_number, at_second (our clock), ip, residency. Both
    gain `place`, a number by time and content. further_hours: extends the windows on both sides.
    """
    width, reach = window.width_seconds // _HOUR, window.halo_seconds // _HOUR + further_hours
    hours = np.unique(blocks.astype(np.int64)[:, None] * width + np.arange(-reach, width + reach)[None, :])
    connection.register("near_hours", pd.DataFrame({"hour": hours}))
    first, last = (int(hours[0]), int(hours[-1])) if len(hours) else (0, -1)
    # The range comes first: other columns are then not read for rows outside it.
    near = (
        f"at_second >= {first * _HOUR} and at_second < {(last + 1) * _HOUR} "
        f"and at_second // {_HOUR} in (select hour from near_hours)"
    )
    for side, near_ones, order in (
        ("conversions", one_by_id(f"(select * from {conversions} where {near})"), "at_second, country, conversion_id"),
        ("rows", f"(select * from {rows} where {near})", "at_second, partner_number, ip, residency, broker_row_id"),
    ):
        connection.execute(
            f"create or replace temp table {name}_{side} as "
            f"select *, (row_number() over () - 1)::integer as place from (from {near_ones} order by {order})"
        )
    connection.unregister("near_hours")


def lay_out(
    connection: duckdb.DuckDBPyConnection, conversions: str, rows: str, window: Window, blocks: np.ndarray
) -> WindowArrays:
    """Return the windows of `blocks`. conversions, rows: tables of `write_ordered`."""
    connection.register("wanted_blocks", pd.DataFrame({"block": blocks.astype(np.int64)}))
    width, halo = window.width_seconds, window.halo_seconds
    in_blocks = f"unnest(generate_series((at_second - {halo}) // {width}, (at_second + {halo}) // {width})) as block"
    first, last = (int(blocks.min()), int(blocks.max())) if len(blocks) else (0, -1)
    near = f"at_second >= {first * width - halo} and at_second < {(last + 1) * width + halo}"

    def laid(relation: str, columns: str, order: str) -> pd.DataFrame:
        return connection.execute(f"""
            select block::integer as block, place, at_second, {columns}, at_second // {width} = block as own
            from (select *, {in_blocks} from {relation} where {near}) semi join wanted_blocks using (block)
            order by {order}
        """).df()

    found_conversions = laid(conversions, "country", "block, place")
    found_rows = laid(rows, "partner_number as partner, ip, residency", "block, partner, place")
    connection.unregister("wanted_blocks")
    country = found_conversions["country"].to_numpy()
    group = found_conversions["block"].to_numpy().astype(np.int64) * (COUNTRY_CODES + 1) + country
    burst = in_burst(group, found_conversions["at_second"].to_numpy(), width + 2 * halo) & (country != UNKNOWN)
    return WindowArrays(window, found_conversions.assign(in_burst=burst), found_rows)


def find_candidates(laid: WindowArrays, horizon_seconds: int, any_country_seconds: int) -> Candidates:
    """Return the candidate pairs of the windows.

    For each country of a row, by residency and by IP: the nearest `LARGEST_PER_ROW` conversions before it; of any
    other country: those within `any_country_seconds`, at most `LARGEST_OF_ANY_COUNTRY`.
    """
    country, ip, residency = (
        frame[name].to_numpy()
        for frame, name in ((laid.conversions, "country"), (laid.rows, "ip"), (laid.rows, "residency"))
    )
    known = np.flatnonzero(country != UNKNOWN)
    by_ip, by_residency = np.flatnonzero(ip != UNKNOWN), np.flatnonzero((residency != UNKNOWN) & (residency != ip))
    row, conversion = _nearest_before(
        _Keys.of(laid.window, laid.conversions, known, country[known]),
        _Keys.of(
            laid.window,
            laid.rows,
            np.concatenate([by_ip, by_residency]),
            np.concatenate([ip[by_ip], residency[by_residency]]),
        ),
        horizon_seconds,
        LARGEST_PER_ROW,
    )
    other_row, other_conversion = _nearest_before(
        _Keys.of(laid.window, laid.conversions, np.arange(len(country))),
        _Keys.of(laid.window, laid.rows, np.arange(len(ip))),
        any_country_seconds,
        LARGEST_OF_ANY_COUNTRY,
    )
    other = country[other_conversion]
    is_other = ((other != ip[other_row]) & (other != residency[other_row])) | (other == UNKNOWN)
    agrees = np.repeat([True, False], [len(row), int(is_other.sum())])
    row = np.concatenate([row, other_row[is_other]])
    conversion = np.concatenate([conversion, other_conversion[is_other]])
    order = np.argsort(row * len(country) + conversion)
    row, conversion, agrees = row[order], conversion[order], agrees[order]
    lag = laid.rows["at_second"].to_numpy()[row] - laid.conversions["at_second"].to_numpy()[conversion]
    return Candidates(laid, row, conversion, lag, agrees)


@dataclass(frozen=True)
class _Keys:
    """Conversions or rows by block, country and time: `key` encodes all three; `place`: the position in the frame."""

    key: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, window: Window, frame: pd.DataFrame, place: np.ndarray, country: np.ndarray | None = None) -> _Keys:
        block = frame["block"].to_numpy()[place].astype(np.int64)
        since = frame["at_second"].to_numpy()[place] - block * window.width_seconds + _LONGEST_REACH_SECONDS
        partition = block * COUNTRY_CODES + (0 if country is None else country)
        key = partition * _KEY_SECONDS + since
        order = np.argsort(key, kind="stable")
        return cls(key[order], place[order])


def _nearest_before(conversions: _Keys, rows: _Keys, reach_seconds: int, largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of row and conversion: for each row the last conversions of its block and country within the reach.

    Each row looks up a range of the conversions' keys, so that no row gets more candidates than `largest`.
    """
    until = np.searchsorted(conversions.key, rows.key, side="right")
    count = np.minimum(until - np.searchsorted(conversions.key, rows.key - reach_seconds, side="right"), largest)
    last = np.repeat(until - 1, count)
    nth = np.arange(len(last)) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(rows.place, count), conversions.place[last - nth]
