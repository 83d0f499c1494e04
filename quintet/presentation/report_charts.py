"""The charts of a report as SVG: sized, in the report's font, the same bytes for the same figure."""

from __future__ import annotations

import re
from typing import Any

import vl_convert

from quintet.presentation.design import Figure, vega_config

VEGA_LITE = "6.4"
TEXT_FONT = "Libertinus Serif"
"""A font that comes with typst."""

_CHART_FONT = "Liberation Sans"  # part of vl-convert, which measures with it; slightly wider than the report's font
_CLIP = re.compile(r"\b(clip|gradient_)(\d+)\b")
_SIZE = re.compile(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"')
_LEAST_PX = 40
"""The least width and height of what a chart draws, beside labels that take all the room."""
_CONCATENATED = ("vconcat", "hconcat", "concat", "facet", "repeat", "spec")


def chart_svg(figure: Figure, width: int, height: int | None = None) -> str:
    """Return a figure's chart as SVG of a width in px, in the light scheme and the report's font.

    height: of the whole picture, px; without it, the chart's own. Views one above the other share a height.
    Raises ValueError if the figure has no chart.
    """
    spec = figure.spec()
    if is_sized(spec):
        return _svg(_stacked(spec, width, height))
    # Vega's own fit leaves no room for labels beside marks: draw once to measure all of it, and then to fit
    drawn = spec | {"width": width, "autosize": "pad"} | ({} if height is None else {"height": height})
    wide, high = _size(_svg(drawn))
    drawn["width"] = max(2 * width - wide, _LEAST_PX)
    if height is not None:
        drawn["height"] = max(2 * height - high, _LEAST_PX)
    return _svg(drawn)


def is_sized(spec: dict[str, Any]) -> bool:
    """Return whether a specification has several views, so that the picture's height is not its own."""
    encoding = spec.get("encoding", {})
    return any(name in spec for name in _CONCATENATED) or any(name in encoding for name in ("row", "column", "facet"))


def svg_height(svg: str) -> float:
    """Return the height of a picture, px."""
    return _size(svg)[1]


def _size(svg: str) -> tuple[float, float]:
    """Return the width and the height of a picture, px."""
    found = _SIZE.search(svg)
    if found is None:
        raise ValueError("the picture has no size")
    return float(found[1]), float(found[2])


def _stacked(spec: dict[str, Any], width: int, height: int | None) -> dict[str, Any]:
    """Return a specification of several views with their width, and their heights so that all together have one."""
    views = spec.get("vconcat", ())
    for view in views:
        view["width"] = width - 96
    heights = [view.get("height") for view in views]
    if height is None or not views or not all(isinstance(each, int | float) for each in heights):
        return spec
    more = height - svg_height(_svg(spec))
    for view, own in zip(views, heights, strict=True):
        view["height"] = max(own + more * own / sum(heights), 40)
    return spec


def _svg(spec: dict[str, Any]) -> str:
    config = vega_config("light") | {"font": _CHART_FONT}
    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=config, allowed_base_urls=[])
    return _with_stable_ids(svg).replace(_CHART_FONT, TEXT_FONT)


def _with_stable_ids(svg: str) -> str:
    """Number the ids of clips and gradients from one: the renderer counts on over all charts of a process."""
    numbers: dict[str, int] = {}
    return _CLIP.sub(lambda found: f"{found[1]}{numbers.setdefault(found[0], len(numbers) + 1)}", svg)
