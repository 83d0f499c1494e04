"""Secrets of the service itself, such as the one that signs page tokens."""

from __future__ import annotations

from collections.abc import Callable

from quintet.state.store import StateStore


def secret_of(store: StateStore, name: str, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the 32-byte secret of this name, created on first use; every process on the store gets the same."""
    with store.write() as connection:
        connection.execute(
            "insert into secrets (name, value) values (?, ?) on conflict do nothing", (name, random_bytes(32))
        )
        (value,) = connection.execute("select value from secrets where name = ?", (name,)).fetchone()
    return bytes(value)
