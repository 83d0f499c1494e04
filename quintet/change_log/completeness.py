"""Record which tables of an epoch are incomplete: from where on changes are missing, and why.

A reader of the log must not take a table's rows as current beyond that position.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import obstore

from quintet.change_log.change import Position
from quintet.change_log.log import ObjectStore


@dataclass(frozen=True)
class Incomplete:
    """A table whose changes are missing.

    table: `schema.table`. since: the position up to which it is complete. last_commit_at: when the last transaction
    before that was committed, ISO, UTC. reason: a clause without a full stop, for people.
    """

    table: str
    since: Position
    last_commit_at: str
    reason: str

    def __str__(self) -> str:
        """Return a sentence without a full stop."""
        return f"table {self.table} is not complete: {self.reason}"


def write_incomplete(store: ObjectStore, epoch: str, found: Incomplete) -> None:
    """Record that a table of an epoch is incomplete."""
    key = f"incomplete/{epoch}/{found.table}.json"
    obstore.put(store, key, json.dumps(_fields(found)).encode(), use_multipart=False)


def read_incomplete(store: ObjectStore, epoch: str) -> dict[str, Incomplete]:
    """Return the incomplete tables of an epoch by `schema.table`; empty if everything is complete."""
    keys = sorted(entry["path"] for page in obstore.list(store, f"incomplete/{epoch}/") for entry in page)
    found = [_incomplete(json.loads(bytes(obstore.get(store, key).bytes()))) for key in keys]
    return {one.table: one for one in found}


def incomplete_to_text(found: Mapping[str, Incomplete]) -> str:
    """Return the JSON that `incomplete_from_text` reads."""
    return json.dumps([_fields(found[table]) for table in sorted(found)])


def incomplete_from_text(text: str | None) -> dict[str, Incomplete]:
    """Return incomplete tables by `schema.table`; None is none."""
    found = [_incomplete(fields) for fields in json.loads(text or "[]")]
    return {one.table: one for one in found}


def _fields(found: Incomplete) -> dict[str, str]:
    return {
        "table": found.table,
        "since": str(found.since),
        "last_commit_at": found.last_commit_at,
        "reason": found.reason,
    }


def _incomplete(fields: Mapping[str, Any]) -> Incomplete:
    return Incomplete(fields["table"], Position.parse(fields["since"]), fields["last_commit_at"], fields["reason"])
