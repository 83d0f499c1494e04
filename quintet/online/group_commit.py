"""Writing for many at once: what several threads want to write goes into one transaction and one wait for the disk.

Belongs here: the transaction that a group of writes shares. How callers are grouped belongs to `together.py`; what is
written belongs to the caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from quintet.online.store import Store
from quintet.online.together import Together

Write = Callable[[sqlite3.Connection], None]


class GroupCommit:
    """Runs writes of many threads; a caller goes on once its own write is on the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._together: Together[Write, None] = Together(self._write_all)

    def run(self, write: Write) -> None:
        """Write within a transaction that others may share. Raises what the transaction raised; nothing is kept then.

        write: insert-only statements; where those of one caller fail, all of that transaction's callers are told.
        """
        self._together.run(write)

    def _write_all(self, group: list[Write]) -> list[None]:
        with self._store.write() as connection:
            return [write(connection) for write in group]
