"""Read the items of a request to payments: minute counts and transactions, with their values of dimensions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from quintet.payments.incidents import to_datetime
from quintet.payments.items import Item
from quintet.payments.monitor import AHEAD, is_ahead
from quintet.web.problems import Fault, ProblemError
from quintet.web.routes.payments_models import ITEMS, MOST_ITEMS

_MOST_FAULTS = 20


def items_of(body: Any, now: dt.datetime, dimensions: Sequence[str] = ()) -> list[Item]:
    """Return the items of a body: one, a list, or `{"items": […]}`. Raises ProblemError 413, or 422 with each fault.

    dimensions: the fields that an item may have beside its own.
    """
    if isinstance(body, dict) and set(body) == {"items"}:
        body = body["items"]
    given = body if isinstance(body, list) else [body]
    if len(given) > MOST_ITEMS:
        raise ProblemError(413, f"{len(given):,} items in one request; send at most {MOST_ITEMS:,} at a time")
    if not given:
        raise ProblemError(422, "the list is empty; send at least one item")
    values: list[tuple[tuple[str, str], ...]] = [()] * len(given)
    if dimensions:
        given, values = _split(given, dimensions)
    try:
        items = [one.item() for one in ITEMS.validate_python(given)]
    except ValidationError as error:
        faults = [
            Fault(
                where=".".join(["body", *(str(part) for part in found["loc"])]),
                what=_unknown_field(dimensions) if found["type"] == "extra_forbidden" else found["msg"],
            )
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise _refused(faults) from None
    ahead = [place for place, item in enumerate(items) if is_ahead(item.minute, now)]
    if ahead:
        clock = f"the service's clock is at {now:%Y-%m-%d %H:%M} UTC"
        raise _refused(
            [
                Fault(
                    where=f"body.{place}.minute_at",
                    what=f"{to_datetime(items[place].minute):%Y-%m-%d %H:%M} UTC has not begun: {clock} "
                    f"({AHEAD.total_seconds():.0f} s ahead are allowed). Send times with their zone, like +02:00",
                )
                for place in ahead
            ]
        )
    if not dimensions:
        return items
    return [replace(item, values=own) if own else item for item, own in zip(items, values, strict=True)]


def _split(given: Sequence[Any], dimensions: Sequence[str]) -> tuple[list[Any], list[tuple[tuple[str, str], ...]]]:
    """Return the items without their values of dimensions, and these; null is no value."""
    rest: list[Any] = []
    values: list[tuple[tuple[str, str], ...]] = []
    faults: list[Fault] = []
    for place, one in enumerate(given):
        own: list[tuple[str, str]] = []
        if isinstance(one, dict):
            for name in dimensions:
                value = one.get(name)
                if isinstance(value, str) and value:
                    own.append((name, value))
                elif isinstance(value, int) and not isinstance(value, bool):  # such as the number of an acquirer
                    own.append((name, str(value)))
                elif value not in (None, ""):
                    faults.append(Fault(where=f"body.{place}.{name}", what="a value of a dimension is a text"))
            rest.append({name: value for name, value in one.items() if name not in dimensions})
        else:
            rest.append(one)
        values.append(tuple(own))
    if faults:
        raise _refused(faults)
    return rest, values


def _unknown_field(dimensions: Sequence[str]) -> str:
    declared = ", ".join(dimensions) or "none"
    return f"an item has no such field; dimensions are named in QUINTET_PAYMENTS_DIMENSIONS (now {declared})"


def _refused(faults: Sequence[Fault]) -> ProblemError:
    shown = list(faults[:_MOST_FAULTS])
    more = f"; and {len(faults) - len(shown):,} more faults" if len(faults) > len(shown) else ""
    detail = "no item was stored: " + "; ".join(f"{fault.where}: {fault.what}" for fault in shown[:3]) + more
    return ProblemError(422, detail, errors=shown)
