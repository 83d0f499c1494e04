"""The current features: apply the change log as it arrives, and read a client's values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from quintet.change_log.change import Change, Position
from quintet.change_log.completeness import (
    Incomplete,
    incomplete_from_text,
    incomplete_to_text,
    read_incomplete,
)
from quintet.change_log.lake import read_history
from quintet.change_log.log import Epoch, ObjectStore
from quintet.lending.book import ANYBODY, MARK, QUARANTINED, apply_changes
from quintet.lending.contract import LOAN, SCHEMA, USER
from quintet.lending.feature import Feature, Value
from quintet.lending.feature_registry import values, version_of
from quintet.replicated import COMMITTED_AT, EPOCH, QuarantinedRow
from quintet.state.features import FeatureStore

POSITION, APPLIED_LSN, VERSION = "position", "applied_lsn", "version"
"""Facts of the file: place in the log, LSN of whole transactions, version of the features."""

INCOMPLETE = "incomplete"
"""The fact with the incomplete tables, JSON."""

_ROWS_SHOWN = 5

COVERED_FROM = "covered_from"
"""Fact of the file: the first day whose history the log covers, ISO."""

_ZONES = timedelta(days=1)  # the lender's day may be the one before UTC's


@dataclass(frozen=True)
class ClientFeatures:
    """The features of a client at the end of `as_of`, from the log applied up to `applied_lsn`.

    is_known: whether "user" has the client. committed_at: commit time of the last applied transaction, ISO.
    incomplete: by table, why its rows are not complete for this client; empty if they are.
    """

    client_id: int
    as_of: date
    values: dict[str, Value]
    is_known: bool
    applied_lsn: int
    version: str
    committed_at: str | None
    incomplete: Mapping[str, str]


@dataclass(frozen=True)
class AtApplication:
    """The features of a client at an application.

    is_covered: whether the application's commit is applied; if not, values are None. is_known: whether "user" has the
    client. incomplete: by table, why its rows are not complete up to the application's commit; empty if they are.
    """

    is_covered: bool
    is_known: bool
    applied_lsn: int
    values: dict[str, Value] | None
    version: str | None
    incomplete: Mapping[str, str] = field(default_factory=dict)


class OnlineFeatures:
    """The features `known` of all clients, in a file."""

    def __init__(self, store: FeatureStore, known: Sequence[Feature]) -> None:
        self.store = store
        self._known = tuple(known)
        self._version = version_of(self._known)
        self._incomplete: str | None = None

    def position(self, epoch: str) -> Position | None:
        """Return the place in the epoch's log from which changes are new; None if the file has to be rebuilt."""
        if self.store.fact(EPOCH) != epoch or self.store.fact(VERSION) != self._version:
            return None
        if self.store.fact(COVERED_FROM) is None:
            return None
        found = self.store.fact(POSITION)
        return None if found is None else Position.parse(found)

    def begin(self, epoch: Epoch) -> Position:
        """Empty the file and restart at the start of an epoch."""
        self.store.clear()
        self._incomplete = None
        with self.store.change() as draft:
            draft.put_fact(EPOCH, epoch.name)
            draft.put_fact(VERSION, self._version)
            draft.put_fact(COVERED_FROM, _first_day(epoch).isoformat())
            draft.put_fact(POSITION, str(epoch.start))
        return epoch.start

    def covered_from(self) -> date | None:
        """Return the first day whose history the features have; None before a stream has begun.

        A snapshot has the loan book as of its day: what changed before is not in it.
        """
        found = self.store.fact(COVERED_FROM)
        return None if found is None else date.fromisoformat(found)

    def apply(
        self,
        changes: Iterable[Change],
        end: Position,
        applied_lsn: int | None,
        incomplete: Mapping[str, Incomplete] | None = None,
    ) -> list[QuarantinedRow]:
        """Apply changes up to `end` as one transaction, skip changes that are applied already; return quarantined rows.

        applied_lsn: the LSN up to which whole transactions are applied then; None inside a transaction. incomplete: the
        incomplete tables, None for those recorded before.
        """
        found = self.store.fact(POSITION)
        begin = Position.parse(found) if found else Position(0)
        if end <= begin:
            return []
        new = [change for change in changes if change.position >= begin]
        text = self._incomplete if incomplete is None else incomplete_to_text(incomplete)
        with self.store.change() as draft:
            quarantined = apply_changes(draft, self._known, new)
            draft.put_fact(POSITION, str(end))
            if text != self._incomplete:
                draft.put_fact(INCOMPLETE, text)
            if applied_lsn is not None:
                draft.put_fact(APPLIED_LSN, str(applied_lsn))
            if new:
                draft.put_fact(COMMITTED_AT, new[-1].committed_at)
        self._incomplete = text
        return quarantined

    def mark_incomplete(self, incomplete: Mapping[str, Incomplete]) -> None:
        """Record the incomplete tables."""
        self._incomplete = incomplete_to_text(incomplete)
        self.store.keep(INCOMPLETE, self._incomplete)

    def incomplete(self) -> list[str]:
        """Return a clause for each incomplete table, and one for the quarantined rows, if any."""
        rows = self.store.keys(QUARANTINED)
        found = [str(one) for one in incomplete_from_text(self.store.fact(INCOMPLETE)).values()]
        if rows:
            shown = ", ".join(rows[:_ROWS_SHOWN]) + (" and more" if len(rows) > _ROWS_SHOWN else "")
            found.append(f"{len(rows):,} rows have values that cannot be read and are quarantined: {shown}")
        return found

    def catch_up(self, log: ObjectStore, epoch: Epoch, report: Callable[[int], None] = lambda _: None) -> Position:
        """Catch up with lake and log, from the start if the file is empty; return the place reached.

        report: called with the number of changes applied so far.
        """
        position, applied = self.position(epoch.name) or self.begin(epoch), 0
        noticed = incomplete_from_text(self.store.fact(INCOMPLETE))  # maybe not in the log yet
        self.mark_incomplete(noticed | read_incomplete(log, epoch.name))
        for changes, end in read_history(log, epoch, position):
            self.apply(changes, end, end.lsn if end.sequence == 0 else None)
            position, applied = end, applied + len(changes)
            report(applied)
        return position

    def features_of(self, client_id: int, as_of: date) -> ClientFeatures | None:
        """Return the features of a client; None if neither "user" nor a loan names it."""
        marks = self.store.children(MARK, (str(client_id), ANYBODY))
        states, facts = self.store.states(str(client_id))
        if states is None:
            return None
        return ClientFeatures(
            client_id=client_id,
            as_of=as_of,
            values=values(self._known, states, as_of),
            is_known=self.store.row(USER, str(client_id)) is not None,
            applied_lsn=int(facts.get(APPLIED_LSN, 0)),
            version=facts[VERSION],
            committed_at=facts.get(COMMITTED_AT),
            incomplete=_reasons(facts.get(INCOMPLETE), marks, None),
        )

    def features_at(self, client_id: int, application_id: int, commit_lsn: int | None, as_of: date) -> AtApplication:
        """Return the features of a client for an application, in one consistent read.

        They cover the application once its own row, or the log up to `commit_lsn`, is applied.
        """
        found = self.store.glance(
            str(client_id),
            (APPLIED_LSN, VERSION, INCOMPLETE),
            ((LOAN, str(application_id)), (USER, str(client_id))),
            (MARK, str(client_id), ANYBODY),
        )
        applied_lsn = int(found.facts[0] or 0)
        has_application, is_known = found.has_rows
        incomplete = _reasons(found.facts[2], json.loads(found.children), commit_lsn)
        if not (has_application or (commit_lsn is not None and applied_lsn >= commit_lsn)):
            return AtApplication(False, False, applied_lsn, None, found.facts[1], incomplete)
        known = values(self._known, json.loads(found.states or "{}"), as_of) if is_known else None
        return AtApplication(True, is_known, applied_lsn, known, found.facts[1], incomplete)


def _reasons(fact: str | None, marks: Sequence[Mapping[str, str]], commit_lsn: int | None) -> dict[str, str]:
    """Return why tables are not complete up to a commit, by table; None for the commit is the end of the log."""
    reasons = {}
    for name, found in incomplete_from_text(fact).items():
        if commit_lsn is None or commit_lsn > found.since.lsn:
            reasons[name.removeprefix(f"{SCHEMA}.")] = str(found)
    for mark in marks:
        if commit_lsn is None or commit_lsn > Position.parse(mark["since"]).lsn:
            reasons.setdefault(
                mark["table"], f"row {mark['key']} of table {SCHEMA}.{mark['table']} is quarantined: {mark['reason']}"
            )
    return reasons


def _first_day(epoch: Epoch) -> date:
    if epoch.last_day is not None:
        return date.fromisoformat(epoch.last_day)
    return date.fromisoformat(epoch.completed_at[:10]) - _ZONES
