"""Compute features by plain SQL over the tables, to compare streams and backfills with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import psycopg

from quintet.lending.feature_registry import features

Asked = tuple[int, date]


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
