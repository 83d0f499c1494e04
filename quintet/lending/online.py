"""The features now: applying the log as it comes, and asking for a client's values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from quintet.change_log.change import Change, Position
from quintet.change_log.lake import read_history
from quintet.change_log.log import Epoch, Store
from quintet.lending.book import apply_changes
from quintet.lending.contract import LOAN, USER
from quintet.lending.feature import Feature, Value
from quintet.lending.feature_registry import values, version_of
from quintet.state.features import FeatureStore

EPOCH, POSITION, APPLIED_LSN, VERSION, COMMITTED_AT = "epoch", "position", "applied_lsn", "version", "committed_at"
"""Facts of the file: the epoch it is of, how far its log is applied, whole transactions only, by which features."""


@dataclass(frozen=True)
class ClientFeatures:
    """The features of a client at the end of `as_of`, from what was applied up to `applied_lsn`.

    is_known: whether "user" has the client. committed_at: when the last applied transaction was committed, ISO.
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
    """What is known of a client at an application.

    is_covered: whether the application's commit is applied; nothing else is told before. is_known: whether "user" has
    the client.
    """

    is_covered: bool
    is_known: bool
    applied_lsn: int
    values: dict[str, Value] | None
    version: str | None


class OnlineFeatures:
    """The features of `known`, kept in a file."""

    def __init__(self, store: FeatureStore, known: Sequence[Feature]) -> None:
        self.store = store
        self._known = tuple(known)
        self._version = version_of(self._known)

    def position(self, epoch: str) -> Position | None:
        """The place in the epoch's log from which changes are new; None where the file has to be built anew."""
        if self.store.fact(EPOCH) != epoch or self.store.fact(VERSION) != self._version:
            return None
        found = self.store.fact(POSITION)
        return None if found is None else Position.parse(found)

    def begin(self, epoch: Epoch) -> Position:
        """Empty the file and begin at the start of an epoch."""
        self.store.clear()
        with self.store.change() as draft:
            draft.put_fact(EPOCH, epoch.name)
            draft.put_fact(VERSION, self._version)
            draft.put_fact(POSITION, str(epoch.start))
        return epoch.start

    def apply(self, changes: Iterable[Change], end: Position, applied_lsn: int | None) -> None:
        """Apply changes that follow what is applied, up to `end`, as one transaction; repeats are left out.

        applied_lsn: up to where whole transactions are applied then; None while one is not complete.
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

    def replay(self, log: Store, epoch: Epoch, report: Callable[[int], None] = lambda _: None) -> Position:
        """Catch up with lake and log, from the start where there is nothing yet; how far they reach.

        report: called with the count of the changes that were applied so far.
        """
        position, applied = self.position(epoch.name) or self.begin(epoch), 0
        for changes, end in read_history(log, epoch, position):
            self.apply(changes, end, end.lsn if end.sequence == 0 else None)
            position, applied = end, applied + len(changes)
            report(applied)
        return position

    def features_of(self, client_id: int, as_of: date) -> ClientFeatures | None:
        """The features of a client; None where neither "user" nor a loan names it."""
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
        """The features of a client as an application needs them, all of one moment.

        They cover the application once its own row is applied, or everything up to `commit_lsn` is.
        """
        found = self.store.glance(
            str(client_id), (APPLIED_LSN, VERSION), ((LOAN, str(application_id)), (USER, str(client_id)))
        )
        applied_lsn = int(found.facts[0] or 0)
        has_application, is_known = found.has_rows
        if not (has_application or (commit_lsn is not None and applied_lsn >= commit_lsn)):
            return AtApplication(False, False, applied_lsn, None, None)
        told = values(self._known, json.loads(found.states or "{}"), as_of) if is_known else None
        return AtApplication(True, is_known, applied_lsn, told, found.facts[1])
