"""What the monitor receives and returns: items, verdicts, changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quintet.payments.incidents import APPROVED, VOLUME, Incident, Point


@dataclass(frozen=True)
class Item:
    """A count of a status in a minute; with a `transaction_id`, one transaction, which counts once.

    amount: of all that it counts, in currency. values: of dimensions, as they were written, by name; a count is of this
    combination of values alone.
    """

    minute: int
    status: str
    count: int = 1
    transaction_id: str | None = None
    amount: float | None = None
    values: tuple[tuple[str, str], ...] = ()

    @property
    def series(self) -> str:
        """The series of the item's status; the detector may count it under another."""
        return VOLUME if self.status == APPROVED else self.status


@dataclass(frozen=True)
class Verdict:
    """The recommendation for an item, with the point that it is based on.

    is_accepted: False if its minute was settled before. point: of the minute that the verdict is about, None before
    any is scored; that minute is earlier than the item's own while that is not complete.
    """

    item: Item
    recommendation: str
    reason: str
    is_accepted: bool
    point: Point | None
    incident_id: str | None


@dataclass(frozen=True)
class Change:
    """Points and incidents that are new or changed, because of items or the passing of time."""

    points: Sequence[Point]
    incidents: Sequence[Incident]
