"""Open Quintet's data in a notebook of any kind: `import quintet.notebook; snapshot = quintet.notebook.open()`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb

from quintet.settings import Settings, load_settings
from quintet.warehouse.snapshot import current_snapshot, open_snapshot

_PROJECT = Path(__file__).parents[1]


def settings() -> Settings:
    """Return the settings of the environment; relative paths start at the project, wherever the notebook is."""
    with contextlib.chdir(_PROJECT):
        return load_settings()


def open(home: str | Path | None = None) -> duckdb.DuckDBPyConnection:  # noqa: A001 - reads as quintet.notebook.open
    """Return a read-only connection to the current snapshot.

    home: the folder that Quintet writes to; by default that of the settings. A snapshot never changes: open it again to
    see the tables of a later run. Raises NoSnapshotError where nothing is published yet; it says what to do.
    """
    serving = settings().serving if home is None else Path(home).expanduser().resolve() / "serving"
    return open_snapshot(current_snapshot(serving))
