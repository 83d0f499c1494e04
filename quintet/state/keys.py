"""API keys and their scopes."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from quintet.state.binding import Binding
from quintet.state.store import Connection, StateStore

ENVIRONMENT_KEY_ID = "environment"
"""The id of the admin key of the setting `QUINTET_ADMIN_KEY`; it is never stored."""

_PREFIX = "qk_"
_LONGEST_NAME = 200


class UnusableKeyError(ValueError):
    """A key cannot be created or revoked; the message says why and what to do."""


@dataclass(frozen=True)
class Key:
    """A key without its secret. Times are UTC. binding: the part of the rows that it sees; None for all."""

    key_id: str
    name: str
    scopes: frozenset[str]
    created_at: dt.datetime | None
    revoked_at: dt.datetime | None = None
    binding: Binding | None = None

    def allows(self, scope: str) -> bool:
        """Return whether the key has `scope`."""
        return "admin" in self.scopes or scope in self.scopes


def check_scopes(scopes: Collection[str], known: Collection[str]) -> None:
    """Raise UnusableKeyError if one of the scopes is unknown."""
    if unknown := sorted(set(scopes) - set(known)):
        raise UnusableKeyError(f"unknown scope {', '.join(unknown)}; there are {', '.join(known)}")


def create_key(
    store: StateStore,
    name: str,
    scopes: Collection[str],
    now: dt.datetime,
    random_bytes: Callable[[int], bytes],
    binding: Binding | None = None,
) -> tuple[Key, str]:
    """Create a key; return it with its secret, which is not stored. Raises UnusableKeyError without a scope or name.

    binding: checked by `quintet.row_policy.check_binding`.
    """
    with store.write() as connection:
        return _insert(connection, name, scopes, now, random_bytes, binding)


def create_first_key(
    store: StateStore, now: dt.datetime, random_bytes: Callable[[int], bytes]
) -> tuple[Key, str] | None:
    """Create the first admin key; None if one was ever created. Keys with narrower scopes do not count."""
    with store.write() as connection:
        if connection.execute("select 1 from keys where ' ' || scopes || ' ' like '% admin %' limit 1").fetchone():
            return None
        return _insert(connection, "first key", ["admin"], now, random_bytes)


def list_keys(store: StateStore) -> list[Key]:
    """Return all keys ever created, the oldest first."""
    return [_key(row) for row in store.read().execute("select * from keys order by created_at, key_id")]


def revoke_key(store: StateStore, key_id: str, now: dt.datetime) -> Key:
    """Revoke a key permanently; revoking it again changes nothing. Raises UnusableKeyError for an unknown id."""
    with store.write() as connection:
        connection.execute(
            "update keys set revoked_at = ? where key_id = ? and revoked_at is null", (now.isoformat(), key_id)
        )
        row = connection.execute("select * from keys where key_id = ?", (key_id,)).fetchone()
    if row is None:
        raise UnusableKeyError(f"there is no key {key_id!r}; `keys list` shows those there are")
    return _key(row)


def recognise(store: StateStore, text: str, admin_key: str | None) -> Key | None:
    """Return the key with this secret; None if there is none or it was revoked. admin_key: from the settings."""
    if admin_key is not None and hmac.compare_digest(text.encode(), admin_key.encode()):
        return environment_key()
    row = (
        store.read()
        .execute("select * from keys where secret_sha256 = ? and revoked_at is null", (digest(text),))
        .fetchone()
    )
    return None if row is None else _key(row)


def key_of_id(store: StateStore, key_id: str) -> Key | None:
    """Return the key with this id; None if there is none or it was revoked."""
    row = store.read().execute("select * from keys where key_id = ? and revoked_at is null", (key_id,)).fetchone()
    return None if row is None else _key(row)


def environment_key() -> Key:
    """Return the admin key of the settings."""
    return Key(ENVIRONMENT_KEY_ID, "QUINTET_ADMIN_KEY", frozenset({"admin"}), created_at=None)


def digest(text: str) -> str:
    """Return the SHA-256 of a secret, which is all that is stored of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _insert(
    connection: Connection,
    name: str,
    scopes: Collection[str],
    now: dt.datetime,
    random_bytes: Callable[[int], bytes],
    binding: Binding | None = None,
) -> tuple[Key, str]:
    if not scopes:
        raise UnusableKeyError("a key needs a scope")
    if not name.strip():
        raise UnusableKeyError("a key needs a name that says whose it is")
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UnusableKeyError(f"a key's name is one line of at most {_LONGEST_NAME} printable characters")
    key_id, text = random_bytes(4).hex(), _PREFIX + random_bytes(32).hex()
    connection.execute(
        "insert into keys (key_id, name, secret_sha256, scopes, created_at, bound_to) values (?, ?, ?, ?, ?, ?)",
        (
            *(key_id, name.strip(), digest(text), " ".join(sorted(set(scopes))), now.isoformat()),
            binding.to_text() if binding else None,
        ),
    )
    return Key(key_id, name.strip(), frozenset(scopes), now, binding=binding), text


def _key(row: Any) -> Key:
    revoked_at = row["revoked_at"]
    return Key(
        row["key_id"],
        row["name"],
        frozenset(row["scopes"].split()),
        dt.datetime.fromisoformat(row["created_at"]),
        dt.datetime.fromisoformat(revoked_at) if revoked_at else None,
        Binding.from_text(row["bound_to"]),
    )
