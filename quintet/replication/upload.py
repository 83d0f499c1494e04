"""Upload micro-batches to the object store, and track up to where the log is safe there."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from quintet.change_log.change import Change, Position
from quintet.change_log.log import ObjectStore, Stretch, write_stretch
from quintet.replication import metrics
from quintet.replication.tables import TableState, write_table_state

_LOG = structlog.get_logger()
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass
class Piece:
    """A part of the log that follows the piece before it.

    end: its end. flushable: the LSN to acknowledge once this piece and all before it are safe; None inside a
    transaction. tables: new states of tables. quarantined: changes of quarantined tables.
    """

    changes: list[Change]
    end: Position
    flushable: int | None
    tables: list[TableState] = field(default_factory=list)
    quarantined: list[Change] = field(default_factory=list)


class Uploader:
    """Writes pieces to `store`, several in one object while the writers are busy. start: of the first piece.

    least_seconds: least time between the starts of two objects, which keeps small commits from making many objects; a
    commit after a pause is written at once.
    """

    def __init__(
        self,
        store: ObjectStore,
        epoch: str,
        start: Position,
        writers: int = 2,
        most_events: int = 5_000,
        least_seconds: float = 0.0,
    ) -> None:
        self._store, self._epoch, self._most_events, self._least_seconds = store, epoch, most_events, least_seconds
        self._may_begin = 0.0
        self._next_start = start
        self._waiting: deque[Piece] = deque()
        self._waiting_events = 0
        self._in_flight: dict[int, int | None] = {}
        self._done: dict[int, int | None] = {}
        self._taken = self._safe = 0
        self._flushed: int | None = None
        self._failing = 0
        self._closed = False
        self._condition = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"upload-{n}", daemon=True) for n in range(writers)]
        for thread in self._threads:
            thread.start()

    @property
    def flushed(self) -> int | None:
        """The LSN before which every object is acknowledged; None if there is none yet."""
        with self._condition:
            return self._flushed

    @property
    def waiting_events(self) -> int:
        """Changes that wait for a writer."""
        with self._condition:
            return self._waiting_events

    @property
    def is_idle(self) -> bool:
        """Whether everything that was offered is acknowledged."""
        with self._condition:
            return not self._waiting and not self._in_flight

    @property
    def is_failing(self) -> bool:
        """Whether the store refuses writes at the moment."""
        with self._condition:
            return self._failing > 0

    def offer(self, pieces: Sequence[Piece]) -> None:
        """Queue pieces, in their order."""
        with self._condition:
            self._waiting.extend(pieces)
            self._waiting_events += sum(len(piece.changes) + len(piece.quarantined) for piece in pieces)
            metrics.WAITING.set(self._waiting_events)
            self._condition.notify_all()

    def drop_waiting(self) -> None:
        """Drop the pieces that no writer has started; they have to be read again from `flushed` on."""
        with self._condition:
            self._waiting.clear()
            self._waiting_events = 0
            metrics.WAITING.set(0)

    def close(self) -> None:
        """End the threads; pieces that are not acknowledged have to be sent again."""
        with self._condition:
            self._closed = True
            self._waiting.clear()
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def finish(self, seconds: float) -> None:
        """Wait until everything is acknowledged, at most `seconds`, and end the threads."""
        until = time.monotonic() + seconds
        with self._condition:
            while (self._waiting or self._in_flight) and (left := until - time.monotonic()) > 0:
                self._condition.wait(left)
        self.close()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            number, stretch, pieces = taken
            if not self._write(stretch, pieces):
                return
            self._acknowledge(number, pieces)

    def _take(self) -> tuple[int, Stretch, list[Piece]] | None:
        with self._condition:
            while not self._closed:
                early = self._may_begin - time.monotonic() if self._waiting else None
                if early is not None and early <= 0:
                    break
                self._condition.wait(early)
            if self._closed:
                return None
            self._may_begin = time.monotonic() + self._least_seconds
            pieces: list[Piece] = []
            events = 0
            while self._waiting and events < self._most_events:
                piece = self._waiting.popleft()
                pieces.append(piece)
                events += len(piece.changes) + len(piece.quarantined)
            self._waiting_events -= events
            metrics.WAITING.set(self._waiting_events)
            stretch = Stretch(self._epoch, self._next_start, pieces[-1].end)
            self._next_start = stretch.end
            number, self._taken = self._taken, self._taken + 1
            self._in_flight[number] = None
            return number, stretch, pieces

    def _write(self, stretch: Stretch, pieces: Sequence[Piece]) -> bool:
        """Write an object, with retries, until it is acknowledged; return False if the uploader is closed meanwhile."""
        pause, has_failed = _FIRST_PAUSE_SECONDS, False
        quarantined = [change for piece in pieces for change in piece.quarantined]
        while True:
            try:
                for table in (table for piece in pieces for table in piece.tables):
                    write_table_state(self._store, table)
                if quarantined:
                    target = Stretch(stretch.epoch, stretch.start, stretch.end, prefix="quarantine")
                    write_stretch(self._store, target, quarantined)
                size = write_stretch(self._store, stretch, (change for piece in pieces for change in piece.changes))
            except Exception as error:  # retry after any error: nothing may be lost
                metrics.RETRIES.inc()
                _LOG.warning(
                    "the object store refuses", key=stretch.key, error=str(error)[:300], again_in_seconds=pause
                )
                with self._condition:
                    self._failing += not has_failed
                    has_failed = True
                    self._condition.wait_for(lambda: self._closed, pause)
                    if self._closed:
                        return False
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                continue
            metrics.BATCHES.inc()
            metrics.BATCH_BYTES.inc(size)
            with self._condition:
                self._failing -= has_failed
            return True

    def _acknowledge(self, number: int, pieces: Sequence[Piece]) -> None:
        flushable = [piece.flushable for piece in pieces if piece.flushable is not None]
        with self._condition:
            del self._in_flight[number]
            self._done[number] = flushable[-1] if flushable else None
            while self._safe in self._done:
                lsn = self._done.pop(self._safe)
                self._flushed = lsn if lsn is not None else self._flushed
                self._safe += 1
            self._condition.notify_all()
