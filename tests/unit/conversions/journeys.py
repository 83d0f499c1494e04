"""Snapshots for the tests of insights: without any effect, or with a planted one."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd

from quintet.conversions.frames import COUNTED, COUNTS
from tests.dbt_models import compiled

COUNTRIES = ["US", "DE", "FR", "IN", "PL", "BR"]
PAGES = ["Guides", "Reviews", "Finder", None]
ELEMENTS = ["top list", "logo link", "ribbon", None]
START = pd.Timestamp("2024-04-21")

CHANGES = pd.DataFrame(
    {
        "change": ["base", "shared_clock", "countries", "postbacks", "back_fill", "all_but_id", "half_ids", "ids"],
        "f1": [0.7, 0.71, 0.75, 0.9, 0.7, 0.95, 0.8, 0.98],
        "found": [0.5, 0.5, 0.5, 0.6, 0.7, 0.9, 0.6, 0.7],
    }
).assign(
    title=lambda frame: frame["change"], precision=0.8, precision_low=0.78, precision_high=0.82, recall=0.7,
    links=1_000, rows=1_200,
)  # fmt: skip
MATCHERS = pd.DataFrame({"title": ["This model"], "precision": [0.8], "recall": [0.7], "f1": [0.75]})

Chances = Callable[[pd.DataFrame], np.ndarray]


def no_effect(conversions: pd.DataFrame) -> np.ndarray:
    """Return the same probability for every conversion."""
    return np.full(len(conversions), 0.04)


def make_journeys(count: int, seed: int, important: Chances = no_effect, match: Chances | None = None) -> pd.DataFrame:
    """Return journeys, nine in ten matched: columns of `fct_unified_journeys`, scores drawn by `important`."""
    rng = np.random.default_rng(seed)
    mobile = rng.random(count) < 0.5
    # Pages and devices are correlated, as in real data.
    country = rng.choice(COUNTRIES, count, p=[0.3, 0.2, 0.2, 0.15, 0.1, 0.05])
    page = np.where(
        mobile & (rng.random(count) < 0.5), "Finder", np.array(PAGES, dtype=object)[rng.integers(0, 4, count)]
    )
    at = START + pd.to_timedelta(np.sort(rng.integers(0, 10 * 86_400, count)), unit="s")
    conversions = pd.DataFrame(
        {
            "conversion_id": np.arange(count) + 1,
            "session_id": [f"s{number}" for number in range(count)],
            "created_at": at,
            "country_iso2": country,
            "is_mobile": mobile,
            "ui_element": np.array(ELEMENTS, dtype=object)[rng.integers(0, 4, count)],
            "page_category": page,
            "is_scanner_traffic": False,
        }
    )
    is_matched = rng.random(count) < (0.9 if match is None else match(conversions))
    is_important = rng.random(count) < important(conversions)
    score = np.where(is_important, rng.choice([10, 10, 10, 40, 90], count), 0).astype(float)
    return conversions.assign(
        is_matched=is_matched,
        unmatched_reason=pd.Series(np.where(is_matched, None, "no_candidate"), dtype=object),
        broker_row_id=pd.Series(
            [f"r{number}" if known else None for number, known in enumerate(is_matched)], dtype=object
        ),
        important_score=np.where(is_matched, score, np.nan),
    )


def open_counts(conversions: pd.DataFrame, unmatched: dict[str, int] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection with the inputs of the counting models. unmatched: unmatched broker rows by reason."""
    connection = duckdb.connect()
    connection.register("given", conversions)
    for schema in ("intermediate", "matching", "ml", "marts", "ops"):
        connection.execute(f"create schema {schema}")
    connection.execute("""
        create table intermediate.int_conversions as
        select conversion_id, session_id, created_at, country_iso2, country_iso2 as country_name, is_mobile, ui_element,
            page_category, is_scanner_traffic, coalesce(page_category, '01code') as measurement_category
        from given
    """)
    connection.execute("""
        create table intermediate.int_broker_rows as
        select broker_row_id, 'one' as partner, created_at as broker_at,
            country_iso2 as ip_iso2, country_iso2 as ip_name,
            case when conversion_id % 5 = 0 then country_iso2 end as residency_iso2, residency_iso2 as residency_name,
            case when isnan(important_score) then null else important_score end as important_score,
            null::varchar as important_score_missing_reason
        from given where is_matched
    """)
    connection.execute("""
        create table matching.matches as
        select conversion_id, broker_row_id, 'one' as partner, conversion_id % 3 as lag_seconds, 'matched' as tier,
            0.99 as match_probability
        from given where is_matched
    """)
    connection.execute("""
        create table matching.unmatched_conversions as
        select conversion_id, unmatched_reason as reason from given where not is_matched
    """)
    connection.execute("create table matching.unmatched_broker_rows (broker_row_id varchar, reason varchar)")
    for reason, count in (unmatched or {}).items():
        connection.execute(
            f"insert into intermediate.int_broker_rows (broker_row_id, ip_iso2, partner, broker_at) "
            f"select '{reason}' || number, 'US', 'one', timestamp '2024-04-22' + to_seconds(number) "
            f"from range({count}) as numbers(number)"
        )
        connection.execute(
            f"insert into matching.unmatched_broker_rows "
            f"select '{reason}' || number, '{reason}' from range({count}) as numbers(number)"
        )
    connection.execute("""
        create table ml.matching_lags as
        select 'one' as partner, second as from_second, second + 1 as until_second, 0.25 as share, 0.25 as per_second
        from range(4) as seconds(second)
    """)
    connection.execute("""
        create table intermediate.int_unmapped_page_categories as
        select '01code' as measurement_category, count(*) as conversions, false as is_scanner_traffic
        from given where page_category is null having count(*) > 0
    """)
    connection.execute("create table ops.batches as select 'conversions' as dataset, count(*) as loaded from given")
    return connection


def counted(connection: duckdb.DuckDBPyConnection, name: str) -> pd.DataFrame:
    """Return the counts of the dbt model `conversion_<name>`."""
    needs = {"funnel": "outcomes", "cells": "cube"}.get(name)
    relations = {f"conversion_{needs}": f"({compiled(f'conversion_{needs}')})"} if needs else {}
    frame = connection.execute(compiled(f"conversion_{name}", relations)).df()
    return frame.sort_values("place", ignore_index=True).drop(columns="place")


def every_count(connection: duckdb.DuckDBPyConnection) -> dict[str, pd.DataFrame]:
    """Return all counts that the analysis needs."""
    return {name: counted(connection, name) for name in (*COUNTED, *COUNTS)}


def open_snapshot(conversions: pd.DataFrame, unmatched: dict[str, int] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection with the tables of `open_counts`, the marts and the counts."""
    connection = open_counts(conversions, unmatched)
    connection.execute("""
        create table marts.fct_unified_journeys as
        select conversion_id, session_id, created_at, country_iso2, is_mobile, ui_element, page_category,
            is_scanner_traffic, is_matched, unmatched_reason, broker_row_id,
            case when isnan(important_score) then null else important_score end as important_score
        from given
    """)
    for mart, table in {
        "fct_conversions": "intermediate.int_conversions",
        "fct_broker_rows": "intermediate.int_broker_rows",
        "fct_conversion_matches": "matching.matches",
        "ops_batches": "ops.batches",
    }.items():
        connection.execute(f"create table marts.{mart} as from {table}")
    for name in ("outcomes", "cube", *(name for name in (*COUNTED, *COUNTS) if name != "outcomes")):
        connection.execute(f"create table ml.conversion_{name} as {compiled(f'conversion_{name}')}")
    return connection


def open_reported_snapshot(conversions: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """Return a snapshot with the tables of the model report."""
    connection = open_snapshot(conversions, {"no_candidate": 3} if len(conversions) else None)
    report = {
        "summary": "values ('expected_precision', 0.99), ('expected_f1', 0.98), ('false_match_rate', 0.004), "
        "('expected_recall', null), ('threshold', 0.47)) as t(figure, value",
        "clocks": "values ('one', null::timestamp, 7200, true)) as t(partner, from_at, offset_seconds, is_clear",
        "weights": "values ('one', 'ip', 'same', 0.9, 0.2)) as t(partner, field, outcome, m, u",
        "calibration": "values (0.2, 0.21), (0.9, 0.9)) as t(given, true",
        "certainty": "values (9, 100, 0.99)) as t(decile, pairs, mean_probability",
        "placebo": "values (5, 100, 1, 0.01)) as t(hours, broker_rows, matched, false_match_rate",
        "changes": "values ('one', 'links per row', '0.90', '0.91')) as t(partner, what, before, now",
        "model": "values ('abc', 'asked for', 'aaa')) as t(version, reason, version_before",
    }
    for name, rows in report.items():
        connection.execute(
            f"create table ml.matching_{name} as select * from ({rows.replace('given, true', 'given, true_')})"
        )
    connection.execute('alter table ml.matching_calibration rename column true_ to "true"')
    connection.execute(
        "create table marts.snapshot as select 'snap-1' as snapshot_id, timestamp '2024-06-01 10:00:00' as published_at"
    )
    connection.execute("alter table marts.ops_batches add column file varchar default 'a.csv'")
    connection.execute("alter table marts.ops_batches add column status varchar default 'loaded'")
    return connection


def write_findings(connection: duckdb.DuckDBPyConnection, findings: pd.DataFrame) -> None:
    """Write the ranking of findings as a run does."""
    connection.register("ranking", findings)
    connection.execute("create table ml.conversion_findings as from ranking")
    connection.unregister("ranking")
