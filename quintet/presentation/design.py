"""Design tokens, chart themes and the definition of a figure.

A chart names no colour. It names a range (`category`, `heatmap`) or one of `STYLES`; the configuration assigns the
colours where it is drawn: `vega_config("light")` in notebooks and reports, both schemes on pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import altair as alt
import pandas as pd

from quintet.presentation.layers import without_empty_layers

Scheme = Literal["light", "dark"]
Kind = Literal[
    "text", "sentence", "identifier", "year", "moment", "count", "money", "percent", "change", "points", "decimal"
]
"""How a column is written. sentence: a text that wraps. points: the difference of two shares, in percentage points."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif'
MONOSPACE = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace'
CURRENCY = "USD"
MISSING = "–"
"""The text for a missing value; a zero is written as 0."""

COLOURS: Mapping[Scheme, Mapping[str, str]] = MappingProxyType(
    {
        "light": MappingProxyType(
            {
                "page": "#ffffff",
                "rail": "#f5f7f9",
                "raised": "#ffffff",
                "ink": "#15191e",
                "ink-muted": "#555f6a",
                "hairline": "#e1e5ea",
                "control": "#838d98",
                "accent": "#00629c",
                "accent-soft": "#e8f2f9",
                "on-accent": "#ffffff",
                "skeleton": "#edf0f3",
                "good": "#0a6a4b",
                "good-soft": "#e6f5ee",
                "warning": "#875200",
                "warning-soft": "#fff4de",
                "critical": "#b3261e",
                "critical-soft": "#fdeeec",
            }
        ),
        "dark": MappingProxyType(
            {
                "page": "#111418",
                "rail": "#0c0f12",
                "raised": "#1b2026",
                "ink": "#e9ecef",
                "ink-muted": "#a5aeb8",
                "hairline": "#2a3037",
                "control": "#76808b",
                "accent": "#70bdf0",
                "accent-soft": "#152a3a",
                "on-accent": "#0c1216",
                "skeleton": "#1d2228",
                "good": "#62cda5",
                "good-soft": "#12291f",
                "warning": "#f0b650",
                "warning-soft": "#2e2412",
                "critical": "#ff9488",
                "critical-soft": "#351a18",
            }
        ),
    }
)
"""Colours by purpose. Amber and red are for state only, and never without a word or a mark."""

CATEGORY: Mapping[Scheme, tuple[str, ...]] = MappingProxyType(
    {
        "light": ("#0072b2", "#009e73", "#cc79a7", "#8f8600", "#3d9bd4", "#3b3b3b", "#878f98", "#a2724a"),
        "dark": ("#3d94cc", "#009e73", "#cc79a7", "#b3aa36", "#9ad4f5", "#e4e6e9", "#868e97", "#b98a63"),
    }
)
"""Okabe and Ito's hues without the two near amber and red, each at least 3:1 against the page, and two more."""

RAMP: Mapping[Scheme, tuple[str, ...]] = MappingProxyType(
    {
        "light": ("#eef5fa", "#c3ddef", "#86b9dc", "#2c75a9", "#0b4f80"),
        "dark": ("#17222b", "#1d3a4f", "#265a7e", "#5a9fcc", "#b5def7"),
    }
)
"""One hue from low to high, in five classes."""

STRONG_CLASSES = 2
"""How many classes at the end of a ramp are so dark that labels on them take the page's colour."""

SPACE = 8
"""The step of all spacing, px."""

PHONE, TABLET, CONTENT = 600, 900, 1240
"""Widths, px: charts for phones below the first, the rail as a bar below the second; the last is the widest content."""

STYLES = (
    *("label", "label-strong", "label-on-cell", "label-on-strong-cell", "reference", "cursor"),
    *("interval-80", "interval-95", "faint-cell", "alert", "alert-span"),
)
"""The mark styles that a chart may name."""

_LIKE_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


_PATTERNS: Mapping[Kind, str] = MappingProxyType(
    {
        "moment": "%Y-%m-%d %H:%M",
        "count": ",.0f",
        "money": ",.0f",
        "percent": ".1%",
        "change": "+.1%",
        "decimal": ",.3f",
    }
)


@dataclass(frozen=True)
class Column:
    """One column of a figure's table: its name in the frame, its heading, how it is written, and its unit."""

    name: str
    label: str
    kind: Kind = "text"
    unit: str = ""

    @property
    def is_figure(self) -> bool:
        """Return whether it is aligned to the right."""
        return self.kind in {"count", "money", "percent", "change", "points", "decimal"}


@dataclass(frozen=True)
class FilledChart:
    """A chart whose specification is made once, as altair takes long, for charts that differ only in their rows.

    template: the specification. name: of its data. rows: the data.
    """

    template: Mapping[str, Any]
    name: str
    rows: Sequence[Mapping[str, object]]

    def to_dict(self, *, validate: bool = False) -> dict[str, Any]:
        """Return the specification with the rows. Raises ValueError if it is asked to check them."""
        if validate:
            raise ValueError("the rows of a filled chart are not checked; use validate=False")
        return {**self.template, "data": {"name": self.name, "values": self.rows}}


@dataclass(frozen=True)
class Figure:
    """A chart with a title, text and table that make it readable without sight, colour or JavaScript.

    name: a slug. title: the question or the finding, with its unit. alternative: a sentence with the main number.
    chart: without width and configuration; None where there is nothing to draw: `note` then says why and what to do.
    table: the data behind the chart, formatted by `columns`. note: what a reader must know to read it correctly.
    height: px that the chart takes.
    """

    name: str
    title: str
    alternative: str
    chart: alt.TopLevelMixin | FilledChart | None
    table: pd.DataFrame
    columns: tuple[Column, ...]
    note: str = ""
    height: int = 320

    def spec(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, without configuration. Raises ValueError if there is no chart."""
        if self.chart is None:
            raise ValueError(f"{self.name} has no chart: {self.note}")
        with alt.theme.enable("none"):
            spec: dict[str, Any] = self.chart.to_dict(validate=False)
        spec.pop("config", None)
        return without_empty_layers(spec)


def format_value(value: Any, kind: Kind) -> str:
    """Format a value for people: 17,507,847 · 94.4% · +3.2%; `MISSING` for null, NaN and infinity.

    A moment is written to the minute, in its own zone; one that is a text already stays as it is.
    """
    if is_missing(value):
        return MISSING
    if kind == "points":
        return _signed(f"{100 * value:+.1f}", kind)
    pattern = None if kind == "moment" and isinstance(value, str) else _PATTERNS.get(kind)
    return str(value) if pattern is None else _signed(f"{value:{pattern}}", kind)


def is_missing(value: Any) -> bool:
    """Return whether there is no value to write: null, NaN, NaT or infinity."""
    return bool(pd.api.types.is_scalar(value) and (pd.isna(value) or value in (math.inf, -math.inf)))


def compact(value: float, unit: str = "") -> str:
    """Format a number to three digits with its unit: 950, 1.20k, 17.5M, 4.19B."""
    if not math.isfinite(value):
        return MISSING
    text = _three_figures(abs(value))
    sign = "−" if value < 0 and text != "0" else ""
    return f"{sign}{text} {unit}".rstrip()


def css() -> str:
    """Return the tokens as CSS custom properties, for both schemes."""
    light, dark = _declarations("light"), _declarations("dark")
    common = f"--font:{FONT};--font-mono:{MONOSPACE};--content:{CONTENT}px;"
    steps = "".join(f"--s{step}:{SPACE * step}px;" for step in (1, 2, 3, 4, 5, 6, 8))
    return (
        f":root{{color-scheme:light dark;{common}--s-half:{SPACE // 2}px;{steps}{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media print{{:root{{color-scheme:light;{light}}}}}\n"
    )


def vega_config(scheme: Scheme) -> dict[str, Any]:
    """Return the Vega-Lite configuration of a colour scheme."""
    colours, category = COLOURS[scheme], CATEGORY[scheme]
    ink, muted, hairline, page = (colours[name] for name in ("ink", "ink-muted", "hairline", "page"))
    return {
        "background": None,
        "font": FONT,
        "aria": False,  # the page describes a figure in words, which a name for each mark would hide
        "padding": 4,
        "view": {"stroke": None, "continuousWidth": 640, "discreteWidth": 640, "continuousHeight": 320},
        "range": {"category": list(category), "heatmap": list(RAMP[scheme]), "ramp": list(RAMP[scheme])},
        "axis": {
            "labelColor": muted,
            "labelFontSize": 12,
            "labelPadding": 6,
            "titleColor": muted,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "grid": False,
            "gridColor": hairline,
            "domain": False,
            "domainColor": colours["control"],
            "ticks": False,
            "tickCount": 5,
        },
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "start", "titleX": 0, "titleY": -12},
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "labelColor": ink,
            "labelFontSize": 12,
            "labelLimit": 240,
            "symbolStrokeWidth": 2,
            "columnPadding": 16,
            "offset": 26,  # above the axis title, which lies flat over the axis
        },
        "mark": {"color": category[0]},
        "bar": {"color": category[0], "cornerRadiusEnd": 2},
        "line": {"strokeWidth": 2, "strokeCap": "round", "strokeJoin": "round"},
        "point": {"size": 56, "strokeWidth": 1.75, "filled": True, "opacity": 1, "color": category[0]},
        "text": {"color": ink, "fontSize": 12},
        "style": {
            "label": {"color": muted, "fontSize": 11},
            "label-strong": {"color": ink, "fontSize": 12, "fontWeight": 600},
            "label-on-cell": {"color": ink, "fontSize": 12},
            "label-on-strong-cell": {"color": page, "fontSize": 12},
            "reference": {"color": muted, "strokeWidth": 1, "strokeDash": [4, 4]},
            "cursor": {"color": muted, "strokeWidth": 1},
            "interval-80": {"fillOpacity": 0.34, "strokeOpacity": 0.9, "strokeWidth": 3.5},
            "interval-95": {"fillOpacity": 0.16, "strokeOpacity": 0.45, "strokeWidth": 1.5},
            "alert": {"color": colours["critical"], "stroke": colours["critical"]},
            "alert-span": {"color": colours["critical"], "fillOpacity": 0.14},
            "faint-cell": {"color": "transparent", "stroke": colours["control"], "strokeDash": [2, 2]},
        },
        "title": {"color": ink, "fontSize": 13, "fontWeight": 600, "anchor": "start", "offset": 8},
        "concat": {"spacing": 24},
    }


def _declarations(scheme: Scheme) -> str:
    category = "".join(f"--category-{place}:{colour};" for place, colour in enumerate(CATEGORY[scheme], 1))
    return "".join(f"--{name}:{colour};" for name, colour in COLOURS[scheme].items()) + category


def _three_figures(size: float) -> str:
    for divisor, letter in ((1, ""), (1e3, "k"), (1e6, "M"), (1e9, "B")):
        scaled = float(f"{size / divisor:.3g}")
        if scaled < 1_000 or letter == "B":
            break
    if not letter:
        return f"{scaled:,.10g}"
    decimals = 2 if scaled < 10 else 1 if scaled < 100 else 0
    return f"{scaled:,.{decimals}f}{letter}"


def _signed(text: str, kind: Kind) -> str:
    """Write a minus sign as wide as the plus, and no sign before a zero; leave a moment as it is."""
    if kind == "moment":
        return text
    if text.startswith(("-", "+")) and not text.strip("+-0.,%"):
        return text[1:]
    return text.replace("-", "−", 1)


def plain_values(rows: pd.DataFrame, *names: str) -> alt.Data:
    """Return the named columns as a chart's data, in values that JSON can hold."""
    shown = rows[list(names)].astype(object)
    return alt.Data(values=shown.where(rows[list(names)].notna(), None).to_dict("records"))


def tooltips(columns: Sequence[Column]) -> list[alt.Tooltip]:
    """Return the tooltips of a mark: every column exactly, with its unit."""
    formats = {"money": ",.2f", "count": ",.0f", "percent": ".2%", "change": "+.2%", "points": "+.2%"}
    formats["decimal"] = ",.4f"
    return [
        alt.Tooltip(
            column.name,
            type="quantitative" if column.is_figure else "nominal",
            title=f"{column.label}, {column.unit}" if column.unit else column.label,
            format=formats.get(column.kind, ""),
        )
        for column in columns
    ]


def dots_on_intervals(base: alt.Chart, x: alt.X, high: str, value: str, **channels: Any) -> list[alt.Chart]:
    """Draw each value as a dot on its interval.

    x: the channel of the lower end, with title and scale. high, value: fields. channels: what both marks share.
    """
    lines = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x=x, x2=f"{high}:Q", **channels)
    return [lines, base.mark_point(size=80).encode(x=f"{value}:Q", **channels)]


def as_text(text: str) -> str:
    """Return the text as a cell that no spreadsheet reads as a formula.

    A text that begins like one (`=`, `+`, `-`, `@`, tab, line end, or the first four in full width) gets a leading
    apostrophe, as one would type it in a spreadsheet. Unlike a cell's type it survives export and import.
    Characters that a workbook cannot carry are replaced.
    """
    text = _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"'{text}" if text.startswith(_LIKE_A_FORMULA) else text
