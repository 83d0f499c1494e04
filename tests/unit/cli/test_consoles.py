"""What is printed is text: a name such as `[/x]` is no markup of the console."""

from __future__ import annotations

import ast
from pathlib import Path

PROJECT = Path(__file__).parents[3]
PRODUCT = ("cli", "quintet", "assets", "resources", "sensors")


def consoles_with_markup(source: str) -> list[int]:
    """Return the lines that make a console that reads markup."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Console"
        and not any(word.arg == "markup" and ast.unparse(word.value) == "False" for word in call.keywords)
    ]


def test_no_console_of_the_product_reads_markup() -> None:
    files = [path for folder in PRODUCT for path in (PROJECT / folder).rglob("*.py")]
    found = {path.name: consoles_with_markup(path.read_text("utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_console_that_reads_markup_is_found() -> None:
    assert consoles_with_markup("Console(highlight=False)\nConsole(markup=False)\nConsole(markup=True)\n") == [1, 3]
