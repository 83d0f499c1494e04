"""PostgreSQL in tests: drop slots, and compute features by plain SQL to compare streams and backfills with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import psycopg

from quintet.lending.feature_registry import features
from tests.waiting import wait_until

Asked = tuple[int, date]


def drop_slots(connection: psycopg.Connection) -> None:
    """Drop all replication slots; the server ends the sender of a stream only a moment after the stream has ended.

    connection: of a superuser, in autocommit.
    """
    connection.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
    wait_until(lambda: not connection.execute("select 1 from pg_replication_slots where active").fetchone())
    connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def values_by_sql(url: str, asked: Iterable[Asked]) -> dict[Asked, dict[str, Any]]:
    """Return the values of all features for clients and days, from PostgreSQL, in a few statements."""
    pairs = sorted(set(asked))
    literal = ", ".join(f"({client}, date '{as_of}')" for client, as_of in pairs)
    columns = ", ".join(f"({_correlated(feature.sql)}) as {feature.name}" for feature in features())
    with psycopg.connect(url) as connection:
        rows = f"(values {literal}) as asked (client_id, as_of)"
        cursor = connection.execute(f"select asked.client_id, asked.as_of, {columns} from {rows}".encode())
        names = [feature.name for feature in features()]
        return {(row[0], row[1]): dict(zip(names, row[2:], strict=True)) for row in cursor}


def _correlated(sql: str) -> str:
    return sql.replace("date '{as_of}'", "asked.as_of").replace("{client_id}", "asked.client_id")
