"""The event router: apply received changes to the features, and send them to the uploader."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
import structlog

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch
from quintet.replicated import COMMITTED_AT
from quintet.replication import database, metrics
from quintet.replication.guard import ADVICE, Guard
from quintet.replication.pgoutput import Begin, Commit, Decoder, Relation
from quintet.replication.upload import Piece, Uploader
from quintet.state.features import CheckpointThread

if TYPE_CHECKING:
    from quintet.replication.run import Stream

_LOG = structlog.get_logger()
FLUSHED = "flushed"
"""The fact of the feature store with the LSN that was acknowledged to PostgreSQL."""

_SECONDS_TO_FINISH = 10


class ReadAgainError(Exception):
    """The object store answers again, so changes left in PostgreSQL's log can be read."""


@dataclass
class _Transaction:
    """The changes of the open transaction that are not applied yet."""

    commit_lsn: int = 0
    committed_at: str = ""
    changes: list[Change] = field(default_factory=list)
    is_open: bool = False


class Flow:
    """Routes the changes of one replication connection to the features and to the uploader."""

    def __init__(
        self,
        stream: Stream,
        epoch: Epoch,
        connection: psycopg.Connection,
        replication: database.Replication,
        uploader: Uploader,
        checkpoints: CheckpointThread,
        guard: Guard,
        confirmed: int,
        place: Position,
        codec: str,
    ) -> None:
        self._stream, self._options, self._epoch = stream, stream._options, epoch
        self._connection, self._replication = connection, replication
        self._uploader, self._checkpoints = uploader, checkpoints
        self._guard, self._decoder = guard, Decoder(stream._binary, codec)
        self._end, self._last_commit_at = place, stream._features.store.fact(COMMITTED_AT) or epoch.completed_at
        self._open = _Transaction()
        self._pieces: list[Piece] = []
        self._piece = Piece([], Position(0), None)
        self._events = 0
        self._is_shedding = False
        self._confirmed = self._kept = self._acknowledged = confirmed
        self._sent = confirmed
        self._next_feedback = self._next_heartbeat = self._next_watch = 0.0

    def run(self) -> None:
        """Receive, apply and upload changes until the stream stops."""
        self._check_catalogs()
        self._stream.ready.set()
        _LOG.info("receiving changes", epoch=self._epoch.name, after=database.lsn_text(self._confirmed))
        while not (self._stream.stop.is_set() or self._is_caught_up()):
            if self._must_hold_back():
                time.sleep(0.005)
            else:
                arrived = self._replication.receive(0.02)
                self._take(arrived.messages)
                self._sent = max(self._sent, arrived.sent)
                self._next_feedback = 0.0 if arrived.wants_reply else self._next_feedback
            self._deliver()
            self._look_after(time.monotonic())
        self._uploader.finish(_SECONDS_TO_FINISH)
        self._note_safe()
        self._checkpoints.keep()
        self._feed_back()

    def _is_caught_up(self) -> bool:
        """Return whether the log up to the stream's end is in the object store; False if the stream has no end."""
        return self._stream._until is not None and self._confirmed >= self._stream._until

    def _must_hold_back(self) -> bool:
        """Return whether too many changes wait for the object store; while it fails, stop uploading instead."""
        if self._is_shedding:
            if not self._uploader.is_failing and self._uploader.is_idle:
                metrics.SHEDDING.set(0)
                raise ReadAgainError
            return False
        if self._uploader.waiting_events < self._options.most_waiting:
            return False
        if self._uploader.is_failing:
            _LOG.warning("the object store refuses: features are updated, and the log waits in PostgreSQL")
            self._uploader.drop_waiting()
            self._is_shedding = True
            metrics.SHEDDING.set(1)
            return False
        return True

    def _take(self, messages: list[bytes]) -> None:
        for message in self._decoder.decode_all(messages, database.HEADER):
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
        if self._stream.is_forgotten(change):
            return
        (self._piece.quarantined if self._guard.is_held(change) else self._piece.changes).append(change)
        self._events += 1
        if self._events >= self._options.most_events:
            self._close_piece(Position(change.commit_lsn, change.sequence + 1), None)

    def _take_relation(self, relation: Relation) -> None:
        pending = len(self._piece.changes) + len(self._piece.quarantined)
        last = (self._piece.changes + self._piece.quarantined)[-1:] if pending else []
        at = Position(self._open.commit_lsn, last[0].sequence + 1 if last else 0)
        self._piece.tables += self._guard.take(relation, at, self._last_commit_at)

    def _close_piece(self, end: Position, flushable: int | None) -> None:
        self._piece.end, self._piece.flushable = end, flushable
        self._pieces.append(self._piece)
        self._piece = Piece([], Position(0), None)

    def _deliver(self) -> None:
        """Apply the complete pieces to the features, and send them to the uploader."""
        if not self._pieces:
            return
        self._check_catalogs()
        pieces, self._pieces, self._events = self._pieces, [], 0
        changes = [change for piece in pieces for change in piece.changes]
        quarantined = [change for piece in pieces for change in piece.quarantined]
        for table, count in Counter(change.name for change in (*changes, *quarantined)).items():
            metrics.EVENTS.labels(str(table)).inc(count)
        flushable = [piece.flushable for piece in pieces if piece.flushable is not None]
        self._end, applied_lsn = pieces[-1].end, flushable[-1] if flushable else None
        for row in self._stream._features.apply(changes, self._end, applied_lsn, self._guard.incomplete):
            metrics.QUARANTINED_ROWS.labels(row.table).inc()
            _LOG.error("a row is quarantined", table=row.table, key=row.key, reason=row.reason)
        if changes:
            self._last_commit_at = changes[-1].committed_at
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
        """Acknowledge to PostgreSQL what is safe and recorded as such in a synced checkpoint."""
        self._note_safe()
        self._acknowledged = max(self._acknowledged, int(self._checkpoints.kept or 0))
        self._replication.acknowledge(self._acknowledged, self._stream._clock())
        metrics.LAG_BYTES.set(max(self._sent - self._acknowledged, 0))

    def _note_safe(self) -> None:
        """Record what the object store has acknowledged; with nothing in flight, that is all PostgreSQL has sent."""
        safe = max(self._confirmed, self._uploader.flushed or 0)
        is_quiet = not self._open.is_open and not self._pieces and not self._is_shedding and self._uploader.is_idle
        if is_quiet:
            safe = max(safe, self._sent)
        self._confirmed = safe
        if safe != self._kept:
            self._stream._features.store.keep(FLUSHED, str(safe))
            self._kept = safe

    def _watch(self) -> None:
        try:
            state = database.slot_state(self._connection, self._options.slot)
        except psycopg.OperationalError as error:
            raise database.broken(error) from None
        if state is None:
            raise database.ChangesLostError(f"replication slot {self._options.slot} was dropped. {ADVICE}")
        self._check_catalogs()
        metrics.RETAINED.set(state.retained_bytes)
        if state.retained_bytes > self._options.retained_bytes:
            _LOG.error("PostgreSQL keeps too much log for the slot", bytes=state.retained_bytes)
        for table, known in self._guard.states.items():
            metrics.QUARANTINED.labels(str(table)).set(known.incomplete is not None)

    def _check_catalogs(self) -> None:
        """Check publication and tables, and hold the changes of quarantined tables back that are not applied yet."""
        if self._guard.check(self._end, self._last_commit_at):
            for piece in (*self._pieces, self._piece):
                piece.quarantined += [change for change in piece.changes if self._guard.is_held(change)]
                piece.changes = [change for change in piece.changes if not self._guard.is_held(change)]

    def _ask(self, statement: str) -> None:
        try:
            self._connection.execute(statement.encode())
        except psycopg.OperationalError as error:
            raise database.broken(error) from None


def _unix(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
