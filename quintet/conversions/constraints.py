"""Verdicts of people on pairs as constraints of matching: certain links, and pairs that are never linked."""

from __future__ import annotations

import duckdb
import numpy as np

from quintet.conversions.blocks import WIDTH_SECONDS
from quintet.conversions.candidates import one_by_id

VERDICTS = "pair_verdicts_now"
"""The temporary view of the last verdict of each pair: conversion_id, broker_row_id, is_link, verdict_id."""


def register_verdicts(connection: duckdb.DuckDBPyConnection, verdicts: str) -> None:
    """Create the temporary view. verdicts: a relation with its columns and all verdicts; empty for none."""
    rows = verdicts or (
        "(select null::bigint as verdict_id, null::bigint as conversion_id, null::varchar as broker_row_id, "
        "null::boolean as is_link limit 0)"
    )
    connection.execute(
        f"create or replace temp view {VERDICTS} as select conversion_id, broker_row_id, is_link, verdict_id "
        f"from {rows} as given "
        "qualify row_number() over (partition by conversion_id, broker_row_id order by verdict_id desc) = 1"
    )


def forget_verdicts(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop the view."""
    connection.execute(f"drop view {VERDICTS}")


def write_certain_links(connection: duckdb.DuckDBPyConnection, blocks: np.ndarray, schema: str) -> None:
    """Match the certain links of some blocks, which must have no matches; the later verdict wins a contradiction.

    Needs the views all_conversions and all_rows, and partner_names.
    """
    connection.execute(
        f"""
        insert into {schema}.matches by name
        with links as (
            select conversions.at_second // {WIDTH_SECONDS} as block, conversion_id, broker_row_id, partner,
                (rows.at_second - conversions.at_second)::integer as lag_seconds, verdict_id
            from {VERDICTS}
            join {one_by_id("all_conversions")} as conversions using (conversion_id)
            join all_rows as rows using (broker_row_id)
            join partner_names using (partner_number)
            where is_link
            qualify row_number() over (partition by conversion_id order by verdict_id desc) = 1
        )
        select block::integer as block, conversion_id, broker_row_id, partner, lag_seconds,
            1.0 as match_probability, 0.0 as runner_up_probability, 'matched' as tier
        from links
        where list_contains(?, block)
        qualify row_number() over (partition by broker_row_id order by verdict_id desc) = 1
        """,
        [blocks.tolist()],
    )


def free_of_verdicts(pairs: str) -> str:
    """Return SQL that keeps the pairs whose sides have no certain link, and that nobody refused. pairs: an alias."""
    return f"""
        {pairs}.conversion_id not in (select conversion_id from {VERDICTS} where is_link)
        and {pairs}.broker_row_id not in (select broker_row_id from {VERDICTS} where is_link)
        and ({pairs}.conversion_id, {pairs}.broker_row_id) not in (
            select (conversion_id, broker_row_id) from {VERDICTS} where not is_link
        )
    """
