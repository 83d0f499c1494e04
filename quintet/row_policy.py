"""Row policies: how a business restricts its published tables to the part that a bound key may see."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import duckdb

from quintet.state.binding import Binding, UnusableBindingError
from quintet.warehouse.domain_states import TABLE as STATES

WHOLE = "whole"
"""The catalog of the whole snapshot in the queries of a policy."""


@dataclass(frozen=True)
class RowPolicy:
    """How a business restricts its tables to a kind of value that keys are bound to.

    kind: such as `agency`. type: of the values in DuckDB. domain: the business. scopes: what a bound key may have.
    pages: of the navigation, those that show the part; the first one is where a person starts.
    tables: by `schema.table`, the query that makes it. A query reads the whole tables as `whole.marts.…`, the tables
    before it by their own names, and the key's values as the column `value` of `bound.<kind>`. A table that is not
    named does not exist for a bound key.
    known: the column of the whole snapshot that has all values, as `schema.table.column`.
    """

    kind: str
    type: Literal["bigint", "varchar"]
    domain: str
    scopes: tuple[str, ...]
    pages: tuple[str, ...]
    tables: Mapping[str, str]
    known: str


def check_binding(binding: Binding, scopes: set[str], policies: Mapping[str, RowPolicy]) -> None:
    """Raise UnusableBindingError for a scope that shows more than the part, or a value of the wrong type."""
    allowed = {scope for kind in binding.kinds for scope in policies[kind].scopes}
    if wider := sorted(scopes - allowed):
        raise UnusableBindingError(
            f"a key bound to {binding} cannot have the scope {', '.join(wider)}, which is not split by "
            f"{' or '.join(sorted(binding.kinds))}; give it {' or '.join(sorted(allowed))}"
        )
    for kind, values in binding.parts:
        if policies[kind].type == "bigint":
            for value in values:
                if not (value.isascii() and value.isdigit() and int(value) < 2**63):
                    raise UnusableBindingError(f"{kind}: {value[:40]!r} is not a whole number; give ids")


def unknown_values(
    snapshot: duckdb.DuckDBPyConnection, binding: Binding, policies: Mapping[str, RowPolicy]
) -> dict[str, list[str]]:
    """Return the values of a binding that a snapshot does not have, by kind; all of them where nothing is built."""
    found = {}
    for kind, values in binding.parts:
        table, _, column = policies[kind].known.rpartition(".")
        known: set[str] = set()
        with suppress(duckdb.CatalogException):  # not built yet
            known = {value for (value,) in snapshot.execute(f"select {column}::varchar from {table}").fetchall()}
        if missing := [value for value in values if value not in known]:
            found[kind] = missing
    return found


def fill_part(connection: duckdb.DuckDBPyConnection, binding: Binding, policies: Mapping[str, RowPolicy]) -> None:
    """Create the tables that a bound key may see, from the snapshot that is attached as `WHOLE`.

    A table that the snapshot does not have yet is left out.
    """
    connection.execute("create schema marts")
    connection.execute("create schema bound")
    connection.execute("create table bound.domain (value varchar)")
    for kind, values in binding.parts:
        policy = policies[kind]
        connection.execute("insert into bound.domain values (?)", [policy.domain])
        own = f"select unnest($values)::{policy.type} as value"
        connection.execute(f"create table bound.{kind} as {own}", {"values": list(values)})
        for table, query in policy.tables.items():
            _create(connection, table, query)
    _create(connection, "marts.snapshot", f"from {WHOLE}.marts.snapshot")
    _create(connection, STATES, f"from {WHOLE}.{STATES} where domain in (from bound.domain)")


def _create(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> None:
    with suppress(duckdb.CatalogException):  # what it reads is not built yet
        connection.execute(f"create table {table} as {query}")
