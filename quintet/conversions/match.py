"""Match conversions to broker rows with a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.assign import one_to_one
from quintet.conversions.blocks import (
    LARGEST_BLOCK_ROWS,
    WIDTH_SECONDS,
    chunks,
    create_tables,
    stale_blocks,
    widened,
)
from quintet.conversions.candidates import (
    MatchInput,
    Window,
    lay_out,
    one_by_id,
    stretches,
    typed_conversions,
    typed_rows,
    write_ordered,
)
from quintet.conversions.constraints import (
    VERDICTS,
    forget_verdicts,
    free_of_verdicts,
    register_verdicts,
    write_certain_links,
)
from quintet.conversions.fit import PLACEBO_HOURS, halo_seconds
from quintet.conversions.inference import REVIEW_SHARE, Inference, infer_here
from quintet.conversions.matching_model import MatchingModel

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "partner_not_learned": "The model is not trained on the partner of the row.",
        "in_review": "Its likely link is of another country or not certain enough, and is in review.",
        "country_unknown": "Neither spelling could be resolved to a country.",
        "outside_time_span": "It lies outside the time that the other side covers.",
        "country_never_seen": "The other side has no row of the country at all.",
        "no_candidate": "The other side has no row of the country within the longest lag.",
        "lost_to_better": "Its likeliest candidate is matched to another row.",
        "below_threshold": "Its likeliest candidate is below the threshold.",
    }
)
"""Why a row of either side has no match; of several reasons the first in this order applies."""

_DECIDED_PAIRS = 1_000_000  # at once


@dataclass(frozen=True)
class MatchRun:
    """The result of a run: the number of calendar blocks, and how many were matched again."""

    blocks: int
    blocks_rematched: int


def match(
    connection: duckdb.DuckDBPyConnection,
    data: MatchInput,
    model: MatchingModel,
    schema: str = "matching",
    inference: Inference = infer_here,
    largest_block: int = LARGEST_BLOCK_ROWS,
) -> MatchRun:
    """Bring the tables of `schema` up to date with `data` under `model`. inference: where pairs are inferred.

    largest_block: rows of a window above which a block is matched in parts.

    Only blocks whose window changed are matched again; the result equals that of matching all.
    Tables: `matches` (block, conversion_id, broker_row_id, partner, lag_seconds, match_probability,
    runner_up_probability: of the likeliest rival pair on either side, tier: matched or review; a conversion and a
    broker row at most once), `match_pairs` (every likely pair, and the likeliest of an agreeing country of each
    row) and `match_blocks`. One transaction: a run that is killed leaves the tables unchanged.
    """
    create_tables(connection, schema)
    window = Window(WIDTH_SECONDS, halo_seconds(model.horizon_seconds))
    _register_rows(connection, data, model)
    connection.execute("begin")
    try:
        stale = stale_blocks(connection, "all_conversions", "all_rows", VERDICTS, window, model.version, schema)
        _match_blocks(connection, model, window, stale, schema, inference, largest_block)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    finally:
        _forget_rows(connection)
    [(blocks,)] = connection.execute(f"select count(*) from {schema}.match_blocks").fetchall()
    return MatchRun(blocks, len(stale))


def write_reasons(
    connection: duckdb.DuckDBPyConnection, data: MatchInput, model: MatchingModel, schema: str = "matching"
) -> None:
    """Write the reason of every unmatched row of either side, after `match` with the same arguments.

    Tables: `unmatched_conversions` (conversion_id, reason) and `unmatched_broker_rows` (broker_row_id, reason); reasons
    are keys of `REASONS`. Rows in review are not matched and have a reason too.
    """
    horizon = model.horizon_seconds
    _register_rows(connection, data, model)
    connection.execute(f"""
        create or replace table {schema}.unmatched_conversions as
        with likeliest as (
            select conversion_id, arg_max(broker_row_id, (match_probability, broker_row_id)) as broker_row_id
            from {schema}.match_pairs where countries_agree group by all
        ),
        span as (select min(at_second) - {horizon} as first_second, max(at_second) as last_second from all_rows),
        countries as (
            select distinct country from (select ip as country from all_rows union all select residency from all_rows)
        )
        select conversion_id,
            case
                when conversion_id in (select conversion_id from {schema}.matches) then 'in_review'
                when country < 0 then 'country_unknown'
                when not coalesce(at_second between first_second and last_second, false) then 'outside_time_span'
                when country not in (from countries) then 'country_never_seen'
                when broker_row_id is null then 'no_candidate'
                when broker_row_id in (select broker_row_id from {schema}.matches where tier = 'matched')
                    then 'lost_to_better'
                else 'below_threshold'
            end as reason
        from {one_by_id("all_conversions")} as conversions cross join span left join likeliest using (conversion_id)
        where conversion_id not in (select conversion_id from {schema}.matches where tier = 'matched')
        order by conversion_id
    """)
    connection.execute(f"""
        create or replace table {schema}.unmatched_broker_rows as
        with likeliest as (
            select broker_row_id, arg_max(conversion_id, (match_probability, conversion_id)) as conversion_id
            from {schema}.match_pairs where countries_agree group by all
        ),
        span as (select min(at_second) as first_second, max(at_second) + {horizon} as last_second from all_conversions),
        countries as (select distinct country from all_conversions)
        select broker_row_id,
            case
                when all_rows.at_second is null then 'partner_not_learned'
                when broker_row_id in (select broker_row_id from {schema}.matches) then 'in_review'
                when all_rows.ip < 0 and all_rows.residency < 0 then 'country_unknown'
                when not coalesce(at_second between first_second and last_second, false) then 'outside_time_span'
                when all_rows.ip not in (from countries) and all_rows.residency not in (from countries)
                    then 'country_never_seen'
                when conversion_id is null then 'no_candidate'
                when conversion_id in (select conversion_id from {schema}.matches where tier = 'matched')
                    then 'lost_to_better'
                else 'below_threshold'
            end as reason
        from {typed_rows(data)} as given
        left join all_rows using (broker_row_id)
        cross join span
        left join likeliest using (broker_row_id)
        where broker_row_id not in (select broker_row_id from {schema}.matches where tier = 'matched')
        order by broker_row_id
    """)
    _forget_rows(connection)


def placebo(
    connection: duckdb.DuckDBPyConnection,
    data: MatchInput,
    model: MatchingModel,
    hours: Sequence[int] = PLACEBO_HOURS,
    schema: str = "matching_placebo",
    inference: Inference = infer_here,
) -> pd.DataFrame:
    """Match with the conversions moved by each of `hours`, where every match is false.

    Columns hours, broker_rows, matched, false_match_rate: matched by broker_rows. The tables of each shift stay in a
    schema of their own that starts with `schema`: a later call matches only changed blocks.
    """
    rates = []
    for shift in hours:
        moved = f"(select * replace (created_at + to_hours({shift}) as created_at) from {data.conversions})"
        own = f"{schema}_{'later' if shift > 0 else 'earlier'}_{abs(shift)}"
        match(connection, MatchInput(moved, data.broker_rows), model, own, inference)
        [(matched,)] = connection.execute(f"select count(*) from {own}.matches where tier = 'matched'").fetchall()
        [(rows,)] = connection.execute(f"select count(*) from {data.broker_rows}").fetchall()
        rates.append((shift, rows, matched, matched / rows if rows else 0.0))
    return pd.DataFrame(rates, columns=["hours", "broker_rows", "matched", "false_match_rate"])


def _register_rows(connection: duckdb.DuckDBPyConnection, data: MatchInput, model: MatchingModel) -> None:
    """Create the temporary views all_conversions and all_rows: the typed rows on our clock."""
    connection.register("clock_stretches", stretches(model))
    connection.execute(f"create or replace temp view all_conversions as from {typed_conversions(data)} as conversions")
    connection.execute(f"""
        create or replace temp view all_rows as
        select broker_row_id, partner_number, own_at - offset_seconds as at_second, ip, residency
        from {typed_rows(data)} as typed join clock_stretches using (partner)
        where own_at >= from_at and own_at < until_at
    """)
    register_verdicts(connection, data.verdicts)


def _forget_rows(connection: duckdb.DuckDBPyConnection) -> None:
    forget_verdicts(connection)
    connection.execute("drop view all_rows")
    connection.execute("drop view all_conversions")
    connection.unregister("clock_stretches")


def _match_blocks(
    connection: duckdb.DuckDBPyConnection,
    model: MatchingModel,
    window: Window,
    stale: pd.DataFrame,
    schema: str,
    inference: Inference,
    largest_block: int,
) -> None:
    if stale.empty:
        return
    blocks = stale["block"].to_numpy()
    _delete_blocks(connection, f"{schema}.match_pairs", blocks)
    _delete_blocks(connection, f"{schema}.match_blocks", blocks)
    connection.register("stale", stale)
    write_ordered(connection, "all_conversions", "all_rows", window, blocks, "stale")
    names = pd.DataFrame({"partner": pd.Series(sorted(model.partners), dtype="str")}).reset_index(
        names="partner_number"
    )
    connection.register("partner_names", names)
    by_hour = partial(_held_by_hour, connection, window)
    matched = list(chunks(stale.dropna(subset="digest"), by_hour, largest_block))
    windows = (
        lay_out(
            connection,
            "stale_conversions",
            "stale_rows",
            Window(chunk.width_seconds, window.halo_seconds),
            chunk.blocks,
        )
        for chunk in matched
    )
    links = [pd.DataFrame({"block": np.zeros(0, dtype=np.int64), "expected_links": np.zeros(0)})]
    for chunk, inferred in zip(matched, inference(model, windows), strict=True):
        place = None if chunk.day is None else _place_in_day(connection, chunk.day, window, model.horizon_seconds)
        _write_pairs(connection, inferred.pairs, schema, place)
        links.append(inferred.links if chunk.day is None else inferred.links.assign(block=chunk.day))
    connection.register("expected", pd.concat(links).groupby("block", as_index=False).sum())
    connection.execute(
        f"insert into {schema}.match_blocks by name select stale.*, ? as model_version, "
        "coalesce(expected_links, 0) as expected_links from stale left join expected using (block) "
        "where digest is not null order by block",
        [model.version],
    )
    connection.execute("drop table stale_conversions")
    connection.execute("drop table stale_rows")
    # A row with candidates in two blocks is decided in one of them: a change affects neighbouring blocks.
    decided, reviewed = widened(blocks, 1), widened(blocks, 2)
    _delete_blocks(connection, f"{schema}.matches", reviewed, "and tier = 'review'")
    _delete_blocks(connection, f"{schema}.matches", decided)
    write_certain_links(connection, decided, schema)
    for name in ("stale", "partner_names", "expected"):
        connection.unregister(name)
    _decide(connection, decided, "matched", f"countries_agree and match_probability > {model.threshold!r}", schema)
    likely = f"match_probability > {model.threshold * REVIEW_SHARE!r}"
    _decide(connection, reviewed, "review", likely, schema)


def _delete_blocks(connection: duckdb.DuckDBPyConnection, table: str, blocks: np.ndarray, also: str = "") -> None:
    connection.execute(f"delete from {table} where block in (select unnest(?)) {also}", [blocks.tolist()])


def _held_by_hour(connection: duckdb.DuckDBPyConnection, window: Window, block: int) -> np.ndarray:
    """Return the rows of both sides in each hour of the window of a block."""
    since, width = block * WIDTH_SECONDS - window.halo_seconds, WIDTH_SECONDS + 2 * window.halo_seconds
    found = connection.execute(
        "select (at_second - $since) // 3600 as hour, count(*) as held "
        "from (select at_second from stale_conversions union all select at_second from stale_rows) "
        "where at_second >= $since and at_second < $since + $width group by all",
        {"since": since, "width": width},
    ).fetchnumpy()
    held = np.zeros(width // 3_600, dtype=np.int64)
    held[found["hour"]] = found["held"]
    return held


_IN_BLOCK = "block, row_in_block, click_in_block, near_edge"


def _place_in_day(connection: duckdb.DuckDBPyConnection, day: int, window: Window, horizon_seconds: int) -> str:
    """Return SQL for `_IN_BLOCK` where a part of the block `day` was matched: places within the whole block."""
    since = day * WIDTH_SECONDS - window.halo_seconds
    first = "select coalesce(min(place), 0) from stale_{} where at_second >= " + str(since)
    [(first_row, first_conversion)] = connection.execute(
        f"select ({first.format('rows')}), ({first.format('conversions')})"
    ).fetchall()
    is_near_edge = (
        f"rows.at_second < {day * WIDTH_SECONDS + horizon_seconds} or rows.at_second // {WIDTH_SECONDS} <> {day}"
    )
    return (
        f"{day} as block, row_place - {first_row} as row_in_block, conversion_place - {first_conversion} as "
        f"click_in_block, {is_near_edge} as near_edge"
    )


def _write_pairs(connection: duckdb.DuckDBPyConnection, pairs: pd.DataFrame, schema: str, in_block: str | None) -> None:
    """Insert the pairs into `match_pairs`. in_block: SQL for `_IN_BLOCK`, None for the columns of the pairs."""
    if pairs.empty:
        return
    bounds = [
        int(bound) for side in ("conversion_place", "row_place") for bound in (pairs[side].min(), pairs[side].max())
    ]
    connection.register("inferred", pairs)
    connection.execute(
        f"""
        insert into {schema}.match_pairs by name
        select {in_block or _IN_BLOCK}, conversion_id, broker_row_id, partner, lag_seconds, match_probability,
            runner_up_probability, countries_agree
        from inferred
        join stale_conversions as given on given.place = conversion_place and given.place between ? and ?
        join stale_rows as rows on rows.place = row_place and rows.place between ? and ?
        join partner_names on partner_names.partner_number = inferred.partner_number
        """,
        bounds,
    )
    connection.unregister("inferred")


def _decide(connection: duckdb.DuckDBPyConnection, blocks: np.ndarray, tier: str, condition: str, schema: str) -> None:
    """Assign the tier to the best one-to-one choice among the pairs of `condition` whose two sides are still free.

    The blocks must have no match of the tier yet.
    """
    connection.register("given_now", pd.DataFrame({"block": blocks}))
    for chunk in _chunks_of_pairs(connection, blocks, condition, schema):
        near, around = widened(chunk, 1), widened(chunk, 2)
        connection.register("decided", pd.DataFrame({"block": chunk}))
        connection.register("near", pd.DataFrame({"block": near}))
        # Free means before the first chunk, so that the result of one chunk does not affect the next.
        connection.execute(
            f"""
            create or replace temp table eligible as
            with taken as (
                select conversion_id, broker_row_id from {schema}.matches
                where block between ? and ? and not (tier = ? and block in (from given_now))
            ),
            free as (
                select pairs.*
                from {schema}.match_pairs as pairs
                semi join near using (block)
                anti join taken on pairs.conversion_id = taken.conversion_id
                anti join taken on pairs.broker_row_id = taken.broker_row_id
                where {condition} and block between ? and ? and {free_of_verdicts("pairs")}
            ),
            -- Only near midnight can a row have pairs in two blocks.
            at_home as (
                select * from free where not near_edge
                union all
                select * from free where near_edge
                qualify block = first_value(block) over (
                    partition by broker_row_id order by match_probability desc, lag_seconds, conversion_id
                )
            )
            select * exclude (countries_agree, near_edge) from at_home semi join decided using (block)
            """,
            [int(around[0]), int(around[-1]), tier, int(near[0]), int(near[-1])],
        )
        rivals = connection.execute(
            "select rowid as place, (block::bigint << 32) + row_in_block as row, "
            "(block::bigint << 32) + click_in_block as conversion, match_probability from eligible"
        ).df()
        kept = one_to_one(*(rivals[column].to_numpy() for column in ("row", "conversion", "match_probability")))
        connection.register("chosen", rivals.loc[kept, ["place"]])
        connection.execute(
            f"insert into {schema}.matches by name select * exclude (row_in_block, click_in_block), ? as tier "
            "from eligible where rowid in (select place from chosen)",
            [tier],
        )
        connection.execute("drop table eligible")
        for name in ("decided", "near", "chosen"):
            connection.unregister(name)
    connection.unregister("given_now")


def _chunks_of_pairs(
    connection: duckdb.DuckDBPyConnection, blocks: np.ndarray, condition: str, schema: str
) -> list[np.ndarray]:
    """Return the blocks in order, in chunks whose pairs fit in memory."""
    pairs = connection.execute(
        f"select block, count(*) as pairs from {schema}.match_pairs "
        f"where {condition} and block between ? and ? group by all order by all",
        [int(blocks[0]), int(blocks[-1])],
    ).df()
    pairs = pairs[pairs["block"].isin(blocks)]
    part = (pairs["pairs"].cumsum() // _DECIDED_PAIRS).to_numpy()
    return [each["block"].to_numpy() for _, each in pairs.groupby(part)]
