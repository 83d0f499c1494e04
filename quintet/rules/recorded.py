"""Rules in the warehouse: what a build decides by, from the tables that a run ingests."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from pathlib import Path

import duckdb

from quintet.rules.evaluate import Evaluator
from quintet.rules.figures import RuleGrammar
from quintet.rules.rule_set import RuleSet
from quintet.rules.store import Row, RuleChange, RulesNow, count_changes, lists_of
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

_ROWS_AT_ONCE = 100_000


def recorded_evaluator(connection: duckdb.DuckDBPyConnection, grammar: RuleGrammar) -> Evaluator | None:
    """Return the active rules of a business with their lists; None if there are none.

    connection: to the warehouse. Raises FormError if the active version does not fit the grammar any
    more.
    """
    active = recorded_now(connection, grammar.domain).active
    if active is None:
        return None
    rules = RuleSet.from_text(active.content, grammar)
    rows = {name: _rows(connection.cursor(), grammar.domain, name) for name in rules.lists}
    return Evaluator(rules, grammar, lists_of(rules, rows))


def recorded_now(connection: duckdb.DuckDBPyConnection, domain: str) -> RulesNow:
    """Return the active version and the one in shadow; neither in a warehouse of a release without rules."""
    try:
        rows = connection.execute(
            "select domain, action, version, content, changed_at, changed_by, note from ops.rule_changes "
            "where domain = ? order by change_id",
            [domain],
        ).fetchall()
    except duckdb.CatalogException:
        return RulesNow(None, None)
    return RulesNow.of(
        RuleChange(of, action, version, content, at.replace(tzinfo=dt.UTC), by, note)
        for of, action, version, content, at, by, note in rows
    )


def _rows(connection: duckdb.DuckDBPyConnection, domain: str, name: str) -> Iterator[Row]:
    found = connection.execute(
        "select entry, is_member, epoch(expires_at) from ops.rule_list_entries where domain = ? and list = ? "
        "order by entry_id",
        [domain, name],
    )
    while rows := found.fetchmany(_ROWS_AT_ONCE):
        for entry, is_member, expires_s in rows:
            yield entry, is_member, math.inf if expires_s is None else expires_s


def count_new_changes(store: StateStore, serving: Path) -> int:
    """Return how many changes of rules and lists the current snapshot does not have; 0 if there is no snapshot."""
    try:
        with open_snapshot(current_snapshot(serving)) as snapshot:
            ((known,),) = snapshot.execute(
                "select (select count(*) from marts.ops_rule_changes) "
                "+ (select count(*) from marts.ops_rule_list_entries)"
            ).fetchall()
    except NoSnapshotError:
        return 0
    except duckdb.CatalogException:  # a snapshot of a release without rules
        known = 0
    return max(count_changes(store) - int(known), 0)
