"""Sessions of browsers that signed in with a key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from quintet.state.keys import ENVIRONMENT_KEY_ID, Key, digest, environment_key, key_of_id
from quintet.state.store import StateStore

LASTS = dt.timedelta(hours=12)


def open_session(store: StateStore, key: Key, now: dt.datetime, random_bytes: Callable[[int], bytes]) -> str:
    """Open a session of a key and return the cookie's text. Removes expired sessions."""
    text = random_bytes(32).hex()
    with store.write() as connection:
        connection.execute("delete from sessions where expires_at <= ?", (now.isoformat(),))
        connection.execute(
            "insert into sessions (session_sha256, key_id, created_at, expires_at) values (?, ?, ?, ?)",
            (digest(text), key.key_id, now.isoformat(), (now + LASTS).isoformat()),
        )
    return text


def key_of_session(store: StateStore, text: str, now: dt.datetime, *, has_admin_key: bool) -> Key | None:
    """Return the key behind a cookie; None if the session is unknown or expired, or its key is revoked.

    has_admin_key: whether the settings have an admin key now; without one its sessions are over.
    """
    row = (
        store.read()
        .execute(
            "select key_id from sessions where session_sha256 = ? and expires_at > ?", (digest(text), now.isoformat())
        )
        .fetchone()
    )
    if row is None:
        return None
    if row["key_id"] == ENVIRONMENT_KEY_ID:
        return environment_key() if has_admin_key else None
    return key_of_id(store, row["key_id"])


def close_session(store: StateStore, text: str) -> None:
    """End a session; an unknown one is no error."""
    with store.write() as connection:
        connection.execute("delete from sessions where session_sha256 = ?", (digest(text),))
