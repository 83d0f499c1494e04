"""The state of each domain's published tables, which every snapshot holds as `marts.ops_domains`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

TABLE = "marts.ops_domains"

Status = Literal["current", "building", "old", "missing"]


@dataclass(frozen=True)
class DomainBuild:
    """A domain's tables in the warehouse, as a publication finds them.

    tables: its published tables, as `schema.table`. keeping: those of them that lose most rows only by accident.
    datasets: its inboxes. built_at: when its last complete build ended, UTC without zone; None if there was none.
    problem: why the tables must not be published; empty if they are complete. is_building: whether another run is at
    work on them.
    """

    name: str
    tables: frozenset[str]
    keeping: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    built_at: dt.datetime | None = None
    problem: str = ""
    is_building: bool = False


@dataclass(frozen=True)
class DomainState:
    """The state of a domain in a snapshot.

    status: `current`; `building` and `old` if the tables are those of an earlier snapshot, because a run is building
    them or their build failed; `missing` if no build has succeeded yet. built_at: when the tables were built, UTC
    without zone. problem: why they are not current, and what to do.
    """

    domain: str
    status: Status
    built_at: dt.datetime | None
    problem: str

    @property
    def has_failed(self) -> bool:
        """Whether the last build failed or lost rows, or was never finished."""
        return self.status in ("old", "missing") and bool(self.problem)

    @property
    def is_current(self) -> bool:
        """Whether the tables are those of the last build."""
        return self.status == "current"

    def sentence(self) -> str:
        """Return the state in words, such as `insurance is old, built 2024-06-01 12:00 UTC: …`."""
        built = f", built {self.built_at:%Y-%m-%d %H:%M} UTC" if self.built_at is not None else ""
        words = {
            "current": "up to date",
            "building": "being built, and shown as it was before",
            "old": "old",
            "missing": "not built yet",
        }
        return f"{self.domain} is {words[self.status]}{built}" + (f": {self.problem}" if self.problem else "")


def write_states(connection: duckdb.DuckDBPyConnection, catalog: str, states: Sequence[DomainState]) -> None:
    """Create the table of the states in a catalog."""
    connection.execute(
        f"create table {catalog}.{TABLE} "
        "(domain varchar not null, status varchar not null, built_at timestamp, problem varchar not null)"
    )
    for state in states:
        connection.execute(
            f"insert into {catalog}.{TABLE} values (?, ?, ?, ?)",
            [state.domain, state.status, state.built_at, state.problem],
        )


def domain_states(connection: duckdb.DuckDBPyConnection, catalog: str | None = None) -> dict[str, DomainState]:
    """Return the state of each domain in a snapshot; empty for a snapshot of an earlier release.

    catalog: the snapshot's catalog if it is attached; None if it is the connection's own database.
    """
    schema, name = TABLE.split(".")
    ((is_there,),) = connection.execute(
        "select count(*) > 0 from duckdb_tables() where schema_name = ? and table_name = ? "
        "and database_name = coalesce(?, current_database())",
        [schema, name, catalog],
    ).fetchall()
    if not is_there:
        return {}
    table = f"{catalog}.{TABLE}" if catalog else TABLE
    rows = connection.execute(f"select domain, status, built_at, problem from {table}").fetchall()
    return {domain: DomainState(domain, *values) for domain, *values in rows}
