"""Sessions of browsers: valid for twelve hours, as long as their key is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from quintet.state.keys import create_key, environment_key, revoke_key
from quintet.state.sessions import LASTS, admin_mark, close_session, key_of_session, open_session
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MARK = admin_mark("the admin key", b"salt")
Random = Callable[[int], bytes]


def test_a_session_returns_its_key_until_it_expires(store: StateStore, random_bytes: Random) -> None:
    key, _ = create_key(store, "Ana", ["insurance:read"], AT, random_bytes)
    text = open_session(store, key, AT, random_bytes)

    assert key_of_session(store, text, AT, None) == key
    assert key_of_session(store, text + "0", AT, None) is None
    assert key_of_session(store, text, AT + LASTS, None) is None


def test_a_closed_session_is_over(store: StateStore, random_bytes: Random) -> None:
    key, _ = create_key(store, "Ana", ["insurance:read"], AT, random_bytes)
    text = open_session(store, key, AT, random_bytes)

    close_session(store, text)
    close_session(store, "unknown")

    assert key_of_session(store, text, AT, None) is None


def test_revoking_a_key_ends_its_sessions(store: StateStore, random_bytes: Random) -> None:
    key, _ = create_key(store, "Ana", ["insurance:read"], AT, random_bytes)
    text = open_session(store, key, AT, random_bytes)

    revoke_key(store, key.key_id, AT)

    assert key_of_session(store, text, AT, None) is None


def test_a_session_of_the_settings_key_needs_that_setting(store: StateStore, random_bytes: Random) -> None:
    text = open_session(store, environment_key(), AT, random_bytes, MARK)

    assert key_of_session(store, text, AT, MARK) == environment_key()
    assert key_of_session(store, text, AT, None) is None


def test_the_store_does_not_contain_a_cookies_text(file_store: StateStore, random_bytes: Random) -> None:
    store = file_store
    text = open_session(store, environment_key(), AT, random_bytes, MARK)
    store.read().execute("pragma wal_checkpoint(truncate)")

    assert text.encode() not in store.path.read_bytes()


def test_opening_a_session_removes_expired_ones(store: StateStore, random_bytes: Random) -> None:
    open_session(store, environment_key(), AT, random_bytes, MARK)
    open_session(store, environment_key(), AT + LASTS, random_bytes, MARK)

    assert store.read().execute("select count(*) from sessions").fetchone()[0] == 1


def test_a_new_admin_key_ends_the_sessions_of_the_former_one(store: StateStore, random_bytes: Random) -> None:
    text = open_session(store, environment_key(), AT, random_bytes, MARK)

    assert key_of_session(store, text, AT, admin_mark("another key", b"salt")) is None
    assert key_of_session(store, text, AT, admin_mark("the admin key", b"salt")) == environment_key()


def test_a_session_that_a_former_release_opened_is_over(store: StateStore, random_bytes: Random) -> None:
    text = open_session(store, environment_key(), AT, random_bytes, "environment")

    assert key_of_session(store, text, AT, MARK) is None
