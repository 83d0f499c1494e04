"""Documents name settings, commands, modules and headings that exist."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer.main

from cli.__main__ import app
from quintet.settings import declared_fields

_PROJECT = Path(__file__).parents[2]
_PAGES = [
    *(_PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "data/raw/README.md")),
    *sorted((_PROJECT / "docs").rglob("*.md")),
]
_COMMANDS = typer.main.get_group(app).commands
_VARIABLES = {f"QUINTET_{field.upper()}" for field in declared_fields()}
_OF_THE_WALKTHROUGH = "quintet.parcels"


def unknown_settings(text: str) -> list[str]:
    """Return the variables that are no setting; "QUINTET_INBOX_…" stands for those that begin so."""
    named = re.findall(r"\bQUINTET_[A-Z_]*[A-Z](?:_…)?", text)
    return [
        name
        for name in named
        if name not in _VARIABLES
        and not (name.endswith("…") and any(variable.startswith(name[:-1]) for variable in _VARIABLES))
    ]


def code_of(text: str) -> list[str]:
    """Return the code of a page: spans, and the lines of shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", prose), *(line for block in blocks for line in block.splitlines())]


def unknown_commands(text: str) -> list[str]:
    """Return the commands of `quintet` and the modules after `python -m` that do not exist."""
    code = code_of(text)
    commands = [name for each in code for name in re.findall(r"^(?:\.venv/bin/)?quintet ([a-z][a-z-]*)", each)]
    modules = [name for each in code for name in re.findall(r"python -m ([\w.]+)", each)]
    return [
        *(name for name in commands if name not in _COMMANDS),
        *(name for name in modules if not name.startswith(_OF_THE_WALKTHROUGH) and find_spec(name) is None),
    ]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as Markdown readers make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_anchors(text: str, page: Path) -> list[str]:
    """Return the links to a heading that its page does not have."""
    links = re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", text)
    return [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor not in anchors((page.parent / target if target else page).read_text("utf-8"))
    ]


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(_PROJECT).as_posix())
def test_a_page_names_what_exists(page: Path) -> None:
    text = page.read_text("utf-8")

    assert unknown_settings(text) == []
    assert unknown_commands(text) == []
    assert broken_anchors(text, page) == []


def test_what_does_not_exist_is_found() -> None:
    assert unknown_settings("`QUINTET_PORT`, QUINTET_PROT, QUINTET_INBOX_… and QUINTET_OUTBOX_…") == [
        "QUINTET_PROT",
        "QUINTET_OUTBOX_…",
    ]
    assert unknown_commands("`quintet run` and `quintet rum`; `python -m quintet.setings`") == [
        "rum",
        "quintet.setings",
    ]
    page = _PROJECT / "docs" / "README.md"
    assert broken_anchors("[a](../README.md#two-commands) [b](#how-to) [c](#no-such)", page) == ["#no-such"]
