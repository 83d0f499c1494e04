"""When a scheduled report is due: each day, week or month, at a local time of a zone."""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

Every = Literal["day", "week", "month"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LAST_DAY = 31

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class UnusableScheduleError(ValueError):
    """A report cannot be scheduled so; the message names the field and says what to do."""


@dataclass(frozen=True)
class Timing:
    """When a report is due.

    day: of the week (1 is Monday) or of the month; a month without the day has it on its last one. at: local time,
    HH:MM. zone: of the tz database. A time that a change of clocks skips is due that much later, and one that occurs
    twice is due the first time.
    """

    every: Every
    day: int
    at: str
    zone: str

    def __post_init__(self) -> None:
        """Check every field. Raises UnusableScheduleError."""
        longest = {"day": 1, "week": len(WEEKDAYS), "month": LAST_DAY}
        if self.every not in longest:
            raise UnusableScheduleError(f"every: {self.every!r} is none of {', '.join(longest)}")
        if not 1 <= self.day <= longest[self.every]:
            what = {"day": "1: each day is due", "week": "1 (Monday) to 7 (Sunday)", "month": "1 to 31"}[self.every]
            raise UnusableScheduleError(f"day: {self.day} is not {what}")
        if not _TIME.fullmatch(self.at):
            raise UnusableScheduleError(f"at: {self.at[:20]!r} is not a time; write one like 07:30")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):  # unknown, a path, or a folder of zones
            raise UnusableScheduleError(
                f"zone: {self.zone[:40]!r} is not a time zone; write one like Europe/Berlin or UTC"
            ) from None

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first due time after a moment, in UTC. moment: with its zone."""
        zone = ZoneInfo(self.zone)
        day = moment.astimezone(zone).date() - dt.timedelta(days=1)  # a skipped time is due on the next day at worst
        while True:
            if self._is_due_on(day):
                due = dt.datetime.combine(day, dt.time.fromisoformat(self.at), zone).astimezone(dt.UTC)
                if due > moment:
                    return due
            day += dt.timedelta(days=1)

    def _is_due_on(self, day: dt.date) -> bool:
        if self.every == "week":
            return day.isoweekday() == self.day
        if self.every == "month":
            return day.day == min(self.day, monthrange(day.year, day.month)[1])
        return True

    def __str__(self) -> str:
        """Return the timing in words, such as `each month on day 31 at 07:30 Europe/Berlin`."""
        on = ""
        if self.every != "day":
            on = f" on day {self.day}" if self.every == "month" else f" on {WEEKDAYS[self.day - 1]}"
        return f"each {self.every}{on} at {self.at} {self.zone}"
