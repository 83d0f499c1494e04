"""The calendar blocks to match again, and the tables that store the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.candidates import Window

WIDTH_SECONDS = 86_400
_HOUR = 3_600
_CHUNK_ROWS = 200_000
LARGEST_BLOCK_ROWS = 500_000
"""Rows in the window of a block; a larger one is matched in parts."""
_DAY_HOURS = WIDTH_SECONDS // _HOUR
_NARROWER = {24: 12, 12: 6, 6: 3, 3: 1}
"""The hours of a part that is split, and of the parts that it is split into."""

_TABLES = """
create schema if not exists {schema};
create table if not exists {schema}.match_blocks (
    block integer, model_version varchar, digest varchar, clicks bigint, broker_rows bigint, expected_links double
);
create table if not exists {schema}.match_pairs (
    block integer, row_in_block integer, click_in_block integer, conversion_id bigint, broker_row_id varchar,
    partner varchar, lag_seconds integer, match_probability double, runner_up_probability double,
    countries_agree boolean, near_edge boolean
);
create table if not exists {schema}.matches (
    block integer, conversion_id bigint, broker_row_id varchar, partner varchar, lag_seconds integer,
    match_probability double, runner_up_probability double, tier varchar
);
"""


def create_tables(connection: duckdb.DuckDBPyConnection, schema: str) -> None:
    """Create the result tables match_blocks, match_pairs and matches where they are missing."""
    connection.execute(_TABLES.format(schema=schema))


def stale_blocks(
    connection: duckdb.DuckDBPyConnection,
    conversions: str,
    rows: str,
    verdicts: str,
    window: Window,
    model_version: str,
    schema: str,
) -> pd.DataFrame:
    """Return the blocks whose windows or verdicts have changed since they were matched, or with another model.

    Columns block, digest, clicks (conversions), broker_rows (of the window); an emptied block has a null digest. The
    digest is a sum over the rows: their order does not matter.
    """
    halo_hours, width_hours = window.halo_seconds // _HOUR, window.width_seconds // _HOUR
    return connection.execute(
        f"""
        with hours as (
            select at_second // {_HOUR} as hour, sum(hash(conversion_id, at_second, country)) as content,
                count(*) as clicks, 0 as broker_rows
            from {conversions} group by all
            union all
            select at_second // {_HOUR}, sum(hash(broker_row_id, partner_number, at_second, ip, residency)), 0, count(*)
            from {rows} group by all
            union all
            select at_second // {_HOUR}, sum(hash(conversion_id, broker_row_id, is_link)), 0, 0
            from {verdicts} join {conversions} using (conversion_id) group by all
        ),
        windows as (
            select
                unnest(generate_series((hour - {halo_hours}) // {width_hours}, (hour + {halo_hours}) // {width_hours}))
                    as block,
                content, clicks, broker_rows
            from hours
        ),
        digests as (
            select block::integer as block, sum(content)::varchar as digest, sum(clicks)::bigint as clicks,
                sum(broker_rows)::bigint as broker_rows
            from windows group by all
        )
        select coalesce(digests.block, held.block) as block, digests.digest, coalesce(digests.clicks, 0) as clicks,
            coalesce(digests.broker_rows, 0) as broker_rows
        from digests full join {schema}.match_blocks as held on digests.block = held.block
        where digests.digest is distinct from held.digest or held.model_version is distinct from ?
        order by block
        """,
        [model_version],
    ).df()


@dataclass(frozen=True)
class Chunk:
    """Blocks that are matched at once, or a part of one that is too large.

    width_seconds: `WIDTH_SECONDS`, or less for a part; the numbers in `blocks` count stretches of this width.
    """

    blocks: np.ndarray
    width_seconds: int = WIDTH_SECONDS

    @property
    def day(self) -> int | None:
        """The block that this is a part of; None for whole blocks."""
        is_part = self.width_seconds < WIDTH_SECONDS
        return int(self.blocks[0]) * self.width_seconds // WIDTH_SECONDS if is_part else None


def chunks(
    stale: pd.DataFrame, held_by_hour: Callable[[int], np.ndarray], largest_block: int = LARGEST_BLOCK_ROWS
) -> Iterator[Chunk]:
    """Yield the blocks in chunks that fit in memory at any density of rows.

    A block whose window has more rows than `largest_block` is split into parts with windows that have not, each with a
    halo like that of a block; an hour is not split. held_by_hour: returns the rows in each hour of a block's window.
    """
    if stale.empty:
        return
    held = (stale["clicks"] + stale["broker_rows"]).to_numpy()
    is_large = held > largest_block
    number = np.cumsum(held) // _CHUNK_ROWS + np.cumsum(is_large) + np.cumsum(np.r_[False, is_large[:-1]])
    for chunk in np.unique(number):
        blocks = stale["block"].to_numpy()[number == chunk]
        if not is_large[number == chunk].any():
            yield Chunk(blocks)
            continue
        hours, first = held_by_hour(int(blocks[0])), int(blocks[0]) * _DAY_HOURS
        for begin, width in _parts(hours, 0, _DAY_HOURS, largest_block):
            yield Chunk(np.array([(first + begin) // width]), width * _HOUR)


def _parts(hours: np.ndarray, begin: int, width: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield first hour and width of parts of a day with rows. hours: rows by hour of its window."""
    halo = (len(hours) - _DAY_HOURS) // 2
    held = hours[begin : begin + width + 2 * halo].sum()
    if held <= most or width == 1:
        if held:
            yield begin, width
        return
    narrower = _NARROWER[width]
    for start in range(begin, begin + width, narrower):
        yield from _parts(hours, start, narrower, most)


def widened(blocks: np.ndarray, by: int) -> np.ndarray:
    """Return the blocks and their neighbours up to `by` blocks away, in order."""
    return np.unique((blocks[:, None] + np.arange(-by, by + 1)[None, :]).ravel())
