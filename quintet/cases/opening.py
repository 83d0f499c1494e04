"""Open the cases of what needs a person, and close those that need nobody any more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import duckdb

from quintet.cases import store as case_store
from quintet.cases.kind import BUILD, SAMPLE, CaseKind, Sources, Subject
from quintet.cases.store import DECIDED, OPEN, WITHDRAWN, Case
from quintet.settings import Settings
from quintet.state.store import StateStore

Item = TypeVar("Item")

_AT_ONCE = 500
"""Cases in one transaction: others wait for the write lock no longer than that takes."""


@dataclass(frozen=True)
class Opened:
    """How many cases were opened, opened again, and closed."""

    opened: int = 0
    reopened: int = 0
    closed: int = 0

    def __add__(self, other: Opened) -> Opened:
        """Return the sums."""
        return Opened(self.opened + other.opened, self.reopened + other.reopened, self.closed + other.closed)


def open_from_build(
    store: StateStore, kind: CaseKind, snapshot: duckdb.DuckDBPyConnection, settings: Settings, now: dt.datetime
) -> Opened:
    """Bring the cases of a kind up to date with a snapshot. Running it again changes nothing.

    An undecided case from a build whose subject no longer needs a person is closed, with the reason; it is opened again
    if the subject comes back. Decided cases stay. Raises duckdb.CatalogException if the domain was not built yet.
    """
    known = case_store.all_of_kind(store, *kind.key)  # first: what a person decides meanwhile is not changed
    found = kind.in_build(snapshot, _sources(store, kind, settings, now))
    existing = {str(one) for (one,) in snapshot.execute(kind.exists).fetchall()} if kind.exists else None
    done = _open(store, kind, found, known, now)
    flagged = {subject.subject_id for subject in found}
    gone = []
    for case in known.values():
        is_deleted = existing is not None and case.subject_id not in existing
        if case.subject_id in flagged or case.is_decided:
            continue
        if is_deleted and case.origin in (BUILD, SAMPLE):
            gone.append((case, f"the {kind.what} was deleted"))
        elif case.origin == BUILD:
            gone.append((case, "it is no longer flagged"))
    return done + Opened(closed=_close(store, gone, now))


def open_from_service(store: StateStore, kind: CaseKind, settings: Settings, now: dt.datetime) -> Opened:
    """Open cases of what the service recorded, and close those that are over. Running it again changes nothing."""
    before = case_store.position(store, *kind.key)
    found, position = kind.in_service(_sources(store, kind, settings, now, before))
    known = case_store.of_subjects(store, *kind.key, [one.subject_id for one in found])
    done = _open(store, kind, [one for one in found if not one.is_over], known, now)
    over = [known[one.subject_id] for one in found if one.is_over and one.subject_id in known]
    done += Opened(closed=_close(store, [(case, "it is over") for case in over if not case.is_decided], now))
    if position != before:  # last of all: what was interrupted is found again
        case_store.set_position(store, *kind.key, position)
    return done


def _sources(store: StateStore, kind: CaseKind, settings: Settings, now: dt.datetime, position: int = 0) -> Sources:
    return Sources(settings, store, now, partial(case_store.has_group, store, *kind.key), position)


def _parts(whole: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(whole), _AT_ONCE):
        yield whole[start : start + _AT_ONCE]


def _open(
    store: StateStore, kind: CaseKind, found: Sequence[Subject], known: Mapping[str, Case], now: dt.datetime
) -> Opened:
    new = [one for one in found if one.subject_id not in known]
    again = [
        one
        for one in found
        if one.subject_id in known and known[one.subject_id].verdict in {WITHDRAWN, *one.reopened_after}
    ]
    moved = [
        one
        for one in found
        if (case := known.get(one.subject_id)) is not None and not case.is_decided and _says_else(case, one)
    ]
    opened = reopened = 0
    for part in _parts(new):
        with store.write() as connection:
            opened += case_store.insert(connection, kind.key, kind.person_kind, part, now)
    for part in _parts(again):
        with store.write() as connection:
            for one in part:
                case = known[one.subject_id]
                changed = _changed(case, now, state=OPEN, owner=None, verdict=None, reason=None)
                if case_store.write(connection, changed, "reopened"):
                    case_store.describe(connection, case, one)
                    reopened += 1
    for part in _parts(moved):
        with store.write() as connection:
            for one in part:
                case_store.describe(connection, known[one.subject_id], one)
    return Opened(opened, reopened)


def _close(store: StateStore, gone: Sequence[tuple[Case, str]], now: dt.datetime) -> int:
    closed = 0
    for part in _parts(gone):
        with store.write() as connection:
            for case, reason in part:
                changed = _changed(case, now, state=DECIDED, verdict=WITHDRAWN, reason=reason, snoozed_until=None)
                closed += case_store.write(connection, changed, "withdrawn")
    return closed


def _says_else(case: Case, subject: Subject) -> bool:
    return (case.title, case.why, case.score, case.priority, case.group_id) != (
        subject.title,
        subject.why,
        subject.score,
        subject.priority,
        subject.group_id,
    )


def _changed(case: Case, now: dt.datetime, **changes: object) -> Case:
    return replace(
        case,
        version=case.version + 1,
        changed_at=now,
        changed_by="system",
        **changes,  # type: ignore[arg-type]  # fields of a case
    )
