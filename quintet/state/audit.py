"""The audit log: who read or changed what. Append-only, and each entry has the hash of the one before it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from quintet.state.recorded import RecordedTable
from quintet.state.store import StateStore

RECORDED = RecordedTable(
    "audit",
    "ops",
    "Who read or changed what, from the service and the commands; append-only.",
    {
        "entry_id": "bigint",
        "recorded_at": "timestamp",
        "actor": "varchar",
        "actor_id": "varchar",
        "action": "varchar",
        "subject": "varchar",
        "outcome": "varchar",
        "entry_sha256": "varchar",
    },
)


@dataclass(frozen=True)
class Entry:
    """An entry. recorded_at: ISO, UTC. actor, actor_id: name and id of the key, or the account and `command`.

    action: such as `keys.create`. subject: what it was about; persons by their keyed hash. outcome: the status of the
    answer, or of the command.
    """

    recorded_at: str
    actor: str
    actor_id: str
    action: str
    subject: str
    outcome: str


_COLUMNS = ", ".join(field.name for field in fields(Entry))
_AFTER = f"select entry_id, {_COLUMNS}, entry_sha256 from audit where entry_id > ? order by entry_id limit ?"
_ENTRIES_AT_ONCE = 10_000


def record(store: StateStore, entry: Entry) -> None:
    """Append an entry."""
    with store.write() as connection:
        count, last = connection.execute("select entries, entry_sha256 from audit_head").fetchone()
        found = _chained(last, entry)
        connection.execute(
            f"insert into audit (entry_id, {_COLUMNS}, entry_sha256) values (?, ?, ?, ?, ?, ?, ?, ?)",
            (count + 1, *astuple(entry), found),
        )
        connection.execute("update audit_head set entries = ?, entry_sha256 = ?", (count + 1, found))


def last_entries(store: StateStore, limit: int) -> Sequence[Entry]:
    """Return the last entries, the oldest first."""
    rows = store.read().execute(
        f"select * from (select entry_id, {_COLUMNS} from audit order by entry_id desc limit ?) as latest "
        "order by entry_id",
        (limit,),
    )
    return [_entry(row) for row in rows]


def problem_of_chain(store: StateStore) -> str | None:
    """Return what is wrong with the log: an entry that was changed, or is missing; None if it is whole."""
    last, number = "", 0
    with store.reading() as connection:
        head = tuple(connection.execute("select entries, entry_sha256 from audit_head").fetchone())
        while rows := connection.execute(_AFTER, (number, _ENTRIES_AT_ONCE)).fetchall():
            for row in rows:
                number += 1
                if row["entry_id"] != number:
                    return f"entry {number} is missing"
                last = _chained(last, _entry(row))
                if row["entry_sha256"] != last:
                    return f"entry {number} was changed, or one before it was replaced"
    return None if head == (number, last) else f"the entries after {number} are missing: there were {head[0]}"


def _chained(last: str, entry: Entry) -> str:
    return hashlib.sha256(json.dumps([last, *astuple(entry)]).encode()).hexdigest()


def _entry(row: Any) -> Entry:
    return Entry(*(row[field.name] for field in fields(Entry)))


def utc_text(at: dt.datetime) -> str:
    """Return a time as entries have it."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds")
