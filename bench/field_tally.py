"""The handler that each reader of the change stream gives its rows to; it imports nothing of the project."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BACKLOG, LATER = "payment", "loan"
"""The table of the rows that wait before a reader starts, and that of the rows committed while it reads."""


class Tally:
    """Counts the rows of a backlog, and records when each later row arrived.

    first, last: the ids of the backlog's rows. end: the id of the row in `BACKLOG` after which the reader stops.
    answer: writes a line of JSON to the parent, one when the backlog is read and one at the end.
    """

    def __init__(self, first: int, last: int, end: int, answer: Callable[[object], None]) -> None:
        self._first, self._last, self._end, self._answer = first, last, end, answer
        self._rows, self._sum, self._in_first_batch = 0, 0, 0
        self._first_at = 0.0
        self._seen: list[tuple[int, float]] = []
        self.has_ended = False

    def take(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Take a batch: each row's table, and its values by column."""
        now, before = time.time(), self._rows
        for table, row in rows:
            number = row["id"]
            if table == LATER:
                self._seen.append((number, now))
            elif self._first <= number <= self._last:
                self._rows += 1
                self._sum += number
            elif number == self._end:
                self.has_ended = True
        if self._rows > before:
            self._note(before)
        if self.has_ended:
            self._answer({"seen": self._seen, "mb": _peak_mb()})

    def _note(self, before: int) -> None:
        if before == 0:
            self._first_at, self._in_first_batch = time.time(), self._rows
        if before < self._last - self._first + 1 <= self._rows:
            seconds = time.time() - self._first_at
            each = {"rows": self._rows, "sum": self._sum, "first_at": self._first_at}
            self._answer(each | {"after_first": self._rows - self._in_first_batch, "seconds": seconds})


def _peak_mb() -> float:
    """Return the peak resident memory; `getrusage` would count the parent's until this program was started."""
    status = Path("/proc/self/status").read_text("utf-8")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1e3
