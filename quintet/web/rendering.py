"""Pages from templates: the environment, the filters, what each template takes, and the static files.

`render(template, shell, **context)` gives the HTML. Every template has the `Shell` as `shell`. Beside it they take:

- `overview.html`: `domains` (sequence of `DomainRow`), `batches` and `rejected` (`Table`).
- `insurance.html`: `filters` (`FilterBar`), `announcement` (str: what is shown, in a sentence, read out after a change
  of filters), `kpis` (sequence of `Kpi`), `figures` (mapping of a figure's name to `Panel`; those that are absent are
  left out), `table` (`Table`: the agencies), `report_url` (str: the report runner with the same filters).
- `insurance_agency.html`: `agency_id`, `facts` (mapping of label to text), `back_url` (the insurance page with its
  filters), `kpis`, `figures`, `table`.
- `conversions.html`: `filters`, `announcement`, `kpis`, `figures`, `insights` (sequence of heading and its `Insight`s),
  `clocks` (sequence of str: what was learned of each partner's), `table` (`Table`: the comparisons), `files` (sequence
  of `Option`: address and name of each file that is there).
- `lending_decisions.html`: `filters`, `announcement`, `faults` (sequence of str: files that were refused), `in_force`
  (pairs of what and version), `committed_at` (str or None), `kpis`, `figures`, `trace` (None, or a mapping with
  `problem` or all that made one decision), `table` (`Table`), `is_bounded` and `most` (whether only so many are shown).
- `lending_model.html`: `kpis`, `figures`, `facts`, `versions` (`Table`), `reasons` (code to sentence).
- `lending_what_if.html`: `filters`, `announcement`, `words` (the limits in a sentence), `kpis`, `figures`.
- `reports.html`: `filters`, `announcement`, `preview` (`Table`, or None where `problem` says why there is none),
  `totals` (sequence of `Kpi`), `downloads` (sequence of `Option`: address and name of each format), `problem` (str or
  None), `history` (`Table`).
- `payments.html`: `filters`, `announcement`, `is_live`, `day`, `summary` (str: how it is, in a sentence), `states`
  (sequence of a series' name, state, words and since), `kpis`, `series` (names of the figures of series),
  `series_count`, `figures`,
  `incidents` (sequence of mappings as the API gives them, with `name`), `incidents_url`, `silences` (sequence of id,
  what, until, who, comment), `silence_for` (minutes to words), `silence_series` (pairs of series and name),
  `can_handle` (whether the reader may acknowledge and silence), `checkout_sentences` (pairs of whether an hour is
  marked, and the words), `messages` (`Table`).
- `sign_in.html`: `next_page` (str), `message` (str or None).
- `error.html`: `problem` (with title, status, detail, instance, request_id, errors of where and what).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import mimetypes
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from quintet.presentation import design
from quintet.presentation.design import Column, Figure, Kind
from quintet.web import vega

STATIC_ROOT = "/static"
STALE_AFTER = dt.timedelta(hours=26)
"""The schedule publishes each day; two hours are its grace."""

MOST_TABLE_ROWS = 200
"""Rows of a table on a page; the CSV has all."""

_FOLDER = Path(__file__).parent
_TEXT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

State = Literal["good", "warning", "critical", "none"]


@dataclass(frozen=True)
class NavItem:
    """An entry of the rail; one without `href` does not exist yet and is no link."""

    label: str
    href: str | None = None


@dataclass(frozen=True)
class SnapshotAge:
    """Which snapshot a page shows: its id and when it was published (UTC, with its zone)."""

    snapshot_id: str
    published_at: dt.datetime


@dataclass(frozen=True)
class Shell:
    """What surrounds a page: its title, the rail, the snapshot (None where the page shows none), who is signed in.

    path: of the page, so that its entry in the rail is marked.
    """

    title: str
    path: str
    nav: Sequence[NavItem] = ()
    snapshot: SnapshotAge | None = None
    signed_in_as: str | None = None


@dataclass(frozen=True)
class Option:
    """A value that a filter can take."""

    value: str
    label: str


@dataclass(frozen=True)
class Filter:
    """One filter: its parameter, label, how it is asked for, what can be chosen and what is.

    select: one of the options, or none with the label `nothing`. many: any of the options. text: typed, the options are
    suggestions.
    """

    name: str
    label: str
    kind: Literal["select", "many", "text"]
    options: Sequence[Option] = ()
    selected: Sequence[str] = ()
    nothing: str = "All"


@dataclass(frozen=True)
class FilterBar:
    """The filters of a page and the path that takes them."""

    action: str
    filters: Sequence[Filter]
    problem: str | None = None


@dataclass(frozen=True)
class Kpi:
    """A key figure: value and change as numbers, `trend` the values of the periods in order, None for a gap.

    change: against `change_against` (in words), written as `change_kind`; better: whether more is better, None where
    that cannot be said. basis: what the figure is made of, such as "63 agencies, 4,120 rows".
    """

    label: str
    value: float | None
    kind: Kind
    unit: str = ""
    change: float | None = None
    change_against: str = ""
    change_kind: Literal["percent", "points"] = "percent"
    better: bool | None = None
    trend: Sequence[float | None] = ()
    basis: str = ""


@dataclass(frozen=True)
class Panel:
    """A figure with the address of its CSV, and that of the page of an agency with `{agency_id}` in it."""

    figure: Figure
    csv_url: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Table:
    """A table: rows, how its columns are written, how many rows there are in all, and where all of them are.

    link: column to address, with `{column}` in it for the row's values.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    caption: str
    total_rows: int
    csv_url: str | None = None
    link: tuple[str, str] | None = None
    nothing: str = "There are no rows."


@dataclass(frozen=True)
class DomainRow:
    """A domain on the overview: its headline, what changed, how it is, and how fresh."""

    name: str
    headline: str
    state: State
    state_in_words: str
    freshness: str
    change: str = ""
    href: str | None = None


@dataclass(frozen=True)
class StaticFile:
    """A file that pages load: its content as it is sent, packed or not."""

    media_type: str
    content: bytes
    is_gzipped: bool = False


def render(template: str, shell: Shell, **context: Any) -> str:
    """The HTML of a page. Raises jinja2.UndefinedError where the template needs what `context` lacks."""
    return environment().get_template(template).render(shell=shell, **context)


@cache
def environment() -> jinja2.Environment:
    """The templates, their filters and globals; everything is escaped unless it is marked as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "value": design.format_value,
        "compact": design.compact,
        "change": _change,
        "verdict": _verdict,
        "arrow": _arrow,
        "moment": _moment,
        "sortable": _sortable,
        "rows": _rows,
        "sparkline": _sparkline,
        "figure_json": _figure_json,
        "fill": _fill,
        "prose": _prose,
    }
    templates.globals |= {
        "static_url": static_url,
        "currency": design.CURRENCY,
        "missing": design.MISSING,
        "stale_seconds": int(STALE_AFTER.total_seconds()),
        "most_table_rows": MOST_TABLE_ROWS,
    }
    return templates


@cache
def static_version() -> str:
    """A hash over all that the static files are made of: it stands in their address, so they can be kept for ever."""
    made = hashlib.sha256(vega.version().encode())
    for name, make in sorted(_GENERATED.items()):
        made.update(name.encode() + make())
    for path in _own_files():
        made.update(path.name.encode() + path.read_bytes())
    return made.hexdigest()[:12]


def static_url(name: str) -> str:
    """The address of a static file."""
    return f"{STATIC_ROOT}/{static_version()}/{name}"


def static_files(cache_folder: Path) -> dict[str, StaticFile]:
    """Every static file by its name; may take seconds, as the bundle that draws charts is made if it is not kept yet.

    cache_folder: where the bundle is kept.
    """
    files = {path.name: StaticFile(_media_type(path.name), path.read_bytes()) for path in _own_files()}
    files |= {name: StaticFile(_media_type(name), make()) for name, make in _GENERATED.items()}
    files["vega.js"] = StaticFile(_media_type("vega.js"), vega.bundle(cache_folder), is_gzipped=True)
    return files


def _own_files() -> list[Path]:
    return sorted(path for path in (_FOLDER / "static").iterdir() if path.is_file())


def _themes() -> bytes:
    themes = {scheme: design.vega_config(scheme) for scheme in design.COLOURS}
    return f"export const themes = {json.dumps(themes, separators=(',', ':'))};\n".encode()


_GENERATED: Mapping[str, Callable[[], bytes]] = {"tokens.css": lambda: design.css().encode(), "themes.js": _themes}


def _media_type(name: str) -> str:
    kind = _TEXT_TYPES.get(Path(name).suffix)
    return f"{kind}; charset=utf-8" if kind else mimetypes.guess_type(name)[0] or "application/octet-stream"


def _change(kpi: Kpi) -> str:
    """+3.2%, or +1.4 points for the difference of two shares."""
    if kpi.change is None or not math.isfinite(kpi.change):
        return design.MISSING
    if kpi.change_kind == "percent":
        return design.format_value(kpi.change, "change")
    points = f"{kpi.change * 100:+.1f}".replace("-", "−")
    return f"{'0.0' if points[1:] == '0.0' else points} points"


def _verdict(kpi: Kpi) -> str:
    """good, bad or flat: whether the change is for the better, as far as it can be read from what is written."""
    written = _change(kpi)
    if kpi.better is None or written[0] not in "+−":
        return "flat"
    return "good" if (written[0] == "+") == kpi.better else "bad"


def _arrow(kpi: Kpi) -> str:
    return {"+": "▲", "−": "▼"}.get(_change(kpi)[0], "■")


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _sortable(value: Any) -> str:
    """What a browser sorts by: the exact value; empty, and so last, where there is none."""
    return "" if design.is_missing(value) else str(value)


def _rows(frame: pd.DataFrame, columns: Sequence[Column], most: int) -> list[dict[str, Any]]:
    """The first rows as mappings; a column that the frame lacks is missing in each."""
    shown = frame.reindex(columns=[column.name for column in columns]).head(most).astype(object)
    return [{str(name): value for name, value in row.items()} for row in shown.to_dict("records")]


def _sparkline(values: Sequence[float | None], width: int = 96, height: int = 28) -> Markup:
    """A tiny line of the values, gaps left open, the last one dotted; nothing for fewer than two."""
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
    """The specification as JSON that cannot end the script element it stands in."""
    text = json.dumps(figure.spec(), separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _prose(text: str) -> Markup:
    """A sentence that begins with a capital, what stands between backticks as code."""
    escaped = str(escape(text[:1].upper() + text[1:]))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))


def _fill(template: str, row: Mapping[str, Any]) -> str:
    """An address with the row's values in it."""
    return template.format_map({name: design.format_value(value, "identifier") for name, value in row.items()})
