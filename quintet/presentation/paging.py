"""Which block of a report begins a page, and how high each chart is, so that no page stays half empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

FILLED = 0.66
"""A page ends before the next message only where at least this share of it is filled."""

_SAFE = 0.97
"""The share of a page's height that is planned: measured heights differ slightly from those on the page."""


@dataclass(frozen=True)
class Item:
    """A block with its height in points, spacing and the heading of its section included.

    least, most: between these its height may change; both are `height` for anything but a chart. floor: the same where
    its page would stay empty otherwise. breaks: whether it may continue on the next page. starts: whether it begins a
    message. flows: whether it may begin anywhere on a page, as in an appendix.
    """

    height: float
    least: float
    most: float
    floor: float
    breaks: bool = False
    starts: bool = False
    flows: bool = False


@dataclass(frozen=True)
class Placed:
    """Whether an item begins a page, and its height in points."""

    begins_page: bool
    height: float


def paginate(items: Sequence[Item], page_height: float) -> tuple[Placed, ...]:
    """Return the place of each item, in order.

    A message begins a page, unless the page before would stay less than `FILLED`: then they share the page. Charts grow
    or shrink to fill the page. An item that may break continues on the next page.
    """
    planned = page_height * _SAFE
    placed = [Placed(False, item.height) for item in items]
    page: list[int] = []
    carried = 0.0  # of an item that continues from the page before

    def close() -> None:
        for at, height in zip(page, _fitted([items[at] for at in page], planned - carried), strict=True):
            placed[at] = replace(placed[at], height=height)
        page.clear()

    for at, item in enumerate(items):
        least, most, floor = (
            carried + sum(getattr(items[each], name) for each in page) for name in ("least", "most", "floor")
        )
        is_filled = most >= FILLED * planned
        fits = least + item.least <= planned or (not is_filled and floor + item.floor <= planned)
        flows_on = item.breaks and (item.flows or not is_filled or item.height > planned)
        begins = bool(page or carried) and ((item.starts and not item.flows and is_filled) or not (fits or flows_on))
        if begins:
            close()
            carried, fits = 0.0, item.height <= planned
            placed[at] = replace(placed[at], begins_page=True)
        if item.breaks and not fits:
            natural = carried + sum(items[each].height for each in page)
            page.clear()
            carried = (natural + item.height) % planned
        else:
            page.append(at)
    close()
    return tuple(placed)


def _fitted(page: Sequence[Item], room: float) -> list[float]:
    """Return the heights of the items of a page, such that they fill the room as far as they may."""
    heights = [item.height for item in page]
    spare = room - sum(heights)
    limits = [(item.most if spare > 0 else item.floor) - item.height for item in page]
    total = sum(limits)
    if not total:
        return heights
    share = min(spare / total, 1.0)
    return [height + limit * share for height, limit in zip(heights, limits, strict=True)]
