"""The kinds of a setting's value, and the field that declares a setting."""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MOST_DEFAULT_THREADS = 4

_MEMORY_SIZE = re.compile(r"(?=.*[1-9])\d+(\.\d+)?\s*([KMGT]i?B)", re.IGNORECASE)


def _folder(path: Path) -> Path:
    absolute = path.expanduser().resolve()
    if absolute.exists() and not absolute.is_dir():
        raise ValueError("not a folder")
    return absolute


def iso_date(value: Any) -> date:
    """Return a day, also from its ISO 8601 text."""
    return value if isinstance(value, date) else date.fromisoformat(value)


def memory_size(text: str) -> str:
    """Return a size with a unit, such as 512MB. Raises ValueError for another text."""
    if not _MEMORY_SIZE.fullmatch(text.strip()):
        raise ValueError("not a size")
    return text.strip()


def default_threads() -> int:
    """Return the number of threads of DuckDB where none is set."""
    return min(os.cpu_count() or 1, MOST_DEFAULT_THREADS)


Folder = Annotated[Path, AfterValidator(_folder)]
"""An absolute path, which may not exist yet."""


def setting(default: Any, description: str, requirement: str, shown: str | None = None, **bounds: Any) -> Any:
    """Return a field; `requirement` completes "it must be …", `shown` is the default as shown in the table."""
    source = {"default_factory": default} if callable(default) else {"default": default}
    extra: dict[str, Any] = {"requirement": requirement, "shown": shown if shown is not None else str(default)}
    return Field(**source, **bounds, description=description, json_schema_extra=extra)
