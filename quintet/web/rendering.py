"""Rendering of pages: the template environment, the parts of a context, and the static files.

The context of each template is in `quintet.web.contexts`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import mimetypes
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
import pandas as pd

from quintet.presentation import design
from quintet.presentation.design import Column, Figure, Kind
from quintet.presentation.wording import counted
from quintet.web import vega
from quintet.web.template_filters import FILTERS

STATIC_ROOT = "/static"
STALE_AFTER = dt.timedelta(hours=26)
"""A day between scheduled runs, and two hours of tolerance."""

MOST_TABLE_ROWS = 200
"""The most rows of a table on a page; the CSV has all."""

_FOLDER = Path(__file__).parent
_TEXT_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

State = Literal["good", "warning", "critical", "none"]


@dataclass(frozen=True)
class NavItem:
    """An entry of the navigation. count: what waits there."""

    label: str
    href: str
    count: str = ""


@dataclass(frozen=True)
class SnapshotAge:
    """The snapshot of a page: its id and when it was published (UTC, with its zone).

    behind: the state of the page's domain in words, if its tables are not those of the last build. fault: why this is
    not the current snapshot, if that cannot be opened.
    """

    snapshot_id: str
    published_at: dt.datetime
    behind: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Shell:
    """The layout around a page: title, navigation, snapshot (None where the page shows none), signed-in key.

    path: of the page, to mark its entry in the navigation. prefix: the proxy's path before all addresses.
    """

    title: str
    path: str
    nav: Sequence[NavItem] = ()
    snapshot: SnapshotAge | None = None
    signed_in_as: str | None = None
    prefix: str = ""


@dataclass(frozen=True)
class Option:
    """A value that a filter can take."""

    value: str
    label: str


@dataclass(frozen=True)
class Filter:
    """One filter: its parameter, label, kind, options and selected values.

    select: one of the options, or none with the label `nothing`. many: any of the options. text: free text, with the
    options as suggestions. date: a day; two options are the first and the last that exist.
    """

    name: str
    label: str
    kind: Literal["select", "many", "text", "date"]
    options: Sequence[Option] = ()
    selected: Sequence[str] = ()
    nothing: str = "All"


@dataclass(frozen=True)
class FilterBar:
    """The filters of a page and the path they are sent to.

    problem: why they cannot be used; its first word is the name of the filter that is wrong.
    """

    action: str
    filters: Sequence[Filter]
    problem: str | None = None

    @property
    def faulty(self) -> str | None:
        """The name of the filter that the problem is about: its first word; None if there is no such filter."""
        first = re.match(r"\w+", self.problem or "")
        return first[0] if first and first[0] in {one.name for one in self.filters} else None

    @property
    def label_problem(self) -> str:
        """The problem with the labels of the filters in place of their names."""
        labels = {one.name: one.label for one in self.filters}
        words = re.sub(r"\b\w+\b", lambda word: labels.get(word[0], word[0]), self.problem or "")
        return words[:1].upper() + words[1:]


@dataclass(frozen=True)
class Tab:
    """A part of a page with an address of its own, so that it can be shared and needs no script."""

    label: str
    href: str
    is_shown: bool = False


@dataclass(frozen=True)
class Kpi:
    """A key figure: value and change as numbers, `trend` the values of the periods in order, None for a gap.

    change: against `change_against` (text), formatted as `change_kind`; better: whether more is better, None if
    neither. basis: what the figure is computed from, such as "63 agencies, 4,120 rows".
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
    """A figure with the address of its CSV, and the address of an agency's page with `{agency_id}` in it.

    most_rows: the most rows of its table on the page; the CSV has all.
    """

    figure: Figure
    csv_url: str | None = None
    link: str | None = None
    most_rows: int = MOST_TABLE_ROWS


@dataclass(frozen=True)
class Table:
    """A table: rows, column formats, the total number of rows, and the address of the CSV with all of them.

    link: a column and the address it links to, with `{column}` in it for the row's values.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    caption: str
    total_rows: int
    csv_url: str | None = None
    link: tuple[str, str] | None = None
    nothing: str = "There are no rows."


@dataclass(frozen=True)
class DomainCard:
    """A business on the overview: its page, its number, and the state of the business in words."""

    name: str
    href: str
    kpi: Kpi
    state: State
    state_in_words: str


@dataclass(frozen=True)
class DataState:
    """The data of a domain on the overview. note: why it is not up to date; empty if it is."""

    name: str
    state: State
    state_in_words: str
    built_at: str
    last_file: str
    quarantined: str
    note: str = ""


@dataclass(frozen=True)
class StaticFile:
    """A static file: its content as it is sent, gzipped or not."""

    media_type: str
    content: bytes
    is_gzipped: bool = False


def render(template: str, shell: Shell, **context: Any) -> str:
    """Return the HTML of a page. Raises jinja2.UndefinedError if `context` lacks a name that the template needs."""
    return environment().get_template(template).render(shell=shell, prefix=shell.prefix, **context)


def render_figure(panel: Panel, span: int, prefix: str) -> str:
    """Return the HTML of a figure, to be put into a page as it is. span: columns of twelve; prefix: of addresses."""
    parts: Any = environment().get_template("macros.html").make_module({"prefix": prefix})
    return str(parts.figure_block(panel, span))


@cache
def environment() -> jinja2.Environment:
    """Return the template environment; everything is escaped unless it is marked as HTML."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "url": _url,
        "value": design.format_value,
        "compact": design.compact,
        "counted": counted,
        **FILTERS,
    }
    templates.globals |= {
        "static_url": _prefixed_static_url,
        "currency": design.CURRENCY,
        "missing": design.MISSING,
        "stale_seconds": int(STALE_AFTER.total_seconds()),
        "most_table_rows": MOST_TABLE_ROWS,
    }
    return templates


@cache
def static_version() -> str:
    """Return a hash over the sources of the static files: part of their address, which lets clients cache them."""
    made = hashlib.sha256(vega.version().encode())
    for name, make in sorted(_GENERATED.items()):
        made.update(name.encode() + make())
    for path in _own_files():
        made.update(path.name.encode() + path.read_bytes())
    return made.hexdigest()[:12]


def static_url(name: str) -> str:
    """Return the path of a static file."""
    return f"{STATIC_ROOT}/{static_version()}/{name}"


def static_files(cache_folder: Path) -> dict[str, StaticFile]:
    """Return every static file by its name; takes seconds if the chart bundle is not cached yet.

    cache_folder: where the bundle is cached.
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


@jinja2.pass_context
def _url(context: jinja2.runtime.Context, path: str) -> str:
    """Return the address of a path of this service; a template imports macros that use it `with context`."""
    return f"{context['prefix']}{path}"


@jinja2.pass_context
def _prefixed_static_url(context: jinja2.runtime.Context, name: str) -> str:
    return _url(context, static_url(name))
