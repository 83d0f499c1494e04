"""The parts of replication that a domain provides: its tables, the applier of their changes, and its dumps.

A domain names a module with a `REPLICATED` in `Domain.replication`; `quintet/replication` names no domain.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from quintet.change_log.change import Change, Position, TableName
from quintet.change_log.completeness import Incomplete
from quintet.change_log.log import Epoch, ObjectStore
from quintet.ingest.inbox import InboxFile
from quintet.settings import Settings
from quintet.state.features import FeatureStore

if TYPE_CHECKING:
    import psycopg

EPOCH, COMMITTED_AT = "epoch", "committed_at"
"""Facts of a feature store: the epoch that it is from, and when its last applied transaction was committed."""

LOADED, REJECTED, KNOWN, SUPERSEDED = "loaded", "rejected", "known", "superseded"

Kind = Literal["integer", "double", "varchar", "date"]
"""The kind of values that a domain reads from a column."""

Tables = Mapping[TableName, Mapping[str, Kind]]
"""The columns that a domain reads, with their kinds, by table. Each table has the key `id`."""


@dataclass(frozen=True)
class LoadedDump:
    """The dump that the tables in PostgreSQL are from. last_day: the last day on which its rows changed."""

    sha256: str
    last_day: dt.date


@dataclass(frozen=True)
class DumpOutcome:
    """The outcome of a file of the inbox.

    status: `loaded`, `rejected`, `known` (its content was loaded before) or `superseded` (another dump is newer).
    rows: of all tables, 0 unless loaded now. message: why it was rejected, or a warning.
    """

    file: InboxFile
    sha256: str
    status: str
    rows: int = 0
    message: str | None = None


@dataclass(frozen=True)
class QuarantinedRow:
    """A row with a value that cannot be read. table: `schema.table`. reason: a clause without a full stop."""

    table: str
    key: str
    reason: str


class Applier(Protocol):
    """Applies the changes of a domain's tables to its state."""

    store: FeatureStore

    @property
    def tables(self) -> Tables:
        """The tables to replicate."""

    @property
    def advice(self) -> str:
        """What to do if the database lacks a table: a sentence."""

    def loaded_dump(self, connection: psycopg.Connection) -> LoadedDump | None:
        """Return the dump that the tables were loaded from; None if there is none."""

    def catch_up(self, log: ObjectStore, epoch: Epoch, report: Callable[[int], None]) -> Position:
        """Apply the log from where the state is, and return the position reached. report: changes applied so far."""

    def apply(
        self,
        changes: list[Change],
        end: Position,
        applied_lsn: int | None,
        incomplete: Mapping[str, Incomplete],
    ) -> list[QuarantinedRow]:
        """Apply changes up to `end` and record the incomplete tables, in one transaction; return quarantined rows.

        applied_lsn: the LSN up to which whole transactions are applied then; None inside a transaction.
        """

    def mark_incomplete(self, incomplete: Mapping[str, Incomplete]) -> None:
        """Record the incomplete tables."""

    def incomplete(self) -> list[str]:
        """Return a clause for each incomplete table, and one for the quarantined rows, if any."""


@dataclass(frozen=True)
class Replicated:
    """A domain's part of replication.

    open_applier: opens the applier of a home. has_files: whether its inbox has dumps. has_tables: whether the database
    has one of its tables. load_newest: loads the newest usable dump if it is new; takes settings, the database's URL,
    whether the database is the embedded one, the hashes of contents loaded before, and a function that reports
    progress. remove_left: removes what a killed load left. persons: by table, the column that says whose a row is, and
    the table of that id; None for the id of a person of the kind `person_kind`.
    """

    tables: Tables
    open_applier: Callable[[Settings], Applier]
    has_files: Callable[[Settings], bool]
    has_tables: Callable[[psycopg.Connection], bool]
    loaded_dump: Callable[[psycopg.Connection], LoadedDump | None]
    load_newest: Callable[[Settings, str, bool, Collection[str], Callable[[str], None]], Iterator[DumpOutcome]]
    remove_left: Callable[[Settings], None]
    persons: Mapping[TableName, tuple[str, TableName | None]]
    person_kind: str
