"""Every table that grows is pruned, or says why not."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest

from quintet.domains import RETENTION, open_state_store
from quintet.lending import decision_log
from quintet.state import features
from quintet.state.features import FeatureStore
from quintet.state.outbox import at_text, enqueue
from quintet.state.retention import Retention, prune
from quintet.state.store import StateStore
from quintet.state_place import StatePlace

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def undeclared(path: Path, declared: Iterable[Retention]) -> list[str]:
    """Return the tables of a store that no retention names, and names without a table."""
    with sqlite3.connect(path) as connection:
        found = {name for (name,) in connection.execute("select name from sqlite_schema where type = 'table'")}
    return sorted(found ^ {one.table for one in declared})


def test_every_table_of_the_state_store_has_a_retention_or_a_reason(tmp_path: Path) -> None:
    open_state_store(tmp_path).close()
    assert undeclared(tmp_path / "online.sqlite", RETENTION) == []
    assert all(one.reason for one in RETENTION)


def test_every_table_of_the_other_files_has_a_reason(tmp_path: Path) -> None:
    core = [Retention("migrations", "One row for each owner of tables.")]
    log = decision_log.DecisionLog(tmp_path)
    log.start()
    log.close()
    assert undeclared(tmp_path / decision_log.FILE, [*core, *decision_log.RETENTION]) == []
    FeatureStore(tmp_path).close()
    assert undeclared(tmp_path / features.FILE, [*core, *features.RETENTION]) == []


def test_a_table_that_nobody_declared_is_found(tmp_path: Path) -> None:
    StateStore(tmp_path, migrations={"new": ("create table visits (at text) strict",)}).close()
    assert "visits" in undeclared(tmp_path / "online.sqlite", RETENTION)


@pytest.fixture
def store(place: StatePlace) -> StateStore:
    """Return a store with old and new rows of every kind that is pruned."""
    store = open_state_store(place)
    old, new = at_text(NOW - 500 * DAY), at_text(NOW - DAY)
    with store.write() as connection:
        for at, name in ((old, "old"), (new, "new")):
            for state in ("sent", "waiting"):
                enqueue(connection, f"{name} {state}", ["log"], {}, dt.datetime.fromisoformat(at))
            connection.execute("insert into sessions values (?, 'k', ?, ?)", (name, at, at))
            connection.execute(
                "insert into report_runs (report, written_at, written_by, parameters, format, rows, "
                "total_written_premium, snapshot) values ('premium', ?, 'k', '{}', 'csv', 1, '1', ?)",
                (at, name),
            )
            connection.execute(
                "insert into payment_silences (starts_at, expires_at, created_by, comment) values (?, ?, 'k', ?)",
                (at, at, name),
            )
            for state in ("firing", "resolved"):
                connection.execute(
                    "insert into payment_incidents values (?, 'live', 'denied', ?, 1, 1, 1, 0, 'warning', 6, 1, 9, 1, "
                    "'rule', 'g', null, ?, null, null, null, null, 0, 0, null, null)",
                    (f"{name} {state}", state, at),
                )
        connection.execute("update outbox set state = 'sent' where key like '% sent'")
        connection.execute("insert into wrong_keys values ('old', ?), ('counts', ?)", (old, at_text(NOW + DAY)))
        connection.execute("insert into sessions values ('open', 'k', ?, ?)", (new, at_text(NOW + DAY)))
    return store


def left(store: StateStore, column: str, table: str) -> list[str]:
    return sorted(row[0] for row in store.read().execute(f"select {column} from {table}"))


def test_old_rows_go_and_what_is_still_of_use_stays(store: StateStore) -> None:
    removed = prune(store, RETENTION, NOW, 400)
    assert removed == {
        "sessions": 2, "outbox": 1, "report_runs": 1, "payment_incidents": 1, "payment_silences": 1,
        "abuse_rule_verdicts": 0, "report_schedules": 0, "payment_incident_values": 0, "payment_notified_channels": 0,
        "wrong_keys": 1,
    }  # fmt: skip
    assert left(store, "key", "outbox") == ["new sent", "new waiting", "old waiting"]
    assert left(store, "session_sha256", "sessions") == ["open"]
    assert left(store, "network", "wrong_keys") == ["counts"]
    assert left(store, "snapshot", "report_runs") == ["new"]
    assert left(store, "incident_id", "payment_incidents") == ["new firing", "new resolved", "old firing"]
    assert left(store, "comment", "payment_silences") == ["new"]
    store.close()


def test_the_last_report_run_stays_however_old_it_is(store: StateStore) -> None:
    prune(store, RETENTION, NOW + 5_000 * DAY, 400)
    assert left(store, "snapshot", "report_runs") == ["new"]
    store.close()
