"""Builds as people see them: the one at work, with its progress, and the next one of the daily schedule."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

DAILY_HOUR_UTC = 4
"""The hour of the scheduled build of everything."""

QUIET_AFTER = dt.timedelta(minutes=10)
"""A build that has reported nothing for so long has probably been killed."""

_FILE = "build.json"


@dataclass(frozen=True)
class Progress:
    """How far a build is. Moments are UTC, with their zone.

    doing: the step that began last. done, total: steps. reported_at: when this was written.
    """

    began_at: dt.datetime
    reported_at: dt.datetime
    doing: str
    done: int
    total: int


class Reporter:
    """Writes the progress of a build to the home folder, for pages to show. clock: returns the time in UTC."""

    def __init__(self, home: Path, total: int, clock: Callable[[], dt.datetime]) -> None:
        self._file, self._clock = home / _FILE, clock
        began = clock()
        self._now = Progress(began, began, "", 0, total)
        self._write(self._now)

    def begin(self, step: str) -> None:
        """Report that a step has begun."""
        self._write(replace(self._now, doing=step))

    def end(self) -> None:
        """Report that a step has ended."""
        self._write(replace(self._now, done=min(self._now.done + 1, self._now.total)))

    def close(self) -> None:
        """Report that nothing is being built any more."""
        self._file.unlink(missing_ok=True)

    def _write(self, progress: Progress) -> None:
        self._now = replace(progress, reported_at=self._clock())
        unfinished = self._file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(asdict(self._now), default=str), "utf-8")
        unfinished.replace(self._file)


def progress_of(home: Path) -> Progress | None:
    """Return the progress of the build at work; None if there is none, or it is being written by another release."""
    with suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        found = json.loads((home / _FILE).read_text("utf-8"))
        moments = {name: dt.datetime.fromisoformat(found[name]) for name in ("began_at", "reported_at")}
        return Progress(**found | moments)
    return None


def next_daily(now: dt.datetime) -> dt.datetime:
    """Return when the daily schedule builds next. now: UTC, with its zone."""
    today = now.replace(hour=DAILY_HOUR_UTC, minute=0, second=0, microsecond=0)
    return today if today > now else today + dt.timedelta(days=1)


def last_published(serving: Path) -> list[dt.datetime]:
    """Return when each snapshot that is kept was published, UTC, the last one first."""
    found = []
    for path in serving.glob("*T*-*.duckdb"):
        with suppress(ValueError):
            found.append(dt.datetime.strptime(path.name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC))
    return sorted(found, reverse=True)
