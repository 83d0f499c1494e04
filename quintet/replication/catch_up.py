"""Bring the loan book up to date in one call: load a new dump of the inbox, and replicate the log to its end.

Starts embedded servers that are needed, and stops them again. If a stream runs, waits until it has caught up instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import obstore
import psycopg

from quintet.change_log.log import Epoch, LogUrlError, Store, epochs
from quintet.change_log.place import open_log
from quintet.embedded import postgres
from quintet.embedded.processes import EmbeddedServerError
from quintet.ingest.inbox import InboxFile, still_as_listed
from quintet.lending.dump import DumpError
from quintet.lending.feature_registry import features
from quintet.lending.inbox import Dump, dumps_of, read_dump
from quintet.lending.loan_book import NotOurTablesError, has_book, load_dump, restored_dump
from quintet.lending.online import OnlineFeatures
from quintet.lending.sandbox import Limits, remove_left_restore
from quintet.masking import masked
from quintet.replication import database
from quintet.replication.run import Options, Stream
from quintet.settings import Settings
from quintet.state.features import FeatureStore

LOADED, REJECTED, KNOWN, SUPERSEDED = "loaded", "rejected", "known", "superseded"

_SUFFIXES = (".sql", ".sql.gz", ".dump")
_POLL_SECONDS = 0.1
_STREAM_SECONDS = 60.0
_START_SECONDS = 10.0


class ReplicationError(RuntimeError):
    """The loan book could not be brought up to date; the message says why and what to do, without secrets."""


class StreamRunsError(RuntimeError):
    """Another process runs the stream of this home."""


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
class CaughtUp:
    """The result of catching up. epoch: the change log's latest one, None if there is no loan book yet."""

    dumps: tuple[DumpOutcome, ...]
    epoch: Epoch | None


def catch_up(settings: Settings, loaded: Collection[str], report: Callable[[str], None]) -> CaughtUp:
    """Load the newest dump of the inbox if it is new, and replicate everything committed before this call.

    loaded: hashes of the dumps that were loaded before. report: called with the progress. The result lists dumps that
    cannot be used. Raises ReplicationError for every other fault.
    """
    try:
        remove_left_restore(settings.restores)
        with contextlib.ExitStack() as servers:
            files = dumps_of(settings)
            url = _database(settings, bool(files), servers)
            if url is None:
                return CaughtUp((), None)
            dumps = tuple(_load_newest(settings, url, files, loaded, report))
            with database.connect(url) as connection:
                has_tables = has_book(connection)
            return CaughtUp(dumps, _replicate(settings, url, report) if has_tables else None)
    except obstore.exceptions.BaseError as error:
        text = f"the object store cannot be used: {error}"
    except (database.SourceError, LogUrlError, EmbeddedServerError) as error:
        text = str(error)
    except (psycopg.Error, sqlite3.OperationalError, OSError) as error:
        text = f"the loan book cannot be replicated: {error}"
    raise ReplicationError(masked(text, _secrets(settings)))


def _database(settings: Settings, has_files: bool, servers: contextlib.ExitStack) -> str | None:
    """Return the database's URL from the settings, or else of the embedded database, started if needed.

    None if there is neither a database yet nor a file to load into one.
    """
    if settings.postgres_url is not None:
        return settings.postgres_url.get_secret_value()
    folder = settings.embedded_postgres
    if not has_files and not (folder / "data").is_dir():
        return None
    postgres.stop_left_behind(folder)
    return postgres.running_url(folder) or servers.enter_context(postgres.EmbeddedPostgres(folder)).url


def _load_newest(
    settings: Settings, url: str, files: Sequence[InboxFile], loaded: Collection[str], report: Callable[[str], None]
) -> Iterator[DumpOutcome]:
    """Load the newest dump that can be used; yield the outcome of each file."""
    with database.connect(url) as connection:
        current = restored_dump(connection)
        is_empty = not has_book(connection)
        if files and (is_empty or current is not None):
            database.check_server(connection)  # before anything is loaded into it
    newer: str | None = None
    for dump in map(read_dump, files):
        file, sha256 = dump.file, dump.sha256
        if dump.fault is not None:
            yield DumpOutcome(file, sha256, REJECTED, message=f"{file.name} {dump.fault}")
        elif newer is not None:
            status = KNOWN if sha256 in loaded else SUPERSEDED
            yield DumpOutcome(file, sha256, status, message=f"{file.name}: not loaded, since {newer} is newer")
        elif current is not None and current.sha256 == sha256:
            newer = file.name
            yield DumpOutcome(file, sha256, KNOWN)
        elif sha256 in loaded and not is_empty:
            yield DumpOutcome(file, sha256, KNOWN, message="loaded before and replaced since")
        else:
            outcome = _load(settings, url, dump, report)
            newer = file.name if outcome.status == LOADED else None
            yield outcome


def _load(settings: Settings, url: str, dump: Dump, report: Callable[[str], None]) -> DumpOutcome:
    file, sha256 = dump.file, dump.sha256
    limits = Limits(settings.loan_book_seconds, settings.loan_book_bytes)
    try:
        if not file.name.lower().endswith(_SUFFIXES):
            raise DumpError(f"its name ends in none of {', '.join(_SUFFIXES)}. Give it the ending of its format.")
        report(f"{file.name}: restoring {file.bytes / 1e6:,.1f} MB")
        is_own = url == postgres.running_url(settings.embedded_postgres)
        book = load_dump(
            file.path, sha256, url, settings.restores, limits, report, settings.stream_slot, may_have_others=is_own
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


def _replicate(settings: Settings, url: str, report: Callable[[str], None]) -> Epoch | None:
    """Replicate to the end of the log, or wait until a running stream has done so."""
    log = open_log(settings)
    with contextlib.ExitStack() as held:
        if (followed := _follow(settings, url, log, held, report)) is not None:
            return followed
        store = FeatureStore(settings.online)
        held.callback(store.close)
        options = Options(
            slot=settings.stream_slot,
            publication=settings.stream_slot,
            feedback_seconds=0.05,
            slot_wait_seconds=_START_SECONDS,
            start_seconds=_START_SECONDS,
        )
        return Stream(url, log, OnlineFeatures(store, features()), options, report=report).catch_up()


def _follow(
    settings: Settings, url: str, log: Store, held: contextlib.ExitStack, report: Callable[[str], None]
) -> Epoch | None:
    """Wait until a running stream has replicated everything committed before this call, and return its epoch.

    None if no stream runs, or it ends meanwhile; `held` then keeps others from starting one.
    """
    is_reported = False
    with database.connect(url) as connection:
        end, dump = database.end_of_log(connection), restored_dump(connection)
        until = time.monotonic() + _STREAM_SECONDS
        while True:
            with contextlib.suppress(StreamRunsError):
                held.enter_context(only_stream(settings))
                return None
            state, known = database.slot_state(connection, settings.stream_slot), epochs(log)
            is_of_book = bool(known) and known[-1].dump == (dump.sha256 if dump else None)
            if state is not None and is_of_book and state.confirmed >= end:
                return known[-1]
            if time.monotonic() > until:
                raise ReplicationError(
                    f"the running stream has not caught up within {_STREAM_SECONDS:.0f} s. Check its log, and run "
                    "again after it has caught up."
                )
            if not is_reported:
                report("a stream runs; waiting until it has caught up")
                is_reported = True
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def only_stream(settings: Settings) -> Iterator[None]:
    """Keep other streams of this home from starting. Raises StreamRunsError if one runs."""
    settings.online.mkdir(parents=True, exist_ok=True)
    with (settings.online / "stream.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StreamRunsError("a stream of this home runs already. Stop it first.") from None
        yield


def _secrets(settings: Settings) -> list[str]:
    return [secret.get_secret_value() for secret in (settings.postgres_url, settings.object_store_url) if secret]
