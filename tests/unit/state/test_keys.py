"""API keys: shown once, stored as a hash, recognised until they are revoked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from cli.keys import main
from quintet.state.binding import Binding
from quintet.state.keys import (
    UnusableKeyError,
    check_scopes,
    create_first_key,
    create_key,
    list_keys,
    recognise,
    revoke_key,
)
from quintet.state.store import StateStore

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
Random = Callable[[int], bytes]


def test_a_key_is_recognised_with_its_scopes(store: StateStore, random_bytes: Random) -> None:
    key, text = create_key(store, "Ana", ["insurance:read", "insurance:read"], AT, random_bytes)

    assert recognise(store, text, None) == key
    assert key.allows("insurance:read")
    assert not key.allows("admin")
    assert recognise(store, text + "0", None) is None
    assert recognise(store, "", None) is None


def test_the_store_does_not_contain_a_keys_secret(file_store: StateStore, random_bytes: Random) -> None:
    store = file_store
    _, text = create_key(store, "Ana", ["admin"], AT, random_bytes)
    store.read().execute("pragma wal_checkpoint(truncate)")

    assert text.encode() not in store.path.read_bytes()
    assert b"Ana" in store.path.read_bytes()


def test_a_revoked_key_is_refused_and_stays_listed(store: StateStore, random_bytes: Random) -> None:
    key, text = create_key(store, "Ana", ["admin"], AT, random_bytes)

    revoke_key(store, key.key_id, AT)
    revoke_key(store, key.key_id, AT + dt.timedelta(days=1))

    assert recognise(store, text, None) is None
    assert [(key.name, key.revoked_at) for key in list_keys(store)] == [("Ana", AT)]
    with pytest.raises(UnusableKeyError, match="there is no key 'missing'"):
        revoke_key(store, "missing", AT)


def test_admin_allows_everything(store: StateStore, random_bytes: Random) -> None:
    key, _ = create_key(store, "root", ["admin"], AT, random_bytes)

    assert key.allows("payments:write")


def test_the_first_key_is_created_once(store: StateStore, random_bytes: Random) -> None:
    made = create_first_key(store, AT, random_bytes)

    assert made is not None
    assert made[0].allows("admin")
    assert create_first_key(store, AT, random_bytes) is None
    revoke_key(store, made[0].key_id, AT)
    assert create_first_key(store, AT, random_bytes) is None


@pytest.mark.parametrize(
    ("name", "scopes", "fault"),
    [
        ("Ana", [], "a key needs a scope"),
        (" ", ["admin"], "a key needs a name"),
        ("a\x1b[31mb", ["admin"], "printable characters"),
        ("two\nlines", ["admin"], "printable characters"),
        ("\udcff", ["admin"], "printable characters"),
        ("n" * 201, ["admin"], "at most 200"),
    ],
)
def test_a_key_that_cannot_be_created_says_why(
    store: StateStore, random_bytes: Random, name: str, scopes: list[str], fault: str
) -> None:
    with pytest.raises(UnusableKeyError, match=fault):
        create_key(store, name, scopes, AT, random_bytes)
    assert list_keys(store) == []


def test_an_unknown_scope_is_refused_with_the_known_ones() -> None:
    check_scopes(["a:read"], ["a:read", "admin"])
    with pytest.raises(UnusableKeyError, match="unknown scope a:write; there are a:read, admin"):
        check_scopes(["a:read", "a:write"], ["a:read", "admin"])


def test_the_key_of_the_settings_is_an_admin_and_is_never_stored(store: StateStore) -> None:
    key = recognise(store, "ten characters", "ten characters")

    assert key is not None
    assert key.allows("insurance:read")
    assert list_keys(store) == []
    assert recognise(store, "ten characters", "another key") is None


def test_the_command_creates_lists_and_revokes(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))

    assert main(["create", "--name", "Ana", "--scopes", "insurance:read,metrics:read"]) == 0
    text = capsys.readouterr().out.split()[0]
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    key_id = next(word for word in listed.split() if len(word) == 8 and word.isalnum())
    assert text not in listed
    assert main(["revoke", key_id]) == 0
    assert "is revoked" in capsys.readouterr().out
    assert main(["revoke", "missing"]) == 2
    assert "there is no key 'missing'" in capsys.readouterr().err


def test_a_bound_key_is_recognised_and_listed_with_its_binding(store: StateStore, random_bytes: Random) -> None:
    binding = Binding.of({"agency": ["3", "470"]})
    key, text = create_key(store, "Ana", ["insurance:read"], AT, random_bytes, binding)

    assert key.binding == binding
    assert recognise(store, text, None) == key
    assert list_keys(store) == [key]
