"""Bring a domain's replicated tables up to date in one call: load a new dump, and replicate the log to its end.

Starts embedded servers that are needed, and stops them again. If a stream runs, waits until it has caught up instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import obstore
import psycopg

from quintet.change_log.log import Epoch, LogUrlError, ObjectStore, epochs
from quintet.change_log.place import open_log
from quintet.embedded import postgres
from quintet.embedded.processes import EmbeddedServerError
from quintet.masking import masked
from quintet.replicated import DumpOutcome, Replicated
from quintet.replication import database
from quintet.replication.forgotten import person_filter
from quintet.replication.run import Options, Stream
from quintet.settings import Settings
from quintet.state.faults import STATE_FAULTS, StateError

_POLL_SECONDS = 0.1
_STREAM_SECONDS = 60.0
_START_SECONDS = 10.0


class ReplicationError(RuntimeError):
    """The tables could not be brought up to date; the message says why and what to do, without secrets."""


class StreamRunsError(RuntimeError):
    """Another process runs the stream of this home."""


@dataclass(frozen=True)
class CaughtUp:
    """The result of catching up.

    epoch: the change log's latest one, None if there are no tables yet. incomplete: a clause for each table that is not
    complete, and for quarantined rows.
    """

    dumps: tuple[DumpOutcome, ...]
    epoch: Epoch | None
    incomplete: tuple[str, ...] = ()


def catch_up(
    settings: Settings, domain: Replicated, loaded: Collection[str], report: Callable[[str], None]
) -> CaughtUp:
    """Load the newest dump of the inbox if it is new, and replicate everything committed before this call.

    domain: whose tables are replicated. loaded: hashes of the dumps that were loaded before. report: called with the
    progress. The result lists dumps that cannot be used. Raises ReplicationError for every other fault.
    """
    try:
        domain.remove_left(settings)
        with contextlib.ExitStack() as servers:
            has_files = domain.has_files(settings)
            url = _database(settings, has_files, servers)
            if url is None:
                return CaughtUp((), None)
            with database.connect(url) as connection:
                if has_files and (not domain.has_tables(connection) or domain.loaded_dump(connection) is not None):
                    database.check_server(connection)  # before anything is loaded into it
            is_embedded = url == postgres.running_url(settings.embedded_postgres)
            dumps = tuple(domain.load_newest(settings, url, is_embedded, loaded, report))
            with database.connect(url) as connection:
                if not domain.has_tables(connection):
                    return CaughtUp(dumps, None)
            return CaughtUp(dumps, *_replicate(settings, domain, url, report))
    except obstore.exceptions.BaseError as error:
        text = f"the object store cannot be used: {error}"
    except (database.PublisherError, LogUrlError, EmbeddedServerError, StateError) as error:
        text = str(error)
    except (psycopg.Error, *STATE_FAULTS, OSError) as error:
        text = f"the tables cannot be replicated: {error}"
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


def _replicate(
    settings: Settings, domain: Replicated, url: str, report: Callable[[str], None]
) -> tuple[Epoch | None, tuple[str, ...]]:
    """Replicate to the end of the log, or wait until a running stream has done so.

    Return the epoch, and a clause for what is not complete.
    """
    log = open_log(settings)
    with contextlib.ExitStack() as held:
        epoch = _follow(settings, domain, url, log, held, report)
        applier = domain.open_applier(settings)
        held.callback(applier.store.close)
        if epoch is not None:
            return epoch, tuple(applier.incomplete())
        options = Options(
            slot=settings.stream_slot,
            publication=settings.stream_slot,
            feedback_seconds=0.05,
            slot_wait_seconds=_START_SECONDS,
            start_seconds=_START_SECONDS,
        )
        is_forgotten = person_filter(settings, domain)
        epoch = Stream(url, log, applier, options, report=report, is_forgotten=is_forgotten).catch_up()
        return epoch, tuple(applier.incomplete())


def _follow(
    settings: Settings,
    domain: Replicated,
    url: str,
    log: ObjectStore,
    held: contextlib.ExitStack,
    report: Callable[[str], None],
) -> Epoch | None:
    """Wait until a running stream has replicated everything committed before this call, and return its epoch.

    None if no stream runs, or it ends meanwhile; `held` then keeps others from starting one.
    """
    is_reported = False
    with database.connect(url) as connection:
        end, dump = database.end_of_log(connection), domain.loaded_dump(connection)
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
    return [
        secret.get_secret_value()
        for secret in (settings.postgres_url, settings.object_store_url, settings.state_url)
        if secret
    ]
