"""Access of requests to the current snapshot."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import duckdb
import structlog

from quintet.row_policy import WHOLE, RowPolicy, fill_part
from quintet.state.binding import Binding
from quintet.warehouse.connect import connect_to_part
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

_OPENING_ATTEMPTS = 5
_WATCH_SECONDS = 0.05
_MOST_PARTS = 32
"""The parts of bound keys that stay in memory; another one replaces that which was read least recently."""
_RETRY_SECONDS = 5.0
"""How long the former snapshot is served until a current one that cannot be opened is tried again."""

_LOG = structlog.get_logger()


class TookTooLongError(RuntimeError):
    """A query was interrupted because it exceeded the time limit of a request."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot during one request: its id and a cursor of the request's own.

    published_at is UTC without zone. fault: why it is not the current one, if that cannot be opened. part: the digest
    of the binding whose rows alone it has; empty for the whole.
    """

    snapshot_id: str
    published_at: dt.datetime
    cursor: duckdb.DuckDBPyConnection
    fault: str = ""
    part: str = ""


class Readable(Protocol):
    """Where a request reads the current snapshot: the whole of it, or the part of its key."""

    def read(self) -> AbstractContextManager[Snapshot]:
        """Open the current snapshot. Raises NoSnapshotError, or TookTooLongError for slow queries of the body."""


@dataclass
class _Opened:
    path: Path
    connection: duckdb.DuckDBPyConnection
    snapshot_id: str
    published_at: dt.datetime
    readers: int = 0
    parts: OrderedDict[Binding, duckdb.DuckDBPyConnection] = field(default_factory=OrderedDict)
    filling: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Close the file, and the parts that were copied from it."""
        for part in self.parts.values():
            part.close()
        self.connection.close()


class Snapshots:
    """Opens the current snapshot of a serving folder for requests; thread-safe.

    If a new one cannot be opened, the former one is served and the new one is tried again every few seconds; after a
    start the former one is the latest file that can be opened.
    A file is opened once, and closed when a newer one is current and its last request has ended: a request reads
    one snapshot from start to end, whatever is published meanwhile.
    """

    def __init__(
        self, serving: Path, longest_seconds: float, policies: Mapping[str, RowPolicy] = MappingProxyType({})
    ) -> None:
        self._serving = serving
        self._longest_seconds = longest_seconds
        self._policies = policies
        self._lock = threading.Lock()
        self._current: _Opened | None = None
        self._deadlines: dict[duckdb.DuckDBPyConnection, float] = {}
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None
        self._retry_at = 0.0
        self._fault = ""

    def read(self) -> AbstractContextManager[Snapshot]:
        """Open the current snapshot. Raises NoSnapshotError, or TookTooLongError for slow queries of the body."""
        return self._reading(None)

    def part_of(self, binding: Binding) -> Part:
        """Return the part of the current snapshot that keys with this binding see."""
        return Part(self._reading, binding)

    @contextmanager
    def _reading(self, binding: Binding | None) -> Iterator[Snapshot]:
        opened, fault = self._acquire()
        try:
            cursor = opened.connection.cursor() if binding is None else self._cursor_of(opened, binding)
            with self._lock:
                self._deadlines[cursor] = time.monotonic() + self._longest_seconds
            try:
                part = "" if binding is None else binding.digest
                yield Snapshot(opened.snapshot_id, opened.published_at, cursor, fault, part)
            except duckdb.InterruptException as error:
                raise TookTooLongError(f"the query took longer than {self._longest_seconds:g} s") from error
            finally:
                with self._lock:
                    self._deadlines.pop(cursor, None)
                cursor.close()
        finally:
            self._release(opened)

    def _cursor_of(self, opened: _Opened, binding: Binding) -> duckdb.DuckDBPyConnection:
        """Return a cursor to the part of an opened snapshot, which is copied into memory the first time."""
        with opened.filling:
            if binding not in opened.parts:
                opened.parts[binding] = connect_to_part(
                    opened.path, WHOLE, lambda connection: fill_part(connection, binding, self._policies)
                )
            opened.parts.move_to_end(binding)
            while len(opened.parts) > _MOST_PARTS:
                opened.parts.popitem(last=False)[1].close()  # its memory stays while a cursor reads it
            return opened.parts[binding].cursor()

    def close(self) -> None:
        """Close the file and stop the thread that enforces time limits."""
        self._closed.set()
        if self._watch is not None:
            self._watch.join()
        with self._lock:
            current, self._current = self._current, None
            if current is not None and current.readers == 0:
                current.close()

    def _acquire(self) -> tuple[_Opened, str]:
        """Return the current snapshot for a reader; the former one and why, if the current one cannot be opened."""
        for attempt in range(1, _OPENING_ATTEMPTS + 1):
            with self._lock:
                try:
                    self._open_current()
                except (duckdb.Error, NoSnapshotError, OSError) as error:
                    # perhaps removed after it was found, because newer ones have been published meanwhile
                    if attempt < _OPENING_ATTEMPTS and not isinstance(error, NoSnapshotError):
                        continue
                    if self._current is None:
                        self._current = None if isinstance(error, NoSnapshotError) else self._open_former()
                    if self._current is None:
                        raise
                    _LOG.error("the current snapshot cannot be opened; the former one is served", error=str(error))
                    self._retry_at = time.monotonic() + _RETRY_SECONDS
                    self._fault = "the current snapshot cannot be opened, and the one before it is shown; see the log"
                assert self._current is not None
                self._current.readers += 1
                return self._current, self._fault
        raise NoSnapshotError(f"no snapshot in {self._serving} could be opened")

    def _open_current(self) -> None:
        """Open the current snapshot unless it is open, or could not be opened a moment ago."""
        if self._current is not None and time.monotonic() < self._retry_at:
            return
        path = current_snapshot(self._serving)
        if self._current is not None and self._current.path == path:
            self._fault = ""
            return
        opened = _open(path)
        self._fault = ""
        former, self._current = self._current, opened
        if former is not None and former.readers == 0:
            former.close()
        self._start_watch()

    def _open_former(self) -> _Opened | None:
        """Open the latest other snapshot that can be opened; None if there is none."""
        current = current_snapshot(self._serving)
        others = [path for path in self._serving.glob("*.duckdb") if not path.is_symlink() and path != current]
        for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                opened = _open(path)
            except (duckdb.Error, OSError):
                continue
            self._start_watch()
            return opened
        return None

    def _release(self, opened: _Opened) -> None:
        with self._lock:
            opened.readers -= 1
            if opened.readers == 0 and opened is not self._current:
                opened.close()

    def _start_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._interrupt_late_ones, name="time limits", daemon=True)
            self._watch.start()

    def _interrupt_late_ones(self) -> None:
        while not self._closed.wait(_WATCH_SECONDS):
            now = time.monotonic()
            with self._lock:
                for cursor in [cursor for cursor, deadline in self._deadlines.items() if deadline < now]:
                    cursor.interrupt()


@dataclass(frozen=True)
class Part:
    """The part of the current snapshot that keys with a binding see."""

    reading: Callable[[Binding], AbstractContextManager[Snapshot]]
    binding: Binding

    def read(self) -> AbstractContextManager[Snapshot]:
        """Open the part of the current snapshot, as `Snapshots.read` does."""
        return self.reading(self.binding)


def _open(path: Path) -> _Opened:
    connection = open_snapshot(path)
    try:
        snapshot_id, published_at = connection.execute(
            "select snapshot_id, published_at from marts.snapshot"
        ).fetchone() or ("", dt.datetime.min)
    except BaseException:
        connection.close()
        raise
    return _Opened(path, connection, snapshot_id, published_at)
