"""The messages that documents quote are messages of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]
_FOLDERS = ("quintet", "assets", "resources", "sensors", "cli")

PAGES = {"loan-book.md": "| message | do |", "troubleshooting.md": "| You see | Do |"}
"""By page: the head of its table of messages; the first column quotes them."""

_OF_OTHER_PROGRAMS = {"No space left on device", "Package … requires a different Python"}
_GAP = "…"


def quoted(page: str, head: str) -> list[str]:
    """Return the messages that the first column of a table quotes; "…" stands for what varies."""
    _, _, rest = page.partition(head)
    rows = [line for line in rest.partition("\n\n")[0].splitlines() if line.startswith("| ")]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def texts(source: str) -> Iterator[str]:
    """Yield the strings of a module; what is inserted into one is "…"."""
    inside: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else _GAP for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.value


@cache
def all_texts() -> tuple[str, ...]:
    """Return the strings of the product."""
    files = (file for folder in _FOLDERS for file in (_PROJECT / folder).rglob("*.py"))
    return tuple(text for file in files for text in texts(file.read_text("utf-8")))


def is_said(message: str, said: Iterable[str]) -> bool:
    """Return whether a string has the fixed parts of a message in their order, or could insert what it begins with."""
    pattern = re.compile(".*".join(re.escape(part) for part in message.split(_GAP)), re.DOTALL)
    return any(pattern.search(text) for text in said)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_quotes_messages_of_the_code(name: str) -> None:
    messages = quoted((_PROJECT / "docs" / name).read_text("utf-8"), PAGES[name])

    assert len(messages) > 8
    assert [one for one in messages if one not in _OF_OTHER_PROGRAMS and not is_said(one, all_texts())] == []


def test_a_message_that_no_code_has_is_found() -> None:
    said = list(texts('raise ValueError(f"column {name} is {kind}; " "a number is needed")'))

    assert is_said("column … is …; a number is needed", said)
    assert not is_said("column … is …; a day is needed", said)
    assert not is_said("a number is needed, column … is", said)


def test_only_the_first_column_of_the_named_table_is_read() -> None:
    page = "`no`\n\n| message | do |\n|---|---|\n| `a …`, `b` | run `c` |\n\n| `d` | e |\n"

    assert quoted(page, "| message | do |") == ["a …", "b"]
