"""The current features: apply the change log as it arrives, and read a client's values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from quintet.change_log.change import Change, Position
from quintet.change_log.lake import read_history
from quintet.change_log.log import Epoch, Store
from quintet.lending.book import apply_changes
from quintet.lending.contract import LOAN, USER
from quintet.lending.feature import Feature, Value
from quintet.lending.feature_registry import values, version_of
from quintet.state.features import FeatureStore

EPOCH, POSITION, APPLIED_LSN, VERSION, COMMITTED_AT = "epoch", "position", "applied_lsn", "version", "committed_at"
"""Facts of the file: epoch, place in the log, LSN of whole transactions, version of the features, last commit time."""

COVERED_FROM = "covered_from"
"""Fact of the file: the first day whose history the log covers, ISO."""

_ZONES = timedelta(days=1)  # the lender's day may be the one before UTC's


@dataclass(frozen=True)
class ClientFeatures:
    """The features of a client at the end of `as_of`, from the log applied up to `applied_lsn`.

    is_known: whether "user" has the client. committed_at: commit time of the last applied transaction, ISO.
    """

    client_id: int
    as_of: date
    values: dict[str, Value]
    is_known: bool
    applied_lsn: int
    version: str
    committed_at: str | None


@dataclass(frozen=True)
class AtApplication:
    """The features of a client at an application.

    is_covered: whether the application's commit is applied; if not, values are None. is_known: whether "user" has the
    client.
    """

    is_covered: bool
    is_known: bool
    applied_lsn: int
    values: dict[str, Value] | None
    version: str | None


class OnlineFeatures:
    """The features `known` of all clients, in a file."""

    def __init__(self, store: FeatureStore, known: Sequence[Feature]) -> None:
        self.store = store
        self._known = tuple(known)
        self._version = version_of(self._known)

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

    def apply(self, changes: Iterable[Change], end: Position, applied_lsn: int | None) -> None:
        """Apply changes up to `end` as one transaction, and skip changes that are applied already.

        applied_lsn: the LSN up to which whole transactions are applied then; None inside a transaction.
        """
        found = self.store.fact(POSITION)
        begin = Position.parse(found) if found else Position(0)
        if end <= begin:
            return
        new = [change for change in changes if change.position >= begin]
        with self.store.change() as draft:
            apply_changes(draft, self._known, new)
            draft.put_fact(POSITION, str(end))
            if applied_lsn is not None:
                draft.put_fact(APPLIED_LSN, str(applied_lsn))
            if new:
                draft.put_fact(COMMITTED_AT, new[-1].committed_at)

    def catch_up(self, log: Store, epoch: Epoch, report: Callable[[int], None] = lambda _: None) -> Position:
        """Catch up with lake and log, from the start if the file is empty; return the place reached.

        report: called with the number of changes applied so far.
        """
        position, applied = self.position(epoch.name) or self.begin(epoch), 0
        for changes, end in read_history(log, epoch, position):
            self.apply(changes, end, end.lsn if end.sequence == 0 else None)
            position, applied = end, applied + len(changes)
            report(applied)
        return position

    def features_of(self, client_id: int, as_of: date) -> ClientFeatures | None:
        """Return the features of a client; None if neither "user" nor a loan names it."""
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
        )

    def features_at(self, client_id: int, application_id: int, commit_lsn: int | None, as_of: date) -> AtApplication:
        """Return the features of a client for an application, in one consistent read.

        They cover the application once its own row, or the log up to `commit_lsn`, is applied.
        """
        found = self.store.glance(
            str(client_id), (APPLIED_LSN, VERSION), ((LOAN, str(application_id)), (USER, str(client_id)))
        )
        applied_lsn = int(found.facts[0] or 0)
        has_application, is_known = found.has_rows
        if not (has_application or (commit_lsn is not None and applied_lsn >= commit_lsn)):
            return AtApplication(False, False, applied_lsn, None, None)
        known = values(self._known, json.loads(found.states or "{}"), as_of) if is_known else None
        return AtApplication(True, is_known, applied_lsn, known, found.facts[1])


def _first_day(epoch: Epoch) -> date:
    if epoch.last_day is not None:
        return date.fromisoformat(epoch.last_day)
    return date.fromisoformat(epoch.completed_at[:10]) - _ZONES
