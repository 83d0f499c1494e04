"""Doing for many at once what several threads ask for at the same time.

Belongs here: grouping the callers. What is done for a group belongs to the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Ticket(Generic[Item, Result]):
    """turn is held until the ticket is done, or its caller is to work for the next group."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.results: list[Result] = []
        self.error: BaseException | None = None
        self.is_done = False
        self.turn = threading.Lock()
        self.turn.acquire()


class Together(Generic[Item, Result]):
    """While one group is at work, the callers that come meanwhile become the next one.

    work: gives a result for each item of a group, in order. It runs in the thread of one of its callers, and never
    twice at a time. Nobody is overtaken: who waits is in the next group, and goes on as soon as that is done.
    """

    def __init__(self, work: Callable[[list[Item]], Sequence[Result]]) -> None:
        self._work = work
        self._waiting: list[_Ticket[Item, Result]] = []
        self._is_busy = False
        self._queue = threading.Lock()

    def run(self, item: Item) -> Result:
        """The item's result. Raises what the group's work raised, for each of its callers."""
        ticket: _Ticket[Item, Result] = _Ticket(item)
        with self._queue:
            self._waiting.append(ticket)
            leads, self._is_busy = not self._is_busy, True
        if not leads:
            ticket.turn.acquire()
        if not ticket.is_done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.results[0]

    def _lead(self) -> None:
        """Work for all who wait, then hand over to the first of those who came meanwhile."""
        with self._queue:
            group, self._waiting = self._waiting, []
        try:
            for ticket, result in zip(group, self._work([ticket.item for ticket in group]), strict=True):
                ticket.results.append(result)
        except BaseException as error:
            for ticket in group:
                ticket.error = error
        finally:
            for ticket in group:
                ticket.is_done = True
                ticket.turn.release()
            with self._queue:
                self._is_busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].turn.release()
