"""The tables of the live monitor in the state store: a store of an earlier release keeps its notifications."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quintet.payments import store as payment_store
from quintet.payments.store import INCIDENT_FIELDS, MIGRATIONS, mark_notified
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_FIELDS = {
    "series": "denied", "state": "firing", "started_minute": 1, "detected_minute": 2, "last_bad_minute": 2,
    "quiet_minutes": 0, "severity": "critical", "peak_score": 9.0, "expected": 1.0, "observed": 9,
    "window_minutes": 5, "rule": "rate", "group_id": "g", "ended_minute": None,
}  # fmt: skip


def insert(connection: sqlite3.Connection, **more: object) -> None:
    row = {"incident_id": "one", "source": "live", "first_seen_at": NOW.isoformat(), **_FIELDS, **more}
    connection.execute(
        f"insert into payment_incidents ({', '.join(row)}) values ({', '.join('?' * len(row))})", tuple(row.values())
    )


def test_the_fields_are_all_there() -> None:
    assert set(_FIELDS) == set(INCIDENT_FIELDS)


def test_notifications_of_an_earlier_release_are_kept(tmp_path: Path) -> None:
    with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS[:1]})) as former, former.write() as connection:
        insert(connection, told_at=NOW.isoformat(), told_state="firing", told_times=2)

    with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS})) as store:
        (incident,) = payment_store.incidents(store)
    assert (incident.notified_at, incident.notified_state, incident.notified_times) == (NOW, "firing", 2)
    assert incident.notified_severity is None


def test_notifications_of_a_release_without_their_severity_are_kept(tmp_path: Path) -> None:
    with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS[:2]})) as former, former.write() as connection:
        insert(connection, notified_at=NOW.isoformat(), notified_state="firing", notified_times=1)

    with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS})) as store:
        with store.write() as connection:
            mark_notified(connection, "one", "firing", "critical", NOW)
        (incident,) = payment_store.incidents(store)
    assert (incident.notified_state, incident.notified_severity, incident.notified_times) == ("firing", "critical", 2)


def test_a_store_that_is_migrated_twice_stays_as_it_is(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS})) as store, store.write() as connection:
            connection.execute("delete from payment_incidents")
            insert(connection)
            mark_notified(connection, "one", "firing", "critical", NOW)
            (incident,) = payment_store.incidents(store)
            assert incident.notified_times == 1


def test_without_the_migration_the_column_is_missing(tmp_path: Path) -> None:
    with closing(StateStore(tmp_path, migrations={"payments": MIGRATIONS[:1]})) as former, former.write() as connection:
        insert(connection)
        with pytest.raises(sqlite3.OperationalError, match="notified"):
            mark_notified(connection, "one", "firing", "critical", NOW)
