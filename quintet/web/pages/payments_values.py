"""The values of a dimension on the payments page: how many payments each has, against what is usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from fastapi import Request

from quintet.payments import slices
from quintet.payments import store as payment_store
from quintet.payments.detector import STATUSES
from quintet.payments.dimensions import MOST_VALUES, OTHERS
from quintet.payments.incidents import VOLUME, series_name
from quintet.payments.service import PaymentsService
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.web.rendering import Filter, Option, Table
from quintet.web.service import service_of

PATH = "/payments"
_MOST_ROWS = 50


def value_filters(request: Request) -> list[Filter]:
    """Return the filters of the drill-down; none if no dimension is declared."""
    dimensions = _dimensions(request)
    if not dimensions:
        return []
    dimension, status = _chosen(request)
    return [
        Filter("by", "By", "select", [Option(one, _words(one)) for one in dimensions], [dimension], "No dimension"),
        Filter("of", "Share of", "select", [Option(one, series_name(one)) for one in STATUSES], [status], "Denied"),
    ]


def values_table(request: Request) -> tuple[Table | None, str]:
    """Return the table of the chosen dimension over the last hour, if one is chosen, and a sentence about it."""
    dimension, status = _chosen(request)
    store = service_of(request).store
    last = payment_store.last_point_minute(store)
    if not dimension or last is None:
        return None, ""
    frame, distinct = slices.breakdown(store, dimension, status, last)
    frame = frame.assign(share=frame["count"] / frame["exposure"].where(frame["exposure"] > 0))
    frame["value"] = frame["value"].where(frame["value"] != "", "not given")
    name = _words(dimension)
    columns = (
        Column("value", name.capitalize()),
        Column("approved", "Approved", "count"),
        Column("count", series_name(status).capitalize(), "count"),
        Column("share", "Share", "percent"),
        Column("usual_share", "Usual share", "percent"),
        Column("excess", "Above usual", "count"),
    )
    words = (
        f"{counted(distinct, f'value of {name}', f'values of {name}')} with payments in the last hour. A share is "
        f"of what was approved or denied, the usual one of the last {slices.HISTORY_DAYS} days."
    )
    if distinct > MOST_VALUES:
        words += f" The {MOST_VALUES - 1:,} largest are kept apart, the rest is counted as {OTHERS}."
    table = Table(
        pd.DataFrame(frame[:_MOST_ROWS]),
        columns,
        f"Payments by {name}",
        len(frame),
        nothing="No payment of the last hour has a value.",
    )
    return table, words


def with_links(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the values that explain an incident: words, share and the address of the drill-down."""
    status = "denied" if row["series"] == VOLUME else row["series"]
    return [
        {
            "words": f"{_words(one['dimension'])} {one['value']}",
            "share": f"{one['share']:.0%}",
            "href": f"{PATH}?{urlencode({'day': 'live', 'by': one['dimension'], 'of': status})}#values",
        }
        for one in row.get("values", ())
    ]


def _dimensions(request: Request) -> Sequence[str]:
    return service_of(request).of(PaymentsService).live.monitor.dimensions


def _chosen(request: Request) -> tuple[str, str]:
    dimension, status = request.query_params.get("by", ""), request.query_params.get("of", "")
    return dimension if dimension in _dimensions(request) else "", status if status in STATUSES else "denied"


def _words(dimension: str) -> str:
    return dimension.replace("_", " ")
