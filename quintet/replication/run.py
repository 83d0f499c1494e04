"""The stream: from the log of PostgreSQL into the features and the object store, without loss and without a gap.

It begins epochs and connects again where a part of the world was away; `flow.py` is one connection's worth of it.
Three promises hold it together:

- PostgreSQL is told that a transaction is safe only when the object store has acknowledged it and all before it.
- The features carry their place in the log within their own transaction, so what comes again changes nothing.
- What cannot go on without loss ends the stream with a message; only a person or a newer dump begins a new snapshot.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import obstore
import psycopg
import structlog

from quintet.change_log.change import Change, Position
from quintet.change_log.lake import covered
from quintet.change_log.log import (
    Epoch,
    Store,
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
from quintet.lending.contract import TABLES
from quintet.lending.loan_book import RestoredDump, restored_dump
from quintet.lending.online import EPOCH, OnlineFeatures
from quintet.replication import database as source
from quintet.replication import metrics
from quintet.replication.flow import ADVICE, FLUSHED, Flow, OtherBookError, ReadAgainError
from quintet.replication.pgoutput import UnknownTypeError
from quintet.replication.tables import (
    TableState,
    first_state,
    read_table_state,
    write_table_state,
)
from quintet.replication.upload import Uploader
from quintet.state.features import CheckpointThread

_LOG = structlog.get_logger()
_REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """How the stream runs. Times in seconds.

    most_events: changes in one object or one transaction of the features. object_seconds: at least so long from the
    start of one object to that of the next; what comes meanwhile shares an object. most_waiting: changes that may wait
    for the object store before the stream reads no further, or, while the store refuses, leaves them in PostgreSQL's
    log. retained_bytes: how much log PostgreSQL may keep for the slot before the stream raises an alarm. start_seconds:
    how long PostgreSQL and the object store may be away as the stream starts.
    """

    slot: str = "quintet"
    publication: str = "quintet"
    tables: tuple[str, ...] = tuple(TABLES)
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


class Stream:
    """One stream of one slot. `run` goes on until `stop` is set, `catch_up` to the end of the log.

    Both raise SourceError where they cannot go on. report: called with the progress of a snapshot.
    """

    def __init__(
        self,
        url: str,
        log: Store,
        features: OnlineFeatures,
        options: Options | None = None,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._url, self._log, self._features = url, log, features
        self._options = options or Options()
        self._clock, self._report = clock, report
        self._binary = True
        self._until: int | None = None
        self._next_report = time.monotonic() + _REPORT_SECONDS
        self._tables: dict[str, TableState] = {}
        self.stop = threading.Event()
        self.ready = threading.Event()

    def run(self, new_snapshot: bool = False) -> None:
        """Stream until `stop` is set. new_snapshot: begin a new epoch with a snapshot of all rows."""
        self._go_on(new_snapshot)

    def catch_up(self) -> Epoch | None:
        """Stream what was committed before this call, and end; the epoch that it is of, None where `stop` was set.

        Where PostgreSQL or the object store is away for longer than `start_seconds`, raises what the last try raised.
        """
        with source.connect(self._url) as connection:
            source.check_server(connection)
            self._until = source.end_of_log(connection)
        return self._go_on(new_snapshot=False)

    def _go_on(self, new_snapshot: bool) -> Epoch | None:
        epoch = self._begin(new_snapshot)
        away_since: float | None = None
        while epoch is not None and not self.stop.is_set():
            began = time.monotonic()
            try:
                self._flow(epoch)
                break
            except (source.SourceLostError, source.SlotTakenError):
                raise
            except ReadAgainError:
                _LOG.info("the object store answers again: reading what was left in the log of PostgreSQL")
            except OtherBookError:
                _LOG.info("the tables were replaced by those of another dump: a new epoch begins")
                epoch = self._begin(new_snapshot=True)
            except UnknownTypeError as error:
                _LOG.info("values are asked for as text from here on", reason=str(error))
                self._binary = False
            except (obstore.exceptions.BaseError, source.SourceError, psycopg.OperationalError) as error:
                now, patience = time.monotonic(), self._options.start_seconds
                away_since = now if away_since is None or now - began > patience else away_since
                if self._until is not None and now - away_since > patience:
                    raise
                self._note_away(error)
                self.stop.wait(self._options.reconnect_seconds)
        return epoch

    def _note_away(self, error: Exception) -> None:
        if isinstance(error, obstore.exceptions.BaseError):
            _LOG.warning("the object store does not answer", reason=str(error)[:300])
        else:
            metrics.RECONNECTS.inc()
            _LOG.warning("connecting to PostgreSQL again", reason=str(error).strip())

    def _report_count(self, what: str, count: int) -> None:
        """Report progress, every few seconds."""
        if time.monotonic() >= self._next_report:
            self._report(f"{count:,} {what}")
            self._next_report = time.monotonic() + _REPORT_SECONDS

    def _begin(self, new_snapshot: bool) -> Epoch | None:
        """The epoch, for which PostgreSQL and the store are waited for a while; None where `stop` is set meanwhile.

        What does not go away by itself (wrong credentials, a missing table) is raised at once.
        """
        until, is_logged = time.monotonic() + self._options.start_seconds, False
        while not self.stop.is_set():
            try:
                return self._epoch(new_snapshot)
            except (source.SourceAwayError, psycopg.OperationalError, obstore.exceptions.GenericError) as error:
                if time.monotonic() > until or is_refusal(error):
                    raise
                if not is_logged:
                    _LOG.warning("waiting for PostgreSQL and the object store", reason=str(error).strip()[:300])
                    is_logged = True
                self.stop.wait(self._options.reconnect_seconds)
        return None

    def _epoch(self, new_snapshot: bool) -> Epoch:
        """The epoch to go on with, or a new one where there was none or one is asked for."""
        slot = self._options.slot
        with source.connect(self._url) as connection:
            cluster = source.check_server(connection)
            source.ensure_publication(connection, self._options.publication, self._options.tables)
            source.await_free(connection, slot, self._options.slot_wait_seconds)
            state, known = source.slot_state(connection, slot), epochs(self._log)
            last, dump = known[-1] if known else None, restored_dump(connection)
            is_other_book = last is not None and last.dump != _sha256(dump)
            # a dump was loaded again where the server or the object store is a new one: nothing that counts is lost
            is_other_server = dump is not None and (last is None or last.source != cluster)
            new_snapshot = new_snapshot or is_other_book or is_other_server
            is_unfinished = snapshot_is_under_way(self._log)
            is_first = last is None and self._features.store.fact(EPOCH) is None
            if is_first and state is not None and not (new_snapshot or is_unfinished):
                raise source.SlotTakenError(
                    f"there is a slot {slot}, and it is not of this stream. Drop it, or give this stream another name; "
                    "--new-snapshot drops it"
                )
            if new_snapshot or is_unfinished or is_first:
                if state is not None:
                    _LOG.warning("the slot of an unfinished or an earlier snapshot is dropped", slot=slot)
                    source.drop_slot(connection, slot)
                return self._snapshot(connection, cluster, dump)
            if last is None:
                raise source.SourceLostError(f"the object store has lost the log that the features are of. {ADVICE}")
            if state is None:
                raise source.SourceLostError(f"slot {slot} is gone, and with it what was committed since. {ADVICE}")
            if state.wal_status == "lost":
                raise source.SourceLostError(
                    f"PostgreSQL has given up the log that slot {slot} needs (max_slot_wal_keep_size). {ADVICE}"
                )
            if cluster != last.source or state.confirmed < last.snapshot_end.lsn:
                raise source.SourceLostError(f"slot {slot} is not of the database that the log is of. {ADVICE}")
            flushed = self._features.store.fact(FLUSHED)
            if self._features.store.fact(EPOCH) == last.name and flushed and state.confirmed > int(flushed):
                raise source.SourceLostError(
                    f"slot {slot} stands at {source.lsn_text(state.confirmed)}, beyond what this stream acknowledged "
                    f"({source.lsn_text(int(flushed))}): somebody moved it or made it anew. {ADVICE}"
                )
        return last

    def _snapshot(self, connection: psycopg.Connection, cluster: str, dump: RestoredDump | None) -> Epoch:
        """Make the slot, write every row that is there to the log, and complete the epoch."""
        for table in self._options.tables:
            names = {column.name for column in source.relation_of(connection, table).columns}
            if lacking := sorted(set(TABLES.get(table, {})) - names):
                raise source.SourceError(f"table {table} lacks {', '.join(lacking)}, which the features read")
        mark_snapshot(self._log)
        replication = source.Replication(self._url)
        try:
            point, name = replication.create_slot(self._options.slot)
            epoch, at = epoch_name(point), utc_text(dt.datetime.fromtimestamp(self._clock(), dt.UTC))
            start = Position(point - 1)
            source.use_snapshot(connection, name)
            place = start
            for table in self._options.tables:
                relation = source.relation_of(connection, table)
                write_table_state(self._log, first_state(epoch, relation))
                for rows in source.snapshot_rows(connection, relation, self._options.most_events):
                    changes = [
                        Change(place.lsn, place.sequence + n, at, table, "snapshot", relation.schema, row, None)
                        for n, row in enumerate(rows)
                    ]
                    end = Position(place.lsn, place.sequence + len(rows))
                    write_stretch(self._log, Stretch(epoch, place, end), changes)
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
        """Receive and hand on, until `stop` or an error."""
        options = self._options
        with source.connect(self._url) as connection:
            source.await_free(connection, options.slot, options.slot_wait_seconds)
            state = source.slot_state(connection, options.slot)
            if state is None or state.wal_status == "lost":
                raise source.SourceLostError(f"slot {options.slot} is {'gone' if state is None else 'lost'}. {ADVICE}")
            for key in remove_damaged(self._log, epoch.name, Position(state.confirmed)):
                _LOG.warning("removed an object that a crash of the store left half written", key=key)
            start = min(covered(self._log, epoch), Position(state.confirmed))
            if start < epoch.snapshot_end:
                raise source.SourceLostError(f"objects of the snapshot of epoch {epoch.name} are gone")
            self._tables = {table: read_table_state(self._log, epoch.name, table) for table in options.tables}
            self._features.catch_up(
                self._log, epoch, lambda count: self._report_count("changes are in the features", count)
            )
            replication = source.Replication(self._url)
            try:
                replication.start(options.slot, options.publication, state.confirmed, self._binary)
                store = self._features.store
                store.keep(FLUSHED, str(state.confirmed))
                uploader = Uploader(
                    self._log, epoch.name, start, options.writers, options.most_events, options.object_seconds
                )
                try:
                    with CheckpointThread(store, FLUSHED, options.feedback_seconds) as checkpoints, store.writing():
                        Flow(self, epoch, connection, replication, uploader, checkpoints, state.confirmed).run()
                finally:
                    uploader.close()
            finally:
                replication.close()


def _sha256(dump: RestoredDump | None) -> str | None:
    return None if dump is None else dump.sha256
