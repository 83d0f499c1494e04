"""The filters of templates that format values: changes, moments, rows of tables, sparklines, figures."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup, escape

from quintet.presentation import design

if TYPE_CHECKING:
    from quintet.presentation.design import Column, Figure
    from quintet.web.rendering import Kpi


def _change(kpi: Kpi) -> str:
    """Format a change: +3.2%, or +1.4 points for the difference of two shares."""
    if kpi.change is None or not math.isfinite(kpi.change):
        return design.MISSING
    if kpi.change_kind == "percent":
        return design.format_value(kpi.change, "change")
    return f"{design.format_value(kpi.change, 'points')} points"


def _verdict(kpi: Kpi) -> str:
    """Return good, bad or flat for the change as it is displayed."""
    written = _change(kpi)
    if kpi.better is None or written[0] not in "+−":
        return "flat"
    return "good" if (written[0] == "+") == kpi.better else "bad"


def _arrow(kpi: Kpi) -> str:
    return {"+": "▲", "−": "▼"}.get(_change(kpi)[0], "■")


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _utc_iso(value: Any) -> str:
    """Return a moment in UTC, a time or a text such as 2026-11-30 12:00, as ISO 8601 with its zone."""
    text = str(value).replace(" ", "T")
    return text if text.endswith(("Z", "+00:00")) else f"{text}Z"


def _sortable(value: Any) -> str:
    """Return the sort key for the browser: the exact value; empty, which sorts last, where there is none."""
    return "" if design.is_missing(value) else str(value)


def _rows(frame: pd.DataFrame, columns: Sequence[Column], most: int) -> list[dict[str, Any]]:
    """Return the first rows as mappings of all columns, as links need; one that the frame lacks is a missing value."""
    names = dict.fromkeys([*frame.columns, *(column.name for column in columns)])
    shown = frame.head(most).reindex(columns=list(names)).astype(object)
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]


def _sparkline(values: Sequence[float | None], width: int = 96, height: int = 28) -> Markup:
    """Return a sparkline of the values with gaps and a dot at the last one; empty for fewer than two."""
    plain = [None if value is None or design.is_missing(value) else float(value) for value in values]
    known = [value for value in plain if value is not None]
    if len(known) < 2:
        return Markup()
    low, high = min(known), max(known)
    span, margin = (high - low) or 1.0, 3
    points = [
        None
        if value is None
        else (
            margin + place * (width - 2 * margin) / (len(plain) - 1),
            height - margin - (value - low) / span * (height - 2 * margin),
        )
        for place, value in enumerate(plain)
    ]
    path, pen_is_down = [], False
    for point in points:
        if point:
            path.append(f"{'L' if pen_is_down else 'M'}{point[0]:.1f} {point[1]:.1f}")
        pen_is_down = point is not None
    x, y = next(point for point in reversed(points) if point)
    return Markup(
        f'<svg class="sparkline" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'<path d="{"".join(path)}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    )


def _figure_json(figure: Figure) -> Markup:
    """Return the specification as JSON that cannot close its script element."""
    text = json.dumps(figure.spec(), separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _prose(text: str) -> Markup:
    """Return a sentence with a capital first letter and text in backticks as code."""
    escaped = str(escape(text[:1].upper() + text[1:]))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))


def _fill(template: str, row: Mapping[str, Any]) -> str:
    """Return the address with the row's values filled in, percent-encoded."""
    return template.format_map(
        {name: quote(design.format_value(value, "identifier"), safe="") for name, value in row.items()}
    )


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "change": _change,
        "verdict": _verdict,
        "arrow": _arrow,
        "moment": _moment,
        "utc_iso": _utc_iso,
        "sortable": _sortable,
        "rows": _rows,
        "sparkline": _sparkline,
        "figure_json": _figure_json,
        "fill": _fill,
        "prose": _prose,
    }
)
"""The filters by their names in templates."""
