"""Sessions of browsers that signed in with a key."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable

from quintet.state.keys import ENVIRONMENT_KEY_ID, Key, digest, environment_key, key_of_id
from quintet.state.store import StateStore

LASTS = dt.timedelta(hours=12)


def admin_mark(admin_key: str, salt: bytes) -> str:
    """Return what the sessions of the settings' admin key are stored under: another key has another mark.

    scrypt, because a person may have chosen the key, and the store must not help to guess it.
    """
    return f"{ENVIRONMENT_KEY_ID} {hashlib.scrypt(admin_key.encode(), salt=salt, n=2**13, r=8, p=1, dklen=16).hex()}"


def open_session(
    store: StateStore, key: Key, now: dt.datetime, random_bytes: Callable[[int], bytes], mark: str | None = None
) -> str:
    """Open a session of a key and return the cookie's text. Removes expired sessions.

    mark: of the settings' admin key, if there is one.
    """
    text = random_bytes(32).hex()
    owner = key.key_id if key.key_id != ENVIRONMENT_KEY_ID else mark
    assert owner is not None, "a session of the settings' admin key needs its mark"
    with store.write() as connection:
        connection.execute("delete from sessions where expires_at <= ?", (now.isoformat(),))
        connection.execute(
            "insert into sessions (session_sha256, key_id, created_at, expires_at) values (?, ?, ?, ?)",
            (digest(text), owner, now.isoformat(), (now + LASTS).isoformat()),
        )
    return text


def key_of_session(store: StateStore, text: str, now: dt.datetime, mark: str | None) -> Key | None:
    """Return the key behind a cookie; None if the session is unknown or expired, or its key is revoked.

    mark: of the settings' admin key now, if there is one; the sessions of another admin key are over.
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
    if row["key_id"].partition(" ")[0] == ENVIRONMENT_KEY_ID:
        return environment_key() if row["key_id"] == mark else None
    return key_of_id(store, row["key_id"])


def close_session(store: StateStore, text: str) -> None:
    """End a session; an unknown one is no error."""
    with store.write() as connection:
        connection.execute("delete from sessions where session_sha256 = ?", (digest(text),))
