"""Draw the diagrams of the documentation from their text, without a browser and without network.

A page holds a diagram as a block of Mermaid, which a code host draws too. The site gets it as a picture.
"""

from __future__ import annotations

import base64
import html
import re
from typing import Any

import mmdr

_SETUP = '%%{init: {"theme": "neutral", "fontFamily": "Arial, Helvetica, sans-serif"}}%%\n'
_TITLE = re.compile(r"^\s*(?:accTitle:|title:)\s*(\S.*)$", re.MULTILINE)
_SCALE = 0.7
_SIZE = re.compile(r'<svg(.*?) width="100%"(?=.*?viewBox="\S+ \S+ (\S+) (\S+)")(.*?)viewBox="(\S+ \S+) \S+ \S+"')
"""The head of a drawing, which is as wide as its place and gets the size of its content instead."""


class DiagramError(ValueError):
    """A diagram cannot be drawn; the text says why."""


def draw(source: str) -> str:
    """Return a diagram in Mermaid as SVG.

    Raises DiagramError for text that is no diagram, and for a diagram without a line `accTitle:`, which a reader who
    does not see it needs.
    """
    if not _TITLE.search(source):
        raise DiagramError(f"this diagram has no line `accTitle: …` that says what it shows:\n{source}")
    try:
        svg: str = mmdr.render(_SETUP + source).svg()
    except ValueError as error:
        raise DiagramError(f"{error}:\n{source}") from error
    return _SIZE.sub(_sized, svg, count=1)


def _sized(head: re.Match[str]) -> str:
    """Return the head of a drawing with the size of its content, scaled to the text of the pages."""
    before, width, height, after, corner = head.groups()
    size = f'width="{_SCALE * float(width):.0f}" height="{_SCALE * float(height):.0f}"'
    return f'<svg{before} {size}{after}viewBox="{corner} {width} {height}"'


def fence(source: str, _language: str, css_class: str, _options: Any, _markdown: Any, **_others: Any) -> str:
    """Return a block of Mermaid as a picture; a fence of `pymdownx.superfences`."""
    [title, *_] = _TITLE.findall(source) or [""]
    picture = base64.b64encode(draw(source).encode()).decode()
    alt = html.escape(title, quote=True)
    return f'<p class="{css_class}"><img alt="{alt}" src="data:image/svg+xml;base64,{picture}"></p>'
