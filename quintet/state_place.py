"""Where the state store is: SQLite files in a folder, or a PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StatePlace:
    """The place of the state store.

    folder: of the SQLite files, and of the files that belong to one machine, such as locks. url: of the PostgreSQL
    database that has the tables instead; it holds a password, so it is never shown.
    """

    folder: Path
    url: str | None = field(default=None, repr=False)


Place = Path | StatePlace
"""A folder stands for the SQLite files in it."""


def place_of(place: Place) -> StatePlace:
    """Return the place itself, or the SQLite files of a folder."""
    return place if isinstance(place, StatePlace) else StatePlace(place)
