"""The features equal plain SQL for changes that are late, repeated, split, or before their loans."""

from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.state.features import FeatureStore
from tests.unit.lending.events import change

_DUCKDB = duckdb.connect()
_EPOCH = Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1")
_SCHEMA = """
    create or replace table loan (
        id int, client_id int, amount double, created_on date, status varchar, updated_on date
    );
    create or replace table payment (
        id int, loan_id int, principle double, interest double, status varchar, created_on date
    );
"""
_days = st.integers(0, 200).map(lambda days: date(2020, 3, 1) + timedelta(days=days))
_money = st.one_of(st.none(), st.integers(-500, 100_000).map(lambda cents: cents / 100))
_loans = st.tuples(
    st.just("loan"),
    st.integers(1, 6),
    st.none()
    | st.fixed_dictionaries(
        {
            "client_id": st.integers(1, 3),
            "amount": _money,
            "created_on": _days,
            "status": st.sampled_from(["application", "active", "paid", "overdue"]),
            "updated_on": st.none() | _days,
        }
    ),
)
_payments = st.tuples(
    st.just("payment"),
    st.integers(1, 8),
    st.none()
    | st.fixed_dictionaries(
        {
            "loan_id": st.integers(1, 7),
            "principle": _money,
            "interest": _money,
            "status": st.sampled_from(["on_time", "late"]),
            "created_on": _days,
        }
    ),
)
_histories = st.lists(st.one_of(_loans, _payments), max_size=40)


def _text(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return row and {name: v.isoformat() if isinstance(v, date) else v for name, v in row.items()}


def _load(connection: duckdb.DuckDBPyConnection, tables: dict[tuple[str, int], dict[str, Any]]) -> None:
    connection.execute(_SCHEMA)
    for name in ("loan", "payment"):
        rows = [{"id": key, **row} for (table, key), row in tables.items() if table == name]
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(f"insert into {name} ({', '.join(row)}) values ({marks})", list(row.values()))


def _by_sql(connection: duckdb.DuckDBPyConnection, client: int, as_of: date) -> dict[str, Any]:
    columns = ", ".join(
        f"({feature.sql.format(client_id=client, as_of=as_of)}) as {feature.name}" for feature in features()
    )
    row = connection.execute(f"select {columns}").fetchone()
    assert row is not None
    return dict(zip((feature.name for feature in features()), row, strict=True))


@settings(max_examples=30, deadline=None)
@given(_histories, st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=6), _days)
def test_the_features_equal_plain_sql(
    history: list[tuple[str, int, dict[str, Any] | None]], resent: list[tuple[int, int]], as_of: date
) -> None:
    tables: dict[tuple[str, int], dict[str, Any]] = {}
    changes: list[Change] = []
    for table, key, row in history:
        if row is None and (table, key) not in tables:
            continue
        changes.append(change(len(changes), table, key, _text(row)))
        tables[table, key] = row or {}
        if row is None:
            del tables[table, key]
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore(Path(folder))
        online = OnlineFeatures(store, features())
        online.begin(_EPOCH)
        applied = 0
        for begin, length in [*sorted(resent), (0, len(changes))]:
            if begin <= applied:  # a stream continues inside what it has sent, or restarts before it
                end = min(begin + length, len(changes))
                online.apply(changes[begin:end], Position(end), end)
                applied = max(applied, end)
        _load(_DUCKDB, tables)
        for client in (1, 2, 3):
            found = online.features_of(client, as_of)
            expected = _by_sql(_DUCKDB, client, as_of)
            if found is not None:
                assert found.values == expected
            else:
                assert set(expected.values()) <= {0, None}
        store.close()
