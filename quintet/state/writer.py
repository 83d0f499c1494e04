"""Group commit: a thread writes all waiting changes of many callers as one transaction, with one disk sync."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any, TypeVar

from quintet.state.store import Connection, StateStore

Result = TypeVar("Result")

_MOST_TOGETHER = 500
_CHECKPOINT_SECONDS = 1.0
MOST_FRAMES = 2_048
"""Pages in SQLite's log above which it is restarted."""

_Waiting = tuple[Callable[[Connection], Any], Future[Any]]


class Writer:
    """Writes for many callers, in the order of their calls. Nothing is written before `start`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._ends, self._is_log_long = threading.Event(), threading.Event()

    def start(self) -> None:
        """Start the threads."""
        for work in (self._write_all, self._checkpoint) if self._store.is_file else (self._write_all,):
            self._threads.append(threading.Thread(target=work, name=f"{self._store.path.stem} writer", daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Write what is waiting, and stop the threads."""
        self._ends.set()
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def run(self, write: Callable[[Connection], Result]) -> Future[Result]:
        """Queue a write, alone or in a shared transaction; the future has its result once it is on the disk.

        write: changes something with one statement at most, which needs no transaction when alone; each further
        statement would wait for the interpreter again. If one write fails, the whole transaction is rolled back and
        every caller in it gets the error.
        """
        future: Future[Result] = Future()
        self._waiting.put((write, future))
        return future

    def _write_all(self) -> None:
        if self._store.is_file:  # the checkpoint thread moves the log: no write waits for it
            self._store.read().execute("pragma wal_autocheckpoint = 0")
        while (first := self._waiting.get()) is not None:
            group, is_last = [first], False
            while len(group) < _MOST_TOGETHER and not is_last:
                try:
                    following = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    is_last = True
                else:
                    group.append(following)
            self._write(group)
            if self._is_log_long.is_set():
                self._is_log_long.clear()
                # Almost nothing is left: after this all of the log is in the file, and the next write restarts it.
                self._store.read().execute("pragma wal_checkpoint(passive)").fetchone()
            if is_last:
                break

    def _write(self, group: Sequence[_Waiting]) -> None:
        try:
            # In PostgreSQL only a transaction holds the lock of writers.
            is_alone = self._store.is_file and len(group) == 1
            with nullcontext(self._store.read()) if is_alone else self._store.write() as connection:
                results = [write(connection) for write, _ in group]
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)

    def _checkpoint(self) -> None:
        """Move SQLite's log into the file in the background; let the writer move the rest where it is long."""
        connection = self._store.read()
        while not self._ends.wait(_CHECKPOINT_SECONDS):
            frames = connection.execute("pragma wal_checkpoint(passive)").fetchone()[1]
            if frames > MOST_FRAMES:
                self._is_log_long.set()
