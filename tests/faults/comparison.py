"""Compare a world's change log and features with its database."""

from __future__ import annotations

from collections import Counter

import pytest

from quintet.change_log.change import Change, completed
from tests.faults.stream_world import TODAY, World
from tests.postgres import values_by_sql


def differences(world: World) -> dict[str, list[object]]:
    """Return lost, invented, doubled and changed entries of the log, and rows that differ from the tables.

    Empty if there is none; else the places, rows and values that differ, so that a failure shows what is wrong.
    """
    truth = {change.position: change for change in world.truth()}
    whole, first = world.logged(), min(truth)
    logged = [change for change in whole if change.position >= first]
    times = Counter(change.position for change in logged)
    found: dict[str, list[object]] = {
        "lost": [change for place, change in truth.items() if place not in times],
        "phantom": [change for change in logged if change.position not in truth],
        "repeated": [place for place, count in times.items() if count > 1],
        "other": [
            (change, truth[change.position])
            for change in logged
            if change.position in truth and change[3:] != truth[change.position][3:]
        ],
        "rows": [pair for table in ("user", "loan", "payment") for pair in _unlike(world, whole, table)],
    }
    return {name: examples for name, examples in found.items() if examples}


def _unlike(world: World, changes: list[Change], table: str) -> list[tuple[str, int, object, object]]:
    """Return table, id, row of the log and row of the table for each difference."""
    by_log, by_table = _replayed(changes, table), world.rows(table)
    keys = sorted(by_log.keys() | by_table.keys())
    return [(table, key, by_log.get(key), by_table.get(key)) for key in keys if by_log.get(key) != by_table.get(key)]


def _replayed(changes: list[Change], table: str) -> dict[int, dict]:
    """Return the rows of a table after the log; a column that was added later is null in older rows."""
    rows: dict[int, dict] = {}
    for change in changes:
        if change.table == table and change.row is None and change.old is not None:
            del rows[change.old["id"]]
        elif change.table == table and change.row is not None:
            rows[change.row["id"]] = dict(completed(change, rows.get(change.row["id"])) or {})
    names = {name for row in rows.values() for name in row}
    return {key: {name: row.get(name) for name in names} for key, row in rows.items()}


def features_unlike_the_tables(world: World) -> list[object]:
    """Return the clients, of a sample of about 200, whose features differ from plain SQL, with both values."""
    clients = sorted(world.rows("user"))
    pairs = [(client, TODAY) for client in clients[:: max(len(clients) // 200, 1)]]
    expected, online = values_by_sql(world.postgres.url, pairs), world.features()
    found = {pair: online.features_of(*pair) for pair in pairs}
    online.store.close()
    return [
        (pair, actual.values if actual else None, expected[pair])
        for pair, actual in found.items()
        if actual is None or actual.values != pytest.approx(expected[pair], nan_ok=True, abs=0)
    ]
