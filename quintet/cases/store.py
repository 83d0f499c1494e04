"""Read and write cases in the state store: with `tables.py`, all SQL of cases.

`cases` has the current state of each case; `case_events` every change, append-only, which a run ingests.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2s
from typing import Any

from quintet.cases.kind import Subject
from quintet.state.outbox import at_text
from quintet.state.store import Connection, StateStore

OPEN, ASSIGNED, SNOOZED, DECIDED = "open", "assigned", "snoozed", "decided"
STATES = (OPEN, ASSIGNED, SNOOZED, DECIDED)

WITHDRAWN = "withdrawn"
"""The verdict of a case that was closed because its subject is gone or needs nobody any more."""


@dataclass(frozen=True)
class Case:
    """A case as it is now. Times are UTC. version: the number of changes, the first of which opened it."""

    case_id: str
    domain: str
    kind: str
    subject_id: str
    group_id: str | None
    person_kind: str
    person_id: str | None
    title: str
    why: str
    score: float | None
    priority: float
    origin: str
    share: float
    opened_at: dt.datetime
    state: str
    owner: str | None
    snoozed_until: dt.datetime | None
    verdict: str | None
    reason: str | None
    version: int
    changed_at: dt.datetime
    changed_by: str

    @property
    def is_decided(self) -> bool:
        """Whether it has a verdict."""
        return self.state == DECIDED

    def is_waiting(self, now: dt.datetime) -> bool:
        """Return whether it waits for a person now: a snoozed one does once its time is over."""
        return self.state in (OPEN, ASSIGNED) or (self.snoozed_until is not None and self.snoozed_until <= now)


@dataclass(frozen=True)
class Event:
    """A change of a case. at: UTC."""

    action: str
    at: dt.datetime
    by: str
    version: int
    state: str
    owner: str | None
    verdict: str | None
    reason: str | None
    note: str | None
    snoozed_until: dt.datetime | None


@dataclass(frozen=True)
class CaseFilter:
    """Which cases: of these kinds, waiting or in this state, of this owner ("" for nobody), opened in this time.

    after: the priority and id of the case to continue after.
    """

    kinds: Collection[tuple[str, str]]
    state: str = "waiting"
    owner: str | None = None
    group_id: str | None = None
    opened_from: dt.datetime | None = None
    opened_before: dt.datetime | None = None
    least_priority: float | None = None
    after: tuple[float, str] | None = None


_TIMES = frozenset({"opened_at", "snoozed_until", "changed_at"})
_COLUMNS = tuple(field.name for field in fields(Case))
_EVENT_COLUMNS = tuple(name for name in _COLUMNS if name != "why")
_WAITING = "(state in ('open', 'assigned') or (state = 'snoozed' and snoozed_until <= ?))"
_AT_ONCE = 500


def case_id_of(domain: str, kind: str, subject_id: str) -> str:
    """Return the id of the case about a subject: equal whenever and wherever it is opened."""
    return blake2s("\0".join((domain, kind, subject_id)).encode(), digest_size=8).hexdigest()


def find(connection: Connection, case_id: str) -> Case | None:
    """Return a case; None if there is none."""
    row = connection.execute(f"select {', '.join(_COLUMNS)} from cases where case_id = ?", (case_id,)).fetchone()
    return None if row is None else _case(row)


def listed(store: StateStore, chosen: CaseFilter, now: dt.datetime, limit: int) -> list[Case]:
    """Return the cases of a filter, the largest priority first."""
    where, values = _where(chosen, now)
    if chosen.after is not None:
        where += " and (priority < ? or (priority = ? and case_id > ?))"
        values += [chosen.after[0], *chosen.after]
    rows = store.read().execute(
        f"select {', '.join(_COLUMNS)} from cases where {where} order by priority desc, case_id limit ?",
        (*values, limit),
    )
    return [_case(row) for row in rows]


def count(store: StateStore, chosen: CaseFilter, now: dt.datetime) -> dict[tuple[str, str], int]:
    """Return the number of cases of a filter by kind."""
    where, values = _where(chosen, now)
    rows = store.read().execute(
        f"select domain, kind, count(*) as cases from cases where {where} group by domain, kind", values
    )
    return {(row["domain"], row["kind"]): int(row["cases"]) for row in rows}


def count_up_to(store: StateStore, chosen: CaseFilter, now: dt.datetime, most: int) -> int:
    """Return the number of cases of a filter, counted up to `most`."""
    where, values = _where(chosen, now)
    (number,) = (
        store.read()
        .execute(f"select count(*) from (select 1 from cases where {where} limit ?) as counted", (*values, most))
        .fetchone()
    )
    return int(number)


def owners(store: StateStore) -> list[str]:
    """Return who owns cases, by name."""
    rows = store.read().execute("select distinct owner from cases where owner is not null order by owner")
    return [row["owner"] for row in rows]


def history(store: StateStore, case_id: str) -> list[Event]:
    """Return the changes of a case, the first one first."""
    rows = store.read().execute("select * from case_events where case_id = ? order by event_id", (case_id,))
    return [
        Event(
            row["action"],
            dt.datetime.fromisoformat(row["changed_at"]),
            row["changed_by"],
            row["version"],
            row["state"],
            row["owner"],
            row["verdict"],
            row["reason"],
            row["note"],
            None if row["snoozed_until"] is None else dt.datetime.fromisoformat(row["snoozed_until"]),
        )
        for row in rows
    ]


def verdicts(store: StateStore) -> Iterator[tuple[tuple[str, str], str, dt.datetime]]:
    """Yield every verdict: the kind of its case, the case, and when it was given."""
    for row in store.read().execute(
        "select domain, kind, case_id, changed_at from case_events where action = 'decided'"
    ):
        yield (row["domain"], row["kind"]), row["case_id"], dt.datetime.fromisoformat(row["changed_at"])


def has_group(store: StateStore, domain: str, kind: str, group_id: str) -> bool:
    """Return whether a case of this group was ever opened."""
    found = store.read().execute(
        "select 1 from cases where domain = ? and kind = ? and group_id = ? limit 1", (domain, kind, group_id)
    )
    return found.fetchone() is not None


def all_of_kind(store: StateStore, domain: str, kind: str) -> dict[str, Case]:
    """Return every case of a kind by its subject."""
    rows = store.read().execute(
        f"select {', '.join(_COLUMNS)} from cases where domain = ? and kind = ?", (domain, kind)
    )
    return {row["subject_id"]: _case(row) for row in rows}


def of_subjects(store: StateStore, domain: str, kind: str, subject_ids: Sequence[str]) -> dict[str, Case]:
    """Return the cases about some subjects of a kind, by subject."""
    found: dict[str, Case] = {}
    for start in range(0, len(subject_ids), _AT_ONCE):
        part = subject_ids[start : start + _AT_ONCE]
        rows = store.read().execute(
            f"select {', '.join(_COLUMNS)} from cases where domain = ? and kind = ? and subject_id in ({_marks(part)})",
            (domain, kind, *part),
        )
        found |= {row["subject_id"]: _case(row) for row in rows}
    return found


def position(store: StateStore, domain: str, kind: str) -> int:
    """Return up to where the records of the service have cases; 0 at first."""
    found = store.read().execute("select position from case_positions where domain = ? and kind = ?", (domain, kind))
    row = found.fetchone()
    return 0 if row is None else int(row["position"])


def set_position(store: StateStore, domain: str, kind: str, to: int) -> None:
    """Store up to where the records of the service have cases."""
    with store.write() as connection:
        connection.execute(
            "insert into case_positions (domain, kind, position) values (?, ?, ?) "
            "on conflict (domain, kind) do update set position = excluded.position",
            (domain, kind, to),
        )


def insert(
    connection: Connection,
    kind: tuple[str, str],
    person_kind: str,
    subjects: Iterable[Subject],
    at: dt.datetime,
) -> int:
    """Open a case about each subject that has none; return how many."""
    opened = 0
    for one in subjects:
        case = Case(
            case_id_of(*kind, one.subject_id),
            *kind,
            one.subject_id,
            one.group_id,
            person_kind,
            one.person_id,
            one.title,
            one.why,
            one.score,
            one.priority,
            one.origin,
            one.share,
            at,
            OPEN,
            None,
            None,
            None,
            None,
            1,
            at,
            one.origin,
        )
        written = connection.execute(
            f"insert into cases ({', '.join(_COLUMNS)}) values ({_marks(_COLUMNS)}) on conflict do nothing",
            _values(case, _COLUMNS),
        )
        if written.rowcount == 1:
            opened += 1
            _append(connection, case, "opened")
    return opened


def describe(connection: Connection, case: Case, subject: Subject) -> None:
    """Bring what an open case says about its subject up to date; no change of the case."""
    connection.execute(
        "update cases set title = ?, why = ?, score = ?, priority = ?, group_id = ? where case_id = ?",
        (subject.title, subject.why, subject.score, subject.priority, subject.group_id, case.case_id),
    )


def write(
    connection: Connection, case: Case, action: str, note: str | None = None, request_key: str | None = None
) -> bool:
    """Write a changed case over its version before, with the event; return False if another change was first."""
    changed = connection.execute(
        "update cases set state = ?, owner = ?, snoozed_until = ?, verdict = ?, reason = ?, version = ?, "
        "changed_at = ?, changed_by = ? where case_id = ? and version = ?",
        (
            *_values(case, ("state", "owner", "snoozed_until", "verdict", "reason", "version")),
            *_values(case, ("changed_at", "changed_by", "case_id")),
            case.version - 1,
        ),
    )
    if changed.rowcount != 1:
        return False
    _append(connection, case, action, note, request_key)
    return True


def event_of_request(connection: Connection, case_id: str, request_key: str) -> Mapping[str, Any] | None:
    """Return the change that a request with this key made; None if it made none."""
    row = connection.execute(
        "select * from case_events where case_id = ? and request_key = ?", (case_id, request_key)
    ).fetchone()
    return None if row is None else dict(row)


def of_group(store: StateStore, domain: str, kind: str, group_id: str, limit: int) -> list[Case]:
    """Return the cases of a group, the undecided first, then by priority."""
    rows = store.read().execute(
        f"select {', '.join(_COLUMNS)} from cases where domain = ? and kind = ? and group_id = ? "
        "order by case when state = 'decided' then 1 else 0 end, priority desc, case_id limit ?",
        (domain, kind, group_id, limit),
    )
    return [_case(row) for row in rows]


def erase_person(connection: Connection, person_kind: str, person_id: str, pseudonym: str, at: dt.datetime) -> int:
    """Close the cases about a person under a pseudonym, without what was written about it; return how many."""
    rows = connection.execute(
        f"select {', '.join(_COLUMNS)} from cases where person_kind = ? and person_id = ?", (person_kind, person_id)
    ).fetchall()
    for place, row in enumerate(rows):
        case = _case(row)
        subject_id = pseudonym if case.subject_id == person_id else f"{pseudonym}-{place}"
        erased = Case(
            **vars(case)
            | {
                "case_id": case_id_of(case.domain, case.kind, subject_id),
                "subject_id": subject_id,
                "group_id": None,
                "person_id": pseudonym,
                "title": "Erased",
                "why": "",
                "score": None,
                "state": DECIDED,
                "snoozed_until": None,
                "verdict": WITHDRAWN,
                "reason": f"the data of this {person_kind} was erased",
                "version": case.version + 1,
                "changed_at": at,
                "changed_by": "forget",
            }
        )
        connection.execute("delete from case_events where case_id = ?", (case.case_id,))
        connection.execute("delete from cases where case_id in (?, ?)", (case.case_id, erased.case_id))
        connection.execute(
            f"insert into cases ({', '.join(_COLUMNS)}) values ({_marks(_COLUMNS)})", _values(erased, _COLUMNS)
        )
        _append(connection, erased, "erased")
    for table in ("cases", "case_events"):  # a cluster has the id of one of its members
        connection.execute(f"update {table} set group_id = ? where group_id = ?", (pseudonym, person_id))
    return len(rows)


def _append(
    connection: Connection, case: Case, action: str, note: str | None = None, request_key: str | None = None
) -> None:
    connection.execute(
        f"insert into case_events ({', '.join(_EVENT_COLUMNS)}, action, note, request_key) "
        f"values ({_marks(_EVENT_COLUMNS)}, ?, ?, ?)",
        (*_values(case, _EVENT_COLUMNS), action, note, request_key),
    )


def _where(chosen: CaseFilter, now: dt.datetime) -> tuple[str, list[Any]]:
    kinds = list(chosen.kinds)
    if not kinds:
        return "1 = 0", []
    parts = [f"({' or '.join(['(domain = ? and kind = ?)'] * len(kinds))})"]
    values: list[Any] = [text for kind in kinds for text in kind]
    if chosen.state == "waiting":
        parts.append(_WAITING)
        values.append(at_text(now))
    elif chosen.state:
        parts.append("state = ?")
        values.append(chosen.state)
    if chosen.owner is not None:
        parts.append("coalesce(owner, '') = ?")
        values.append(chosen.owner)
    for condition, value in (
        ("group_id = ?", chosen.group_id),
        ("opened_at >= ?", chosen.opened_from and at_text(chosen.opened_from)),
        ("opened_at < ?", chosen.opened_before and at_text(chosen.opened_before)),
        ("priority >= ?", chosen.least_priority),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    return " and ".join(parts), values


def _marks(columns: Sequence[str]) -> str:
    return ", ".join("?" * len(columns))


def _values(case: Case, columns: Sequence[str]) -> tuple[Any, ...]:
    found = ((name, getattr(case, name)) for name in columns)
    return tuple(at_text(value) if name in _TIMES and value is not None else value for name, value in found)


def _case(row: Any) -> Case:
    values: dict[str, Any] = {
        name: dt.datetime.fromisoformat(row[name]) if name in _TIMES and row[name] is not None else row[name]
        for name in _COLUMNS
    }
    return Case(**values)
