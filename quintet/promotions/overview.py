"""Queries for the promotions page, as frames: over time, by user, by code, by score, by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb
import pandas as pd

Grain = Literal["day", "week", "month"]
GRAINS: tuple[Grain, ...] = ("day", "week", "month")

RANKED = 10
HISTOGRAM_BINS = 20
_MOST_DAYS, _MOST_WEEKS = 120, 160


@dataclass(frozen=True)
class Ranking:
    """The first rows of a list by uses. rows: name, uses; tied: how many in all have as many uses as the last row.

    total: how many have any use; left_out: how many of the tied are not shown.
    """

    rows: pd.DataFrame
    tied: int
    total: int

    @property
    def left_out(self) -> int:
        """How many that tie with the last row are not shown."""
        if self.rows.empty:
            return 0
        return self.tied - int((self.rows["uses"] == self.rows["uses"].iloc[-1]).sum())


def grain_of(cursor: duckdb.DuckDBPyConnection) -> Grain:
    """Return the finest grain at which the whole span of sign-ups and uses is readable on a page."""
    ((days,),) = cursor.execute(
        "select date_diff('day', min(moment), max(moment)) from ("
        "select created_at as moment from marts.fct_promo_users union all select used_at from marts.fct_promo_usages)"
    ).fetchall()
    if days is None or days <= _MOST_DAYS:
        return "day"
    return "week" if days <= 7 * _MOST_WEEKS else "month"


def timeline(cursor: duckdb.DuckDBPyConnection, grain: Grain) -> pd.DataFrame:
    """Return start (of the day, week or month, UTC), registrations, usages: one row per period, first to last.

    An empty period is a row of zeros.
    """
    return cursor.execute(f"""
        with events as (
            select date_trunc('{grain}', created_at)::date as start, 1 as registrations, 0 as usages
            from marts.fct_promo_users
            union all
            select date_trunc('{grain}', used_at)::date, 0, 1 from marts.fct_promo_usages
        ),

        bounds as (
            select min(start) as first_start, max(start) as last_start from events
        ),

        periods as (
            select unnest(generate_series(first_start, last_start, interval 1 {grain}))::date as start from bounds
        )

        select
            periods.start,
            coalesce(sum(registrations), 0)::bigint as registrations,
            coalesce(sum(usages), 0)::bigint as usages
        from periods
        left join events using (start)
        group by periods.start
        order by periods.start
    """).df()


def top_users(cursor: duckdb.DuckDBPyConnection, count: int = RANKED) -> Ranking:
    """Return the users with the most uses: user_id, uses, codes, score, decision."""
    rows = cursor.execute(
        """
        select user_id, count(*) as uses, count(distinct promo_code) as codes,
            any_value(score) as score, any_value(decision) as decision
        from marts.fct_promo_usages left join marts.fct_abuse_scores using (user_id)
        group by user_id order by uses desc, score desc nulls last, user_id limit ?
        """,
        [count],
    ).df()
    return Ranking(rows, *_tied(cursor, "user_id", rows))


def top_codes(cursor: duckdb.DuckDBPyConnection, count: int = RANKED) -> Ranking:
    """Return the codes with the most uses: promo_code, uses, users, discount_type, discount_value, is_code_known."""
    rows = cursor.execute(
        """
        select promo_code, count(*) as uses, count(distinct user_id) as users,
            any_value(discount_type) as discount_type, any_value(discount_value) as discount_value,
            any_value(is_code_known) as is_code_known
        from marts.fct_promo_usages group by promo_code order by uses desc, promo_code limit ?
        """,
        [count],
    ).df()
    return Ranking(rows, *_tied(cursor, "promo_code", rows))


def score_histogram(cursor: duckdb.DuckDBPyConnection, bins: int = HISTOGRAM_BINS) -> pd.DataFrame:
    """Return low, high (of the bin, the last one closed), accounts, abusers, honest (as labelled), unlabelled."""
    return cursor.execute(
        """
        with binned as (
            select least(floor(score * $bins), $bins - 1)::integer as bin, is_abuser
            from marts.fct_abuse_scores left join marts.fct_promo_users using (user_id)
        )

        select
            bins.bin / $bins::double as low,
            (bins.bin + 1) / $bins::double as high,
            count(binned.bin) as accounts,
            count(*) filter (is_abuser) as abusers,
            count(*) filter (not is_abuser) as honest,
            count(binned.bin) - count(is_abuser) as unlabelled
        from (select unnest(range($bins)) as bin) as bins
        left join binned on binned.bin = bins.bin
        group by bins.bin order by bins.bin
        """,
        {"bins": bins},
    ).df()


def clusters(cursor: duckdb.DuckDBPyConnection, by: Literal["accounts", "uses"] = "accounts") -> pd.DataFrame:
    """Return all clusters as in `marts.agg_abuse_clusters`, the largest first."""
    other = "uses" if by == "accounts" else "accounts"
    return cursor.execute(f"from marts.agg_abuse_clusters order by {by} desc, {other} desc, cluster_id").df()


def cluster_members(cursor: duckdb.DuckDBPyConnection, cluster_id: str) -> pd.DataFrame:
    """Return the accounts of a cluster with their scores and labels; no row for an unknown cluster."""
    return cursor.execute(
        """
        select user_id, score, decision, reasons, email, phone, first_name, last_name, ip_address, device_id,
            created_at, is_abuser
        from marts.fct_abuse_scores left join marts.fct_promo_users using (user_id)
        where cluster_id = ? order by created_at nulls last, user_id
        """,
        [cluster_id],
    ).df()


def cluster_keys(cursor: duckdb.DuckDBPyConnection, cluster_id: str) -> pd.DataFrame:
    """Return user_id, kind, key, sharers: the keys that the accounts of a cluster share."""
    return cursor.execute(
        """
        select user_id, kind, key, sharers
        from ml.abuse_shared_keys semi join (select user_id from marts.fct_abuse_scores where cluster_id = ?)
            using (user_id)
        order by kind, key, user_id
        """,
        [cluster_id],
    ).df()


def decisions(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return the number of accounts by decision, with all three decisions."""
    found = dict(cursor.execute("select decision, count(*) from marts.fct_abuse_scores group by decision").fetchall())
    return {name: int(found.get(name, 0)) for name in ("allow", "review", "block")}


def _tied(cursor: duckdb.DuckDBPyConnection, column: str, rows: pd.DataFrame) -> tuple[int, int]:
    last = 0 if rows.empty else int(rows["uses"].iloc[-1])
    ((tied, total),) = cursor.execute(
        f"select count(*) filter (uses = ?), count(*) from "
        f"(select {column}, count(*) as uses from marts.fct_promo_usages group by {column})",
        [last],
    ).fetchall()
    return int(tied), int(total)
