"""Rules in the state store: every version with its author, the entries of lists, and which version is active.

Rows are only added: the last change of a business decides, and of an entry the last row.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from quintet.rules.figures import RuleGrammar
from quintet.rules.lists import EntryList, Key, key_of_entry
from quintet.rules.rule_set import RuleSet
from quintet.state.recorded import RecordedTable
from quintet.state.retention import Retention
from quintet.state.store import StateStore

OWNER = "rules"

MIGRATIONS = (
    """
    create table if not exists rule_changes (
        change_id integer primary key,
        domain text not null,
        action text not null check (action in ('activate', 'shadow', 'drop')),
        version text not null,
        content text not null,
        changed_at text not null,
        changed_by text not null,
        note text
    ) strict;
    create index if not exists rule_changes_by_domain on rule_changes (domain, change_id);
    create table if not exists rule_list_entries (
        entry_id integer primary key,
        domain text not null,
        list text not null,
        entry text not null,
        is_member integer not null,
        expires_at text,
        changed_at text not null,
        changed_by text not null,
        note text
    ) strict;
    create index if not exists rule_list_entries_by_list on rule_list_entries (domain, list, entry_id);
    """,
)
"""The scripts that create the tables below in the state store."""

RETENTION = (
    Retention("rule_changes", "Decisions name the reasons of former versions."),
    Retention("rule_list_entries", "The last row of each entry is used."),
)
"""How long the rows of these tables stay."""

RECORDED = (
    RecordedTable(
        "rule_changes",
        "ops",
        "Every version of the rules that was activated, run in shadow or dropped, and by whom.",
        {
            "change_id": "bigint",
            "domain": "varchar",
            "action": "varchar",
            "version": "varchar",
            "content": "varchar",
            "changed_at": "timestamp",
            "changed_by": "varchar",
            "note": "varchar",
        },
        optional=frozenset({"note"}),
    ),
    RecordedTable(
        "rule_list_entries",
        "ops",
        "Every entry that was added to a list of rules or removed from it; the last row of an entry is used.",
        {
            "entry_id": "bigint",
            "domain": "varchar",
            "list": "varchar",
            "entry": "varchar",
            "is_member": "boolean",
            "expires_at": "timestamp",
            "changed_at": "timestamp",
            "changed_by": "varchar",
            "note": "varchar",
        },
        optional=frozenset({"expires_at", "note"}),
    ),
)
"""A run ingests them, so that a build decides by the rules that the service uses."""

Action = Literal["activate", "shadow", "drop"]


@dataclass(frozen=True)
class RuleChange:
    """A change of the rules of a business. content: the text of the version. changed_at is UTC."""

    domain: str
    action: Action
    version: str
    content: str
    changed_at: dt.datetime
    changed_by: str
    note: str | None = None


@dataclass(frozen=True)
class RulesNow:
    """The rules of a business now. active, shadow: their last changes; None without one."""

    active: RuleChange | None
    shadow: RuleChange | None

    @classmethod
    def of(cls, changes: Iterable[RuleChange]) -> RulesNow:
        """Return what applies after the changes, the oldest first. Activating or dropping a version ends its shadow."""
        active = shadow = None
        for change in changes:
            if change.action == "shadow":
                shadow = change
                continue
            active = change if change.action == "activate" else active
            if shadow is not None and shadow.version == change.version:
                shadow = None
        return cls(active, shadow)


def record_change(store: StateStore, change: RuleChange) -> int:
    """Add a change; return its number."""
    with store.write() as connection:
        ((number,),) = connection.execute(
            "insert into rule_changes (domain, action, version, content, changed_at, changed_by, note) "
            "values (?, ?, ?, ?, ?, ?, ?) returning change_id",
            (
                change.domain,
                change.action,
                change.version,
                change.content,
                change.changed_at.astimezone(dt.UTC).isoformat(),
                change.changed_by,
                change.note,
            ),
        ).fetchall()
        return int(number)


def changes_of(store: StateStore, domain: str) -> list[RuleChange]:
    """Return every change of the rules of a business, the oldest first."""
    rows = store.read().execute("select * from rule_changes where domain = ? order by change_id", (domain,))
    return [
        RuleChange(
            row["domain"],
            row["action"],
            row["version"],
            row["content"],
            dt.datetime.fromisoformat(row["changed_at"]),
            row["changed_by"],
            row["note"],
        )
        for row in rows
    ]


def last_change(store: StateStore, domain: str) -> tuple[int, int]:
    """Return the numbers of the last change and of the last entry of a business, 0 without one."""
    connection = store.read()
    numbers = [
        connection.execute(query, (domain,)).fetchone()[0]
        for query in (
            "select coalesce(max(change_id), 0) from rule_changes where domain = ?",
            "select coalesce(max(entry_id), 0) from rule_list_entries where domain = ?",
        )
    ]
    return numbers[0], numbers[1]


def count_changes(store: StateStore) -> int:
    """Return the number of changes of rules and of list entries, of all businesses."""
    ((count,),) = store.read().execute(
        "select (select count(*) from rule_changes) + (select count(*) from rule_list_entries)"
    )
    return int(count)


def sentences_of(changes: Sequence[RuleChange], grammar: RuleGrammar) -> dict[str, str]:
    """Return the sentence of each reason that a version of the rules ever gave; one that is no longer active says so.

    changes: of a business, the oldest first.
    """
    now, found = RulesNow.of(changes).active, dict[str, str]()
    for change in [*(one for one in changes if one.action == "activate"), *([now] if now else [])]:
        try:
            sentences = RuleSet.from_text(change.content, grammar).sentences
        except ValueError:
            continue  # a version of another release: it does not decide either
        ended = "" if change is now else " This rule is no longer active."
        found |= {code: sentence + ended for code, sentence in sentences.items()}
    return found


@dataclass(frozen=True)
class EntryChange:
    """An entry that is added to a list, or removed from it. expires_at: None if it does not expire."""

    entry: str
    expires_at: dt.datetime | None = None
    is_member: bool = True


def change_entries(
    store: StateStore,
    domain: str,
    list_name: str,
    changes: Iterable[EntryChange],
    changed_at: dt.datetime,
    changed_by: str,
    note: str | None = None,
) -> int:
    """Add and remove entries in one transaction; return how many. The caller has checked that they fit the list."""
    at = changed_at.astimezone(dt.UTC).isoformat()
    with store.write() as connection:
        before = connection.execute("select coalesce(max(entry_id), 0) from rule_list_entries").fetchone()[0]
        connection.executemany(
            "insert into rule_list_entries (domain, list, entry, is_member, expires_at, changed_at, changed_by, note) "
            "values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    domain,
                    list_name,
                    one.entry.strip(),
                    int(one.is_member),
                    None if one.expires_at is None else one.expires_at.astimezone(dt.UTC).isoformat(),
                    at,
                    changed_by,
                    note,
                )
                for one in changes
            ),
        )
        after = connection.execute("select coalesce(max(entry_id), 0) from rule_list_entries").fetchone()[0]
        return int(after - before)


Row = tuple[str, bool, float]
"""An entry, whether it is in the list, and the Unix second at which it expires."""


def lists_of(
    rules: RuleSet, rows_of: Mapping[str, Iterable[Row]], known: Mapping[str, EntryList] = MappingProxyType({})
) -> dict[str, EntryList]:
    """Return the entries of each list of a rule set.

    rows_of: by list, in order; the last row of an entry is used. known: the lists before these rows.
    """
    return {
        name: _after(known[name] if name in known else EntryList(form.matches), rows_of.get(name, ()))
        for name, form in rules.lists.items()
    }


def _after(entries: EntryList, rows: Iterable[Row]) -> EntryList:
    found: dict[Key, float] | None = None
    for entry, is_member, expires in rows:
        found = dict(entries.expires) if found is None else found
        key = key_of_entry(entry, entries.matches)
        if is_member:
            found[key] = expires
        else:
            found.pop(key, None)
    return entries if found is None else EntryList.of_keys(entries.matches, found.items())


def stored_lists(
    store: StateStore,
    domain: str,
    rules: RuleSet,
    after: int = 0,
    known: Mapping[str, EntryList] = MappingProxyType({}),
) -> dict[str, EntryList]:
    """Return the entries of each list of a rule set in the state store.

    known: the lists up to the entry with the number `after`; only later ones are read.
    """
    connection = store.read()

    def rows(name: str) -> Iterator[Row]:
        found = connection.execute(
            "select entry, is_member, expires_at from rule_list_entries "
            "where domain = ? and list = ? and entry_id > ? order by entry_id",
            (domain, name, after if name in known else 0),
        )
        for entry, is_member, expires_at in found:
            yield entry, bool(is_member), _seconds(expires_at)

    return lists_of(rules, {name: rows(name) for name in rules.lists}, known)


def _seconds(expires_at: str | None) -> float:
    return math.inf if expires_at is None else dt.datetime.fromisoformat(expires_at).timestamp()


def entry_counts(store: StateStore, domain: str, at: dt.datetime) -> Mapping[str, int]:
    """Return how many entries each list of a business has that have not expired."""
    rows = store.read().execute(
        """
        select list, count(*) as entries
        from rule_list_entries
        join (
            select max(entry_id) as last_id from rule_list_entries where domain = ? group by list, entry
        ) as last on entry_id = last_id
        where is_member = 1 and (expires_at is null or expires_at > ?)
        group by list
        """,
        (domain, at.astimezone(dt.UTC).isoformat()),
    )
    return {row["list"]: row["entries"] for row in rows}


def last_entries(store: StateStore, domain: str, limit: int) -> Sequence[Mapping[str, Any]]:
    """Return the last changes of entries, the latest first."""
    rows = store.read().execute(
        "select * from rule_list_entries where domain = ? order by entry_id desc limit ?", (domain, limit)
    )
    return [dict(row) for row in rows]
