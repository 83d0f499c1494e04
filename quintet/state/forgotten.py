"""The forgotten persons in the state store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from quintet.forgotten import NOBODY, Forgotten
from quintet.state.secrets import secret_of
from quintet.state.store import FILE, StateStore
from quintet.state_place import Place, place_of

_SECRET = "persons"


def open_forgotten(store: StateStore, random_bytes: Callable[[int], bytes]) -> Forgotten:
    """Return the forgotten persons, with the key of the hashes, created on first use."""
    found = Forgotten(secret_of(store, _SECRET, random_bytes))
    return Forgotten(found.key, _persons(store))


def read_forgotten(place: Place) -> Forgotten:
    """Return the forgotten persons of a home; nobody without a state store."""
    where = place_of(place)
    if where.url is None and not (where.folder / FILE).exists():
        return NOBODY
    store = StateStore(where)
    try:
        row = store.read().execute("select value from secrets where name = ?", (_SECRET,)).fetchone()
        return NOBODY if row is None else Forgotten(bytes(row["value"]), _persons(store))
    finally:
        store.close()


def keep_forgotten(store: StateStore, found: Iterable[tuple[str, str]], now: dt.datetime) -> None:
    """Add persons to the forgotten ones: kind and digest."""
    with store.write() as connection:
        connection.executemany(
            "insert into forgotten (kind, person, forgotten_at) values (?, ?, ?) on conflict do nothing",
            [(kind, digest, now.isoformat()) for kind, digest in found],
        )


def _persons(store: StateStore) -> dict[str, set[str]]:
    persons: dict[str, set[str]] = {}
    for row in store.read().execute("select kind, person from forgotten"):
        persons.setdefault(row["kind"], set()).add(row["person"])
    return persons
