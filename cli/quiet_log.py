"""The log of several programs: complete in files, and only the important lines on the terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from quintet.redaction import without_secrets

_MOST_BYTES = 20_000_000
_DAGSTER = re.compile(r"^(?P<at>\S+ \S+)( \S+)? - (?P<logger>\S+) - (?P<level>[A-Z]+) - (?P<text>.*)$")
_RUN_ENDS = re.compile(
    r"(?P<job>[\w<>-]+) - (?P<run>[0-9a-f-]{36}) - .*?(?P<kind>RUN_(START|SUCCESS|FAILURE|CANCELED)) - "
)
_COLOURS = re.compile("\x1b\\[[0-9;]*m")
_USUAL = "Found a dagster instance configuration value"  # expected: the home has a copy of dagster.yaml
_LOUD = ("WARNING", "ERROR", "CRITICAL")
_WORTH_SEEING = frozenset({"the snapshot is complete"})
_WORDS = {"START": "began", "SUCCESS": "succeeded", "FAILURE": "failed", "CANCELED": "was canceled"}


def summary_of(text: str) -> str | None:
    """Return the text to show on the terminal for a line of a log; None for nothing.

    Shows warnings and errors, one line for the start and the end of a run, and JSON-like lines that are not log
    entries.
    """
    text = _COLOURS.sub("", text)
    if text.startswith("{"):
        return _of_json(text)
    line = _DAGSTER.match(text)
    if line is None:
        return None
    if ended := _RUN_ENDS.search(text):
        return f"run {ended['run'][:8]} {_WORDS[ended['kind'].removeprefix('RUN_')]}"
    is_worth_it = line["level"] in _LOUD and not line["text"].startswith(_USUAL)
    return f"{line['level'].lower()}: {line['text']}" if is_worth_it else None


def _of_json(text: str) -> str | None:
    try:
        entry = json.loads(text)
    except ValueError:
        return text
    level, event = str(entry.get("level", "")), str(entry.get("event", ""))
    if level.upper() in _LOUD:
        rest = ", ".join(f"{name}={value}" for name, value in entry.items() if name in ("error", "path", "reason"))
        return f"{level}: {event}{f' ({rest})' if rest else ''}"
    return event if event in _WORTH_SEEING else None


class QuietLog:
    """Writes each line to the file of its part in `folder`, and the important ones to `terminal` as well.

    plain: the parts whose lines are all shown. A large file is rotated.
    """

    def __init__(self, folder: Path, terminal: TextIO, plain: frozenset[str] = frozenset()) -> None:
        self._folder, self._terminal, self._plain = folder, terminal, plain
        self._files: dict[str, TextIO] = {}

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def __call__(self, line: str) -> None:
        """Write a line of the form `name | text`."""
        name, _, text = line.partition(" | ")
        name, text = name.strip(), without_secrets(text.rstrip("\n"))
        self._file(name).write(text + "\n")
        shown = text if name in self._plain else summary_of(text)
        if shown is not None:
            self._terminal.write(f"{name} | {shown}\n")
            self._terminal.flush()

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            path = self._folder / f"{name}.log"
            if path.exists() and path.stat().st_size > _MOST_BYTES:
                path.replace(path.with_suffix(".log.1"))
            self._files[name] = path.open("a", encoding="utf-8", errors="replace", buffering=1)
        return self._files[name]
