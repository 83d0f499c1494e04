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
from quintet.lending.loan_book import restored_dump
from quintet.replication import database, metrics
from quintet.replication.pgoutput import Begin, Commit, Decoder, Relation
from quintet.replication.tables import after_relation, is_quarantined
from quintet.replication.upload import Piece, Uploader
from quintet.state.features import CheckpointThread

if TYPE_CHECKING:
    from quintet.replication.run import Stream

_LOG = structlog.get_logger()
FLUSHED = "flushed"
"""The fact of the feature store with the LSN that was acknowledged to PostgreSQL."""

ADVICE = "Find the cause; then start a new epoch with: python -m quintet.replication --new-snapshot"
_SECONDS_TO_FINISH = 10


class ReadAgainError(Exception):
    """The object store answers again, so changes left in PostgreSQL's log can be read."""


class OtherBookError(Exception):
    """The tables were replaced with another dump's tables."""


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
        confirmed: int,
    ) -> None:
        self._stream, self._options, self._epoch = stream, stream._options, epoch
        self._connection, self._replication = connection, replication
        self._uploader, self._checkpoints = uploader, checkpoints
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
        """Receive, apply and upload changes until the stream stops."""
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
        state = self._stream._tables.get(change.table)
        is_out = state is not None and state.quarantined_from is not None and is_quarantined(state, change.position)
        (self._piece.quarantined if is_out else self._piece.changes).append(change)
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
                "a table is quarantined: its columns changed incompatibly. Its changes go to quarantine; "
                "start a new epoch with: python -m quintet.replication --new-snapshot",
                table=relation.table,
            )
        else:
            _LOG.info("a table has new columns", table=relation.table, schema=relation.schema)

    def _close_piece(self, end: Position, flushable: int | None) -> None:
        self._piece.end, self._piece.flushable = end, flushable
        self._pieces.append(self._piece)
        self._piece = Piece([], Position(0), None)

    def _deliver(self) -> None:
        """Apply the complete pieces to the features, and send them to the uploader."""
        if not self._pieces:
            return
        pieces, self._pieces, self._events = self._pieces, [], 0
        changes = [change for piece in pieces for change in piece.changes]
        quarantined = [change for piece in pieces for change in piece.quarantined]
        for table, count in Counter(change.table for change in (*changes, *quarantined)).items():
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
            state, dump = database.slot_state(self._connection, self._options.slot), restored_dump(self._connection)
        except psycopg.OperationalError as error:
            raise database.broken(error) from None
        if state is None:
            raise database.ChangesLostError(f"replication slot {self._options.slot} was dropped. {ADVICE}")
        if (None if dump is None else dump.sha256) != self._epoch.dump:
            raise OtherBookError
        metrics.RETAINED.set(state.retained_bytes)
        if state.retained_bytes > self._options.retained_bytes:
            _LOG.error("PostgreSQL keeps too much log for the slot", bytes=state.retained_bytes)
        for table, known in self._stream._tables.items():
            metrics.QUARANTINED.labels(table).set(known.quarantined_from is not None)

    def _ask(self, statement: str) -> None:
        try:
            self._connection.execute(statement.encode())
        except psycopg.OperationalError as error:
            raise database.broken(error) from None


def _unix(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()
