"""Watch the publication and the tables, and quarantine tables whose changes may be missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import psycopg
import structlog

from quintet.change_log.change import Change, Position, TableName
from quintet.change_log.completeness import Incomplete
from quintet.change_log.log import Epoch, ObjectStore
from quintet.replicated import Applier
from quintet.replication import database
from quintet.replication.catalog import catalog_token, read_catalog
from quintet.replication.pgoutput import Relation
from quintet.replication.tables import (
    TableState,
    after_relation,
    is_quarantined,
    origin_of,
    quarantined,
    why_incomplete,
    write_table_state,
)

_LOG = structlog.get_logger()
ADVICE = "Find the cause; then start a new epoch with: python -m quintet.replication --new-snapshot"


class OtherBookError(Exception):
    """The tables were replaced with another dump's tables."""


class Guard:
    """Compares catalogs and announced columns with those of the epoch's start.

    Call `check` after changes have arrived and before they are applied. An altered publication or table keeps changes
    from being sent that are committed before those that arrive later, so the applied position never claims more than
    was sent. states: by table.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        publication: str,
        applier: Applier,
        log: ObjectStore,
        epoch: Epoch,
        states: Iterable[TableState],
    ) -> None:
        self._connection, self._publication, self._applier = connection, publication, applier
        self._log, self._epoch = log, epoch
        self.states: dict[TableName, TableState] = {state.name: state for state in states}
        self._token = ""
        self._recorded: set[str] = set()

    @property
    def incomplete(self) -> dict[str, Incomplete]:
        """The incomplete tables by `schema.table`."""
        return {str(name): one.incomplete for name, one in self.states.items() if one.incomplete is not None}

    def is_held(self, change: Change) -> bool:
        """Return whether a change belongs to quarantine."""
        state = self.states.get(change.name)
        return state is not None and state.incomplete is not None and is_quarantined(state, change.position)

    def take(self, relation: Relation, at: Position, last_commit_at: str) -> list[TableState]:
        """Compare the columns that the log announces before the change `at`; return the states that changed."""
        changed = []
        for state in self.states.values():
            number = state.accepted[state.latest].number
            after = state
            if (number == relation.number) != (state.name == relation.name):
                is_renamed = number == relation.number
                reason = f"it was renamed to {relation.name}" if is_renamed else "another table has its name now"
                after = quarantined(state, at, last_commit_at, reason)
            elif state.name == relation.name:
                after = after_relation(state, relation, at, last_commit_at)
            if after is not state:
                changed.append(after)
        self._set(changed)
        return changed

    def check(self, end: Position, last_commit_at: str) -> bool:
        """Compare the catalogs; return whether a table is quarantined from `end` on, the end of what is applied.

        Raises ChangesLostError for another publication, OtherBookError for the tables of another dump.
        """
        tables = self._applier.tables
        try:
            token = catalog_token(self._connection, self._publication, tables)
            if token == self._token:
                return False
            dump = self._applier.loaded_dump(self._connection)
            catalog = read_catalog(self._connection, self._publication, tables)
        except psycopg.OperationalError as error:
            raise database.broken(error) from None
        if (None if dump is None else dump.sha256) != self._epoch.dump:
            raise OtherBookError
        publication = catalog.publication
        numbers = {one.origin.publication for one in self.states.values() if one.origin is not None}
        if publication is None or not numbers <= {publication.number}:
            what = "was dropped" if publication is None else "was dropped and created again"
            raise database.ChangesLostError(
                f"publication {self._publication} {what}, and changes since then were not sent. {ADVICE}"
            )
        changed = []
        for name, state in self.states.items():
            origin = state.origin or origin_of(name, catalog, tables[name])
            if origin is None:
                reason: str | None = "it does not exist, or is not in the publication"
            else:
                reason = why_incomplete(origin, name, catalog, publication, tables[name])
            if reason is not None:
                changed.append(quarantined(state, end, last_commit_at, reason))
            elif state.origin is None:
                changed.append(replace(state, origin=origin))
        changed = [state for state in changed if state is not self.states[state.name]]
        self._set(changed)
        self._token = token
        self._record()
        return any(state.incomplete is not None for state in changed)

    def _set(self, changed: list[TableState]) -> None:
        for state in changed:
            self.states[state.name] = state
            if state.incomplete is None:
                _LOG.info("the columns of a table are known", table=str(state.name), schema=state.latest)
                continue
            _LOG.error(
                "a table is quarantined: its changes go to quarantine, and applications that need it are referred. "
                "Find the cause; then start a new epoch with: python -m quintet.replication --new-snapshot",
                table=str(state.name),
                reason=state.incomplete.reason,
            )

    def _record(self) -> None:
        """Record incomplete tables at once: the next change may never come."""
        found = self.incomplete
        if found.keys() <= self._recorded:
            return
        self._applier.mark_incomplete(found)
        for name, state in self.states.items():
            if str(name) in found.keys() - self._recorded:
                write_table_state(self._log, state)
        self._recorded = set(found)
