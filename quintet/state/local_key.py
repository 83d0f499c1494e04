"""A key of this machine, for commands that send to the service of the same home."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Collection

from quintet.state.keys import create_key, recognise
from quintet.state.store import StateStore
from quintet.state_place import Place, place_of


def local_key(
    place: Place, name: str, scopes: Collection[str], now: dt.datetime, random: Callable[[int], bytes]
) -> str:
    """Return the secret in the file `<name>.key` of the state place's folder, which only its owner can read. Create a
    new key if there is none, or it was revoked or has other scopes.
    """
    file, store = place_of(place).folder / f"{name}.key", StateStore(place)
    try:
        text = file.read_text("utf-8").strip() if file.exists() else ""
        known = recognise(store, text, None) if text else None
        if known is not None and known.scopes == frozenset(scopes):
            return text
        _, text = create_key(store, f"quintet {name} on this machine", scopes, now, random)
    finally:
        store.close()
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as private:
        private.write(text)
    partial.replace(file)
    return text
