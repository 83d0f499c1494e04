"""The stream: replicate PostgreSQL's log to the features and the object store, without loss or gap.

It starts epochs and reconnects after an outage; `flow.py` handles one connection. It guarantees:

- It acknowledges a transaction to PostgreSQL only when the object store has acknowledged it and all before it.
- Features and their position in the log are written in one transaction, so a repeated change has no effect.
- If it cannot continue without loss, it ends with a message; only a person or a newer dump starts a new snapshot.
"""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import obstore
import psycopg
import structlog

from quintet.change_log.change import Change, Position
from quintet.change_log.lake import covered
from quintet.change_log.log import (
    Epoch,
    ObjectStore,
    Stretch,
    epoch_name,
    epochs,
    is_refusal,
    mark_snapshot,
    remove_damaged,
    snapshot_is_under_way,
    unmark_snapshot,
    utc_text,
    write_epoch,
    write_stretch,
)
from quintet.replicated import COMMITTED_AT, EPOCH, Applier, LoadedDump
from quintet.replication import database, metrics
from quintet.replication.catalog import Catalog, relation_of
from quintet.replication.flow import FLUSHED, Flow, ReadAgainError
from quintet.replication.guard import ADVICE, Guard, OtherBookError
from quintet.replication.one_reader import await_free
from quintet.replication.pgoutput import Relation
from quintet.replication.tables import first_state, origin_of, read_table_state, write_table_state
from quintet.replication.upload import Uploader
from quintet.replication.values import UnknownTypeError
from quintet.state.faults import StateUnavailableError
from quintet.state.features import CheckpointThread

_LOG = structlog.get_logger()
_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """Options of the stream. Times in seconds.

    most_events: changes in one object or one transaction of the features. object_seconds: least time between the starts
    of two objects; changes that arrive meanwhile share an object. most_waiting: changes that may wait for the object
    store before the stream stops reading, or, while the store fails, leaves them in PostgreSQL's log. retained_bytes:
    log that PostgreSQL may keep for the slot before the stream logs an error. start_seconds: how long to wait for
    PostgreSQL and the object store at the start. reconnect_seconds: pause before the first attempt to reconnect; it
    doubles up to longest_pause_seconds. most_failures: how often PostgreSQL may end the stream with the same error.
    """

    slot: str = "quintet"
    publication: str = "quintet"
    most_events: int = 5_000
    most_waiting: int = 100_000
    writers: int = 2
    object_seconds: float = 0.01
    feedback_seconds: float = 0.25
    heartbeat_seconds: float = 10.0
    watch_seconds: float = 2.0
    retained_bytes: int = 1_500_000_000
    slot_wait_seconds: float = 60.0
    start_seconds: float = 60.0
    reconnect_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    most_failures: int = 6
    is_standby: bool = False


class Stream:
    """The stream of one replication slot. `run` ends when `stop` is set, `catch_up` at the end of the log.

    Both raise PublisherError if they cannot continue. report: called with the progress of a snapshot. is_forgotten:
    whether a change is of a person who was forgotten; it is not written.
    """

    def __init__(
        self,
        url: str,
        log: ObjectStore,
        features: Applier,
        options: Options | None = None,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] = lambda _: None,
        is_forgotten: Callable[[Change], bool] = lambda _: False,
    ) -> None:
        self._url, self._log, self._features = url, log, features
        self._options = options or Options()
        self._clock, self._report, self.is_forgotten = clock, report, is_forgotten
        self._binary = True
        self._until: int | None = None
        self._next_report = time.monotonic() + _REPORT_SECONDS
        self._failures, self._repeats, self._last_failure = 0, 0, ""
        self.stop = threading.Event()
        self.ready, self.ended = threading.Event(), threading.Event()

    def run(self, new_snapshot: bool = False) -> None:
        """Stream until `stop` is set. new_snapshot: start a new epoch with a snapshot of all rows."""
        try:
            self._go_on(new_snapshot)
        finally:
            self.ended.set()

    def catch_up(self) -> Epoch | None:
        """Stream what was committed before this call; return the epoch, None if `stop` was set.

        Raises the last error if PostgreSQL or the object store is away for longer than `start_seconds`.
        """
        with database.connect(self._url) as connection:
            database.check_server(connection)
            self._until = database.end_of_log(connection)
        return self._go_on(new_snapshot=False)

    def _go_on(self, new_snapshot: bool) -> Epoch | None:
        epoch = self._begin(new_snapshot)
        away_since: float | None = None
        while epoch is not None and not self.stop.is_set():
            began = time.monotonic()
            try:
                self._flow(epoch)
                break
            except database.ChangesLostError:
                raise
            except database.SlotTakenError as error:
                if not self._options.is_standby:
                    raise
                _LOG.info("another stream was faster; waiting in standby", reason=str(error))
                self.stop.wait(self._options.reconnect_seconds)
            except ReadAgainError:
                _LOG.info("the object store answers again: reading the log that was left in PostgreSQL")
            except OtherBookError:
                _LOG.info("the tables were replaced with another dump: starting a new epoch")
                epoch = self._begin(new_snapshot=True)
            except UnknownTypeError as error:
                _LOG.info("requesting values as text from here on", reason=str(error))
                self._binary = False
            except (
                obstore.exceptions.BaseError,
                database.PublisherError,
                psycopg.OperationalError,
                StateUnavailableError,
            ) as error:
                now, patience = time.monotonic(), self._options.start_seconds
                away_since = now if away_since is None or now - began > patience else away_since
                if self._until is not None and now - away_since > patience:
                    raise
                self._note_away(error)
                self.stop.wait(self._pause(error, now - began))
        return epoch

    def _pause(self, error: Exception, lasted: float) -> float:
        """Return the seconds before the next attempt, twice as many after each failure.

        lasted: how long the connection lasted. Raises PublisherError if PostgreSQL ends each with the same error.
        """
        if lasted > self._options.longest_pause_seconds:
            self._failures = 0
        self._failures += 1
        failure = str(error).partition("\n")[0]
        is_fault = isinstance(error, database.PublisherError) and not isinstance(error, database.PublisherAwayError)
        is_same = is_fault and failure == self._last_failure
        self._last_failure, self._repeats = failure, self._repeats + 1 if is_same else 1
        if is_same and self._repeats >= self._options.most_failures:
            raise database.PublisherError(
                f"{error} That was the answer to {self._repeats} attempts, so the stream stops. Fix the cause and "
                "start it again. If it cannot be fixed, start a new epoch with: "
                "python -m quintet.replication --new-snapshot"
            ) from None
        doubled = self._options.reconnect_seconds * 2 ** min(self._failures - 1, 16)
        return min(doubled, self._options.longest_pause_seconds)

    def _note_away(self, error: Exception) -> None:
        if isinstance(error, obstore.exceptions.BaseError):
            _LOG.warning("the object store does not answer", reason=str(error)[:300])
        elif isinstance(error, StateUnavailableError):
            _LOG.warning("the database of the features does not answer", reason=str(error)[:300])
        else:
            metrics.RECONNECTS.inc()
            _LOG.warning("reconnecting to PostgreSQL", reason=str(error).strip())

    def _report_count(self, what: str, count: int) -> None:
        """Report progress every few seconds."""
        if time.monotonic() >= self._next_report:
            self._report(f"{count:,} {what}")
            self._next_report = time.monotonic() + _REPORT_SECONDS

    def _begin(self, new_snapshot: bool) -> Epoch | None:
        """Return the epoch, waiting for PostgreSQL and the object store for a while; None if `stop` is set meanwhile.

        Raises at once what needs a person (wrong credentials, a missing table).
        """
        patience = math.inf if self._options.is_standby else self._options.start_seconds
        until, is_logged = time.monotonic() + patience, False
        while not self.stop.is_set():
            try:
                return self._epoch(new_snapshot)
            except (
                database.PublisherAwayError,
                psycopg.OperationalError,
                obstore.exceptions.GenericError,
                StateUnavailableError,
            ) as error:
                if time.monotonic() > until or is_refusal(error):
                    raise
                if not is_logged:
                    _LOG.warning("waiting for PostgreSQL and the object store", reason=str(error).strip()[:300])
                    is_logged = True
                self.stop.wait(self._options.reconnect_seconds)
        return None

    def _await_slot(self, connection: psycopg.Connection) -> bool:
        """Wait until no other stream reads the slot, in standby for as long as it takes; False if `stop` is set."""
        options = self._options
        seconds = math.inf if options.is_standby else options.slot_wait_seconds
        return await_free(connection, options.slot, seconds, self.stop)

    def _epoch(self, new_snapshot: bool) -> Epoch | None:
        """Return the epoch to continue, or a new one if there is none or it is requested; None if `stop` is set."""
        slot = self._options.slot
        with database.connect(self._url) as connection:
            cluster = database.check_server(connection)
            if not self._await_slot(connection):
                return None
            state, known = database.slot_state(connection, slot), epochs(self._log)
            last, dump = known[-1] if known else None, self._features.loaded_dump(connection)
            is_other_book = last is not None and last.dump != _sha256(dump)
            # a dump was loaded on a new server, or the object store is new: no streamed changes are lost
            is_other_server = dump is not None and (last is None or last.source != cluster)
            new_snapshot = new_snapshot or is_other_book or is_other_server
            is_unfinished = snapshot_is_under_way(self._log)
            is_first = last is None and self._features.store.fact(EPOCH) is None
            if is_first and state is not None and not (new_snapshot or is_unfinished):
                raise database.SlotTakenError(
                    f"replication slot {slot} belongs to another stream. Drop it, or give this stream another name; "
                    "--new-snapshot drops it"
                )
            if new_snapshot or is_unfinished or is_first:
                catalog = database.create_publication(
                    connection, self._options.publication, self._features.tables, self._features.advice
                )
                if state is not None:
                    _LOG.warning("dropping the slot of an unfinished or an earlier snapshot", slot=slot)
                    database.drop_slot(connection, slot)
                return self._snapshot(connection, cluster, dump, catalog)
            if last is None:
                raise database.ChangesLostError(f"the object store has lost the log of the features. {ADVICE}")
            if state is None:
                raise database.ChangesLostError(f"slot {slot} is gone, and with it the commits since then. {ADVICE}")
            if state.wal_status == "lost":
                raise database.ChangesLostError(
                    f"PostgreSQL has removed the log that slot {slot} needs (max_slot_wal_keep_size). {ADVICE}"
                )
            if cluster != last.source or state.confirmed < last.snapshot_end.lsn:
                raise database.ChangesLostError(f"slot {slot} and the change log are of different databases. {ADVICE}")
            flushed = self._features.store.fact(FLUSHED)
            if self._features.store.fact(EPOCH) == last.name and flushed and state.confirmed > int(flushed):
                raise database.ChangesLostError(
                    f"slot {slot} is at {database.lsn_text(state.confirmed)}, beyond what this stream acknowledged "
                    f"({database.lsn_text(int(flushed))}): it was moved or recreated. {ADVICE}"
                )
        return last

    def _snapshot(
        self, connection: psycopg.Connection, cluster: str, dump: LoadedDump | None, catalog: Catalog
    ) -> Epoch:
        """Create the slot, write every existing row to the log, and complete the epoch.

        catalog: from before the slot; the stream's guard compares the catalogs with it.
        """
        codec = database.codec_of(connection)
        mark_snapshot(self._log)
        replication = database.Replication(self._url)
        try:
            point, exported = replication.create_slot(self._options.slot)
            epoch, at = epoch_name(point), utc_text(dt.datetime.fromtimestamp(self._clock(), dt.UTC))
            start = Position(point - 1)
            database.use_snapshot(connection, exported)
            place = start
            for name, kinds in self._features.tables.items():
                found = catalog.tables[name]
                assert found is not None
                relation = relation_of(name, found)
                write_table_state(self._log, first_state(epoch, relation, origin_of(name, catalog, kinds)))
                for rows in database.snapshot_rows(connection, relation, self._options.most_events, codec):
                    changes = [_snapshot_change(place, n, at, relation, row) for n, row in enumerate(rows)]
                    end = Position(place.lsn, place.sequence + len(rows))
                    kept = [change for change in changes if not self.is_forgotten(change)]
                    write_stretch(self._log, Stretch(epoch, place, end), kept)
                    place = end
                    self._report_count("rows of the snapshot are in the change log", place.sequence)
            connection.execute("commit")
        finally:
            replication.close()
        write_stretch(self._log, Stretch(epoch, place, Position(point)), [])
        last_day = None if dump is None else dump.last_day.isoformat()
        done = Epoch(epoch, start, Position(point), at, cluster, _sha256(dump), last_day)
        write_epoch(self._log, done)
        unmark_snapshot(self._log)
        _LOG.info("the snapshot is complete", epoch=epoch, rows=place.sequence)
        return done

    def _flow(self, epoch: Epoch) -> None:
        """Receive, apply and upload changes until `stop` or an error."""
        options = self._options
        with database.connect(self._url) as connection:
            if not self._await_slot(connection):
                return
            state = database.slot_state(connection, options.slot)
            if state is None or state.wal_status == "lost":
                raise database.ChangesLostError(f"slot {options.slot} is {'lost' if state else 'gone'}. {ADVICE}")
            for key in remove_damaged(self._log, epoch.name, Position(state.confirmed)):
                _LOG.warning("removed an incomplete object, left by a crash of the store", key=key)
            start = min(covered(self._log, epoch), Position(state.confirmed))
            if start < epoch.snapshot_end:
                raise database.ChangesLostError(f"objects of the snapshot of epoch {epoch.name} are gone. {ADVICE}")
            states = [read_table_state(self._log, epoch, name) for name in self._features.tables]
            guard = Guard(connection, options.publication, self._features, self._log, epoch, states)
            place = self._features.catch_up(
                self._log, epoch, lambda count: self._report_count("changes are in the features", count)
            )
            # before the start: some servers do not send anything without the publication
            guard.check(place, self._features.store.fact(COMMITTED_AT) or epoch.completed_at)
            codec = database.codec_of(connection)
            replication = database.Replication(self._url)
            try:
                replication.start(options.slot, options.publication, state.confirmed, self._binary)
                store = self._features.store
                store.keep(FLUSHED, str(state.confirmed))
                uploader = Uploader(
                    self._log, epoch.name, start, options.writers, options.most_events, options.object_seconds
                )
                try:
                    with CheckpointThread(store, FLUSHED, options.feedback_seconds) as checkpoints, store.writing():
                        Flow(
                            self,
                            epoch,
                            connection,
                            replication,
                            uploader,
                            checkpoints,
                            guard,
                            state.confirmed,
                            place,
                            codec,
                        ).run()
                finally:
                    uploader.close()
            finally:
                replication.close()


def _snapshot_change(place: Position, number: int, at: str, relation: Relation, row: dict[str, Any]) -> Change:
    return Change(
        place.lsn,
        place.sequence + number,
        at,
        relation.table,
        "snapshot",
        relation.schema,
        row,
        None,
        (),
        relation.namespace,
    )


def _sha256(dump: LoadedDump | None) -> str | None:
    return None if dump is None else dump.sha256
