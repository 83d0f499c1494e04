"""The tables of the state store: scripts that create and change them, each applied once and in order.

Each owner of tables declares its scripts: the core here, each domain in its `domain.py`. The first script of each owner
creates only what is missing: stores of releases without owners have the tables already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.state.dialect import AnyScript, Script, as_script
from quintet.state.faults import StateError

Migrations = Mapping[str, Sequence[AnyScript]]
"""By owner, the scripts of its tables."""

CORE = "core"
"""The owner of the tables that every state store has."""

CORE_MIGRATIONS = (
    """
    create table if not exists keys (
        key_id text primary key,
        name text not null,
        secret_sha256 text not null unique,
        scopes text not null,
        created_at text not null,
        revoked_at text
    ) strict;
    create table if not exists sessions (
        session_sha256 text primary key,
        key_id text not null,
        created_at text not null,
        expires_at text not null
    ) strict;
    create table if not exists secrets (name text primary key, value blob not null) strict;
    """,
    """
    create table if not exists outbox (
        message_id integer primary key,
        key text not null,
        channel text not null,
        created_at text not null,
        body text not null,
        state text not null check (state in ('waiting', 'sent', 'given up')),
        attempts integer not null default 0,
        next_attempt_at text not null,
        sent_at text,
        error text,
        unique (key, channel)
    ) strict;
    create index if not exists outbox_by_channel on outbox (channel, state, message_id);
    """,
    """
    create table if not exists forgotten (
        kind text not null,
        person text not null,
        forgotten_at text not null,
        primary key (kind, person)
    ) strict, without rowid;
    """,
    Script(
        """
    create table if not exists audit (
        entry_id integer primary key,
        recorded_at text not null,
        actor text not null,
        actor_id text not null,
        action text not null,
        subject text not null,
        outcome text not null,
        entry_sha256 text not null
    ) strict;
    create table if not exists audit_head (entries integer not null, entry_sha256 text not null) strict;
    insert into audit_head select 0, '' where not exists (select 1 from audit_head);
    create trigger if not exists audit_is_not_changed before update on audit
    begin select raise(abort, 'the audit log is append-only'); end;
    create trigger if not exists audit_is_not_cut before delete on audit
    begin select raise(abort, 'the audit log is append-only'); end;
    """,
        """
    create table audit (
        entry_id bigint primary key,
        recorded_at text collate "C" not null,
        actor text collate "C" not null,
        actor_id text collate "C" not null,
        action text collate "C" not null,
        subject text collate "C" not null,
        outcome text collate "C" not null,
        entry_sha256 text collate "C" not null
    );
    create table audit_head (entries bigint not null, entry_sha256 text collate "C" not null);
    insert into audit_head values (0, '');
    create function audit_is_append_only() returns trigger language plpgsql
    as $$ begin raise exception 'the audit log is append-only'; end $$;
    create trigger audit_is_not_changed before update or delete or truncate on audit
    for each statement execute function audit_is_append_only();
    """,
    ),
    """
    create table if not exists wrong_keys (network text not null, expires_at text not null) strict;
    create index if not exists wrong_keys_by_network on wrong_keys (network, expires_at);
    """,
    # breaking: a release that does not know it would show a bound key everything
    Script("alter table keys add column bound_to text", is_breaking=True),
)

TABLE = "migrations"
VERSIONS = (
    "create table if not exists migrations "
    "(owner text primary key, applied integer not null, needs integer not null default 0) strict"
)
NEEDS = "alter table migrations add column needs integer not null default 0"
NOTE = (
    "insert into migrations (owner, applied, needs) values (?, ?, ?) "
    "on conflict (owner) do update set applied = excluded.applied, needs = excluded.needs"
)


@dataclass(frozen=True)
class Applied:
    """What a store has of an owner. needs: how many scripts a release must know to work with the tables."""

    scripts: int
    needs: int = 0


def read_applied(connection: Any) -> dict[str, Applied]:
    """Return what a store with the table of migrations has applied, by owner."""
    return {row["owner"]: _applied(row) for row in connection.execute("select * from migrations").fetchall()}


def _applied(row: Any) -> Applied:
    return Applied(row["applied"], row["needs"] if "needs" in row.keys() else 0)  # noqa: SIM118  # a row, not a dict


def missing(migrations: Migrations, applied: Mapping[str, Applied], place: str) -> dict[str, Sequence[AnyScript]]:
    """Return the scripts still to apply, by owner.

    Raises StateError if a newer release has changed tables so that this one cannot work with them.
    """
    for owner, scripts in migrations.items():
        found = applied.get(owner, Applied(0))
        if found.needs > len(scripts):
            raise StateError(
                f"{place} was changed by a newer release of Quintet: the tables of `{owner}` are at migration "
                f"{found.scripts}, and this release knows {len(scripts)}. Install that release again, or restore a "
                "backup that was made before the update."
            )
    left = {owner: scripts[applied.get(owner, Applied(0)).scripts :] for owner, scripts in migrations.items()}
    return {owner: scripts for owner, scripts in left.items() if scripts}


def needs_of(scripts: Sequence[AnyScript]) -> int:
    """Return how many of the scripts a release must know: up to the last one that breaks others."""
    return max((number for number, script in enumerate(scripts, 1) if as_script(script).is_breaking), default=0)
