"""The stream: from the log of PostgreSQL into the features and the object store, without loss and without a gap.

Belongs here: the order of things and what happens when a part of the world is away. Three promises hold it together:

- PostgreSQL is told that a transaction is safe only when the object store has acknowledged it and all before it.
- The features carry their place in the log within their own transaction, so what comes again changes nothing.
- What cannot go on without loss ends the stream with a message; only a person asks for a new snapshot.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import obstore
import psycopg
import structlog

from quintet.changelog.change import Change, Position
from quintet.changelog.lake import covered
from quintet.changelog.log import (
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
from quintet.online.features import Keeper
from quintet.stream import metrics, source
from quintet.stream.pgoutput import Begin, Commit, Decoder, Relation, UnknownTypeError
from quintet.stream.tables import (
    TableState,
    after_relation,
    first_state,
    is_quarantined,
    read_table_state,
    write_table_state,
)
from quintet.stream.upload import Piece, Uploader

_LOG = structlog.get_logger()
_FLUSHED = "flushed"
_SECONDS_TO_FINISH = 10
_REPORT_SECONDS = 5.0
_ADVICE = "Find out why; then begin anew with: python -m quintet.stream --new-snapshot"


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


class _ReadAgainError(Exception):
    """What was left in PostgreSQL's log can be read now."""


class _OtherBookError(Exception):
    """The tables were replaced by those of another dump."""


@dataclass
class _Transaction:
    """What of the open transaction has not been handed on."""

    commit_lsn: int = 0
    committed_at: str = ""
    changes: list[Change] = field(default_factory=list)
    is_open: bool = False


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
            except _ReadAgainError:
                _LOG.info("the object store answers again: reading what was left in the log of PostgreSQL")
            except _OtherBookError:
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
        until, is_told = time.monotonic() + self._options.start_seconds, False
        while not self.stop.is_set():
            try:
                return self._epoch(new_snapshot)
            except (source.SourceAwayError, psycopg.OperationalError, obstore.exceptions.GenericError) as error:
                if time.monotonic() > until or is_refusal(error):
                    raise
                if not is_told:
                    _LOG.warning("waiting for PostgreSQL and the object store", reason=str(error).strip()[:300])
                    is_told = True
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
                raise source.SourceLostError(f"the object store has lost the log that the features are of. {_ADVICE}")
            if state is None:
                raise source.SourceLostError(f"slot {slot} is gone, and with it what was committed since. {_ADVICE}")
            if state.wal_status == "lost":
                raise source.SourceLostError(
                    f"PostgreSQL has given up the log that slot {slot} needs (max_slot_wal_keep_size). {_ADVICE}"
                )
            if cluster != last.source or state.confirmed < last.snapshot_end.lsn:
                raise source.SourceLostError(f"slot {slot} is not of the database that the log is of. {_ADVICE}")
            flushed = self._features.store.fact(_FLUSHED)
            if self._features.store.fact(EPOCH) == last.name and flushed and state.confirmed > int(flushed):
                raise source.SourceLostError(
                    f"slot {slot} stands at {source.lsn_text(state.confirmed)}, beyond what this stream acknowledged "
                    f"({source.lsn_text(int(flushed))}): somebody moved it or made it anew. {_ADVICE}"
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
                raise source.SourceLostError(f"slot {options.slot} is {'gone' if state is None else 'lost'}. {_ADVICE}")
            for key in remove_damaged(self._log, epoch.name, Position(state.confirmed)):
                _LOG.warning("removed an object that a crash of the store left half written", key=key)
            start = min(covered(self._log, epoch), Position(state.confirmed))
            if start < epoch.snapshot_end:
                raise source.SourceLostError(f"objects of the snapshot of epoch {epoch.name} are gone")
            self._tables = {table: read_table_state(self._log, epoch.name, table) for table in options.tables}
            self._features.replay(
                self._log, epoch, lambda count: self._report_count("changes are in the features", count)
            )
            replication = source.Replication(self._url)
            try:
                replication.start(options.slot, options.publication, state.confirmed, self._binary)
                store = self._features.store
                store.keep(_FLUSHED, str(state.confirmed))
                uploader = Uploader(
                    self._log, epoch.name, start, options.writers, options.most_events, options.object_seconds
                )
                try:
                    with Keeper(store, _FLUSHED, options.feedback_seconds) as keeper, store.writing():
                        _Pump(self, epoch, connection, replication, uploader, keeper, state.confirmed).run()
                finally:
                    uploader.close()
            finally:
                replication.close()


class _Pump:
    """One connection's worth of flow: what is received goes to the features and to the uploader."""

    def __init__(
        self,
        stream: Stream,
        epoch: Epoch,
        connection: psycopg.Connection,
        replication: source.Replication,
        uploader: Uploader,
        keeper: Keeper,
        confirmed: int,
    ) -> None:
        self._stream, self._options, self._epoch = stream, stream._options, epoch
        self._connection, self._replication = connection, replication
        self._uploader, self._keeper = uploader, keeper
        self._decoder = Decoder(stream._binary)
        self._open = _Transaction()
        self._pieces: list[Piece] = []
        self._piece = Piece([], Position(0), None)
        self._events = 0
        self._is_shedding = False
        self._confirmed = self._kept = self._acknowledged = confirmed
        self._sent = confirmed
        self._next_feedback = self._next_heartbeat = self._next_watch = 0.0

    def run(self) -> None:
        """Receive changes, apply and upload them until the stream is to stop."""
        self._stream.ready.set()
        _LOG.info("receiving changes", epoch=self._epoch.name, after=source.lsn_text(self._confirmed))
        while not (self._stream.stop.is_set() or self._is_caught_up()):
            if self._must_hold_back():
                time.sleep(0.005)
            else:
                arrived = self._replication.receive(0.02)
                self._take(arrived.messages)
                self._sent = max(self._sent, arrived.sent)
                self._next_feedback = 0.0 if arrived.wants_reply else self._next_feedback
            self._hand_on()
            self._look_after(time.monotonic())
        self._uploader.finish(_SECONDS_TO_FINISH)
        self._note_safe()
        self._keeper.keep()
        self._feed_back()

    def _is_caught_up(self) -> bool:
        """Whether all that was asked for is safe in the object store; never where the stream has no end."""
        return self._stream._until is not None and self._confirmed >= self._stream._until

    def _must_hold_back(self) -> bool:
        """Whether too much waits for the object store; while that refuses, features go on and the rest stays behind."""
        if self._is_shedding:
            if not self._uploader.is_failing and self._uploader.is_idle:
                metrics.SHEDDING.set(0)
                raise _ReadAgainError
            return False
        if self._uploader.waiting_events < self._options.most_waiting:
            return False
        if self._uploader.is_failing:
            _LOG.warning("the object store refuses: features go on, the log waits in PostgreSQL")
            self._uploader.drop_waiting()
            self._is_shedding = True
            metrics.SHEDDING.set(1)
            return False
        return True

    def _take(self, messages: list[bytes]) -> None:
        for message in self._decoder.decode_all(messages, source.HEADER):
            if isinstance(message, Change):
                self._take_change(message)
            elif isinstance(message, Begin):
                self._open = _Transaction(message.commit_lsn, message.committed_at, is_open=True)
            elif isinstance(message, Relation):
                self._take_relation(message)
            elif isinstance(message, Commit):
                self._open.is_open = False
                self._close_piece(Position(message.end_lsn), message.end_lsn)

    def _take_change(self, change: Change) -> None:
        state = self._stream._tables.get(change.table)
        aside = state is not None and state.quarantined_from is not None and is_quarantined(state, change.position)
        (self._piece.quarantined if aside else self._piece.changes).append(change)
        self._events += 1
        if self._events >= self._options.most_events:
            self._close_piece(Position(change.commit_lsn, change.sequence + 1), None)

    def _take_relation(self, relation: Relation) -> None:
        known = self._stream._tables.get(relation.table)
        if known is None:
            return
        pending = len(self._piece.changes) + len(self._piece.quarantined)
        last = (self._piece.changes + self._piece.quarantined)[-1:] if pending else []
        at = Position(self._open.commit_lsn, last[0].sequence + 1 if last else 0)
        after = after_relation(known, relation, at)
        if after is known:
            return
        self._stream._tables[relation.table] = after
        self._piece.tables.append(after)
        if after.quarantined_from is not None:
            _LOG.error(
                "a table is set aside: its columns changed in a way that breaks readers. Its changes go to quarantine; "
                "begin anew with: python -m quintet.stream --new-snapshot",
                table=relation.table,
            )
        else:
            _LOG.info("a table has new columns", table=relation.table, schema=relation.schema)

    def _close_piece(self, end: Position, flushable: int | None) -> None:
        self._piece.end, self._piece.flushable = end, flushable
        self._pieces.append(self._piece)
        self._piece = Piece([], Position(0), None)

    def _hand_on(self) -> None:
        """Apply what is complete to the features, and give it to the uploader."""
        if not self._pieces:
            return
        pieces, self._pieces, self._events = self._pieces, [], 0
        changes = [change for piece in pieces for change in piece.changes]
        aside = [change for piece in pieces for change in piece.quarantined]
        for table, count in Counter(change.table for change in (*changes, *aside)).items():
            metrics.EVENTS.labels(table).inc(count)
        flushable = [piece.flushable for piece in pieces if piece.flushable is not None]
        self._stream._features.apply(changes, pieces[-1].end, flushable[-1] if flushable else None)
        if changes:
            age = max(self._stream._clock() - _unix(changes[-1].committed_at), 0.0)
            metrics.LAG_SECONDS.set(age)
            metrics.APPLY_SECONDS.observe(age)
        if not self._is_shedding:
            self._uploader.offer(pieces)

    def _look_after(self, now: float) -> None:
        if now >= self._next_feedback:
            self._feed_back()
            self._next_feedback = now + self._options.feedback_seconds
        if now >= self._next_heartbeat:
            self._ask("select pg_logical_emit_message(true, 'quintet', 'heartbeat')")
            self._next_heartbeat = now + self._options.heartbeat_seconds
        if now >= self._next_watch:
            self._watch()
            self._next_watch = now + self._options.watch_seconds

    def _feed_back(self) -> None:
        """Tell PostgreSQL what is safe and noted as such, the note being safe from a power cut itself."""
        self._note_safe()
        self._acknowledged = max(self._acknowledged, int(self._keeper.kept or 0))
        self._replication.acknowledge(self._acknowledged, self._stream._clock())
        metrics.LAG_BYTES.set(max(self._sent - self._acknowledged, 0))

    def _note_safe(self) -> None:
        """Note what is acknowledged by the store. Where nothing is under way, that is all that PostgreSQL has sent."""
        safe = max(self._confirmed, self._uploader.flushed or 0)
        is_quiet = not self._open.is_open and not self._pieces and not self._is_shedding and self._uploader.is_idle
        if is_quiet:
            safe = max(safe, self._sent)
        self._confirmed = safe
        if safe != self._kept:
            self._stream._features.store.keep(_FLUSHED, str(safe))
            self._kept = safe

    def _watch(self) -> None:
        try:
            state, dump = source.slot_state(self._connection, self._options.slot), restored_dump(self._connection)
        except psycopg.OperationalError as error:
            raise source.broken(error) from None
        if state is None:
            raise source.SourceLostError(f"slot {self._options.slot} was dropped. {_ADVICE}")
        if _sha256(dump) != self._epoch.dump:
            raise _OtherBookError
        metrics.RETAINED.set(state.retained_bytes)
        if state.retained_bytes > self._options.retained_bytes:
            _LOG.error("PostgreSQL keeps more log for the slot than it should", bytes=state.retained_bytes)
        for table, known in self._stream._tables.items():
            metrics.QUARANTINED.labels(table).set(known.quarantined_from is not None)

    def _ask(self, statement: str) -> None:
        try:
            self._connection.execute(statement.encode())
        except psycopg.OperationalError as error:
            raise source.broken(error) from None


def _sha256(dump: RestoredDump | None) -> str | None:
    return None if dump is None else dump.sha256


def _unix(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
