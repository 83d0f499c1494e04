"""A letter to a client as PDF, of fixed layout; the same letter always compiles to the same bytes.

All content reaches the typst program `letter.typ` as data, never as markup.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typst

from quintet.presentation.report_charts import TEXT_FONT
from quintet.presentation.report_text import visible

TEMPLATE = Path(__file__).with_suffix(".typ")


@dataclass(frozen=True)
class Letter:
    """A letter. sender: lines above it; empty without any. points: after the opening. heading: of the steps below."""

    title: str
    sender: Sequence[str]
    recipient: str
    on: dt.date
    opening: Sequence[str]
    points: Sequence[str]
    heading: str
    steps: Sequence[str]
    closing: str


def letter_pdf(letter: Letter) -> bytes:
    """Return the letter as PDF, A4."""
    data = {name: _visible(value) for name, value in asdict(letter).items() if name != "on"}
    data |= {"date": [letter.on.year, letter.on.month, letter.on.day], "font": TEXT_FONT}
    data["on"] = f"{letter.on.day} {letter.on:%B %Y}"
    with tempfile.TemporaryDirectory(prefix="letter-") as folder:
        root = Path(folder)
        (root / TEMPLATE.name).write_bytes(TEMPLATE.read_bytes())
        (root / "letter.json").write_text(json.dumps(data), "utf-8")
        compiled = typst.compile(
            str(root / TEMPLATE.name),
            root=str(root),
            font_paths=[],
            ignore_system_fonts=True,
            format="pdf",
            timestamp=int(dt.datetime.combine(letter.on, dt.time(), dt.UTC).timestamp()),
        )
    assert isinstance(compiled, bytes), "a PDF is one file"
    return compiled


def _visible(value: object) -> object:
    return visible(value) if isinstance(value, str) else [visible(str(one)) for one in value]  # type: ignore[attr-defined]  # a sequence of texts
