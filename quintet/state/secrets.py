"""Secrets of the service itself, such as the one that signs page tokens."""

from __future__ import annotations

from collections.abc import Callable

from quintet.state.store import Store


def secret_of(store: Store, name: str, random_bytes: Callable[[int], bytes]) -> bytes:
    """The 32-byte secret of this name, made on first use; the same for every process on the store."""
    with store.write() as connection:
        connection.execute("insert or ignore into secrets (name, value) values (?, ?)", (name, random_bytes(32)))
        (value,) = connection.execute("select value from secrets where name = ?", (name,)).fetchone()
    return bytes(value)
