"""Keep a PostgreSQL that hangs from keeping its callers waiting.

An address that does not answer, or a server that stands still, is noticed by one caller. Until it answers again, others
are refused at once: requests are answered by what needs no database, and the rest with 503 in time.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

LOOP_SECONDS = 2.0
"""How long a statement may last on an event loop, which answers nobody meanwhile."""

_SLOW_SECONDS = 0.5
"""A connection that was refused faster was refused by a server, which may accept the next one."""

_PAUSE_SECONDS = 0.2

Connection = psycopg.Connection[Any]


class Reachability:
    """Opens connections, and ends statements that hang. Thread-safe. connect: opens a connection."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._fault = ""
        self._closed = threading.Event()
        self._deadlines: dict[int, tuple[float, Connection]] = {}
        self._watch: threading.Thread | None = None

    def open(self) -> Connection:
        """Open a connection. Raises psycopg.OperationalError, at once while the server is known not to answer."""
        if self._fault:
            raise psycopg.OperationalError(self._fault)
        began = time.monotonic()
        try:
            return self._connect()
        except psycopg.OperationalError as error:
            if time.monotonic() - began > _SLOW_SECONDS:
                self._refuse_until_it_answers(str(error))
            raise

    @contextmanager
    def limited(self, connection: Connection) -> Iterator[None]:
        """End the connection if the body lasts too long on an event loop; elsewhere it may take its time."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            yield
            return
        key = id(connection)
        with self._lock:
            self._deadlines[key] = time.monotonic() + LOOP_SECONDS, connection
            self._start_watch()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(key, None)

    def close(self) -> None:
        """End the threads."""
        self._closed.set()

    def _refuse_until_it_answers(self, fault: str) -> None:
        with self._lock:
            if self._fault or self._closed.is_set():
                return
            self._fault = fault
        threading.Thread(target=self._ask, name="state database", daemon=True).start()

    def _ask(self) -> None:
        while not self._closed.wait(_PAUSE_SECONDS):
            with suppress(psycopg.Error):
                self._connect().close()
                break
        self._fault = ""

    def _start_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._end_late_ones, name="state statements", daemon=True)
            self._watch.start()

    def _end_late_ones(self) -> None:
        while not self._closed.wait(_PAUSE_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [key for key, (until, _) in self._deadlines.items() if until < now]
                for key in late:
                    _, connection = self._deadlines.pop(key)
                    _cut(connection)


def _cut(connection: Connection) -> None:
    """Shut the socket of a connection down, which ends the wait of the thread that uses it."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.shutdown(socket.SHUT_RDWR)
