"""Lending's part of replication: its tables, the applier of their changes, and the dumps of its inbox."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import psycopg

from quintet.ingest.inbox import still_as_listed
from quintet.lending.contract import PERSONS, REPLICATED_TABLES
from quintet.lending.dump import DumpError
from quintet.lending.feature_registry import features
from quintet.lending.inbox import Dump, dumps_of, read_dump
from quintet.lending.loan_book import NotOurTablesError, book_rows, has_book, load_dump, restored_dump
from quintet.lending.online import OnlineFeatures
from quintet.lending.sandbox import Limits, remove_left_restore
from quintet.lending.settings import LendingSettings, restore_folder
from quintet.replicated import (
    KNOWN,
    LOADED,
    REJECTED,
    SUPERSEDED,
    DumpOutcome,
    LoadedDump,
    Replicated,
    Tables,
)
from quintet.settings import Settings
from quintet.state.features import FeatureStore

_SUFFIXES = (".sql", ".sql.gz", ".dump")


class LendingApplier(OnlineFeatures):
    """Applies the changes of the loan book to the features."""

    @property
    def tables(self) -> Tables:
        """The tables to replicate."""
        return REPLICATED_TABLES

    @property
    def advice(self) -> str:
        """What to do if the database lacks a table."""
        return "Put a dump into the inbox data/raw/loan_book and run: make run SELECT=lending"

    def loaded_dump(self, connection: psycopg.Connection) -> LoadedDump | None:
        """Return the dump that the tables were loaded from; None if there is none."""
        return restored_dump(connection)


def open_applier(settings: Settings) -> LendingApplier:
    """Open the features of a home."""
    return LendingApplier(FeatureStore(settings.state), features())


def load_newest(
    settings: Settings,
    url: str,
    is_embedded: bool,
    loaded: Collection[str],
    report: Callable[[str], None],
) -> Iterator[DumpOutcome]:
    """Load the newest dump that can be used, if it is new; yield the outcome of each file of the inbox.

    is_embedded: whether the database of `url` is the embedded one. loaded: hashes of contents loaded before.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        current = restored_dump(connection)
        is_empty = not has_book(connection)
        is_unrecorded = current is not None and current.sha256 not in loaded  # after a kill, or in a new warehouse
        rows = book_rows(connection) if is_unrecorded and not is_empty else 0
    newer: str | None = None
    for dump in map(read_dump, dumps_of(settings)):
        file, sha256 = dump.file, dump.sha256
        if dump.fault is not None:
            yield DumpOutcome(file, sha256, REJECTED, message=f"{file.name} {dump.fault}")
        elif newer is not None:
            status = KNOWN if sha256 in loaded else SUPERSEDED
            yield DumpOutcome(file, sha256, status, message=f"{file.name}: not loaded, since {newer} is newer")
        elif current is not None and current.sha256 == sha256:
            newer = file.name
            yield DumpOutcome(file, sha256, LOADED if is_unrecorded else KNOWN, rows)
        elif sha256 in loaded and not is_empty:
            yield DumpOutcome(file, sha256, KNOWN, message="loaded before and replaced since")
        else:
            outcome = _load(settings, url, is_embedded, dump, report)
            newer = file.name if outcome.status == LOADED else None
            yield outcome


def _load(settings: Settings, url: str, is_embedded: bool, dump: Dump, report: Callable[[str], None]) -> DumpOutcome:
    file, sha256 = dump.file, dump.sha256
    own = settings.of(LendingSettings)
    limits = Limits(own.loan_book_seconds, own.loan_book_bytes)
    try:
        if not file.name.lower().endswith(_SUFFIXES):
            raise DumpError(f"its name ends in none of {', '.join(_SUFFIXES)}. Give it the ending of its format.")
        report(f"{file.name}: restoring {file.bytes / 1e6:,.1f} MB")
        book = load_dump(
            file.path,
            sha256,
            url,
            restore_folder(settings.home),
            limits,
            report,
            settings.stream_slot,
            may_have_others=is_embedded,
        )
    except NotOurTablesError as error:
        return DumpOutcome(file, sha256, REJECTED, message=f"{file.name}: {error}")
    except DumpError as error:
        if not still_as_listed(file):
            return DumpOutcome(file, sha256, KNOWN, message="was written to while it was read; the next run loads it")
        return DumpOutcome(file, sha256, REJECTED, message=f"{file.name}: {error}")
    rows = ", ".join(f"{count:,} of {table}" for table, count in book.rows.items())
    report(f"{file.name}: {rows} loaded; a new epoch of the change log begins")
    return DumpOutcome(file, sha256, LOADED, sum(book.rows.values()), "; ".join(book.remarks) or None)


REPLICATED = Replicated(
    tables=REPLICATED_TABLES,
    open_applier=open_applier,
    has_files=lambda settings: bool(dumps_of(settings)),
    has_tables=has_book,
    loaded_dump=restored_dump,
    load_newest=load_newest,
    remove_left=lambda settings: remove_left_restore(restore_folder(settings.home)),
    persons=PERSONS,
    person_kind="client",
)
