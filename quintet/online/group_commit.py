"""Writing for many at once: what several threads want to write goes into one transaction and one wait for the disk.

Belongs here: grouping the writes. What is written belongs to the caller.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass

from quintet.online.store import Store


@dataclass
class _Ticket:
    write: Callable[[sqlite3.Connection], None]
    is_done: bool = False
    error: BaseException | None = None


class GroupCommit:
    """Runs writes of many threads; a caller goes on once its own write is on the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Ticket] = []
        self._queue, self._leading = threading.Lock(), threading.Lock()

    def run(self, write: Callable[[sqlite3.Connection], None]) -> None:
        """Write within a transaction that others may share. Raises what the transaction raised; nothing is kept then.

        write: insert-only statements; where those of one caller fail, all of that transaction's callers are told.
        """
        ticket = _Ticket(write)
        with self._queue:
            self._waiting.append(ticket)
        with self._leading:
            # Whoever came first has written for all who waited behind it.
            if not ticket.is_done:
                self._write_all()
        if ticket.error is not None:
            raise ticket.error

    def _write_all(self) -> None:
        with self._queue:
            group, self._waiting = self._waiting, []
        try:
            with self._store.write() as connection:
                for ticket in group:
                    ticket.write(connection)
        except BaseException as error:
            for ticket in group:
                ticket.error = error
        finally:
            for ticket in group:
                ticket.is_done = True
