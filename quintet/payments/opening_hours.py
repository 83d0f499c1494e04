"""When a business is open, as its settings say: a time zone, weekly hours, holidays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_PER_DAY = 1_440
_WEEKDAY_OF_DAY_ZERO = 3  # 1970-01-01 was a Thursday
_EPOCH = datetime(1970, 1, 1)

Span = tuple[int, int]
"""Minutes from a midnight, the second one exclusive; it may lie beyond the next midnight."""


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name, like Europe/Berlin. Raises ValueError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError):
        raise ValueError(f"{name!r} is no time zone") from None


def parse_weekly_hours(text: str) -> tuple[tuple[Span, ...], ...]:
    """Return the open spans of each weekday, Monday first, of a text like `mon-fri 08:00-22:00; sat 09:00-14:00`.

    A day may have several spans, separated by commas. One that ends at or before its start lasts into the next day.
    Days that are not named are closed. Raises ValueError for another form, or a day that is named twice.
    """
    week: list[tuple[Span, ...]] = [()] * len(_DAYS)
    named: set[int] = set()
    for part in text.lower().split(";"):
        days_text, _, spans_text = part.strip().partition(" ")
        days = _days(days_text)
        if named & set(days):
            raise ValueError(f"a day of {days_text!r} is named twice")
        named |= set(days)
        spans = () if spans_text.strip() == "closed" else tuple(_span(one) for one in spans_text.split(","))
        for day in days:
            week[day] = spans
    return tuple(week)


def _days(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if first not in _DAYS or (last or first) not in _DAYS:
        raise ValueError(f"{text!r} is no day like mon or mon-fri")
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return [day % len(_DAYS) for day in range(begin, end + 1 + (len(_DAYS) if end < begin else 0))]


def _span(text: str) -> Span:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
    if found is None:
        raise ValueError(f"{text!r} is no span like 08:00-22:00")
    hour, minute, last_hour, last_minute = (int(number) for number in found.groups())
    start, end = hour * 60 + minute, last_hour * 60 + last_minute
    if max(minute, last_minute) > 59 or start >= _MINUTES_PER_DAY or end > _MINUTES_PER_DAY:
        raise ValueError(f"{text!r} is no span like 08:00-22:00")
    return start, end if end > start else end + _MINUTES_PER_DAY


def parse_holidays(text: str) -> tuple[str, ...]:
    """Return the dates of a text like `2026-05-14, 12-25`; without a year it is a holiday of each year.

    Raises ValueError for what is no date.
    """
    days = tuple(text.replace(",", " ").split())
    for day in days:
        date.fromisoformat(day if len(day) > 5 else f"2024-{day}")
    return days


@dataclass(frozen=True)
class OpeningHours:
    """The hours of a business. Minutes are counted from 1970, in UTC, unless they are called local.

    zone: of the hours, of holidays, and of the hours that are learned. weekly: the open spans of each weekday, Monday
    first; None if they are to be learned. holidays: as `parse_holidays` returns them.
    """

    zone: str = "UTC"
    weekly: tuple[tuple[Span, ...], ...] | None = None
    holidays: tuple[str, ...] = ()

    def to_local(self, minute: int) -> int:
        """Return the minute that clocks in the zone show."""
        return minute + _offset(self.zone, minute // 15)

    def is_open(self, local_minute: int) -> bool | None:
        """Return whether the business is open in a local minute; None if the settings do not say."""
        day, minute_of_day = divmod(local_minute, _MINUTES_PER_DAY)
        if self.weekly is None:
            return False if self._is_holiday(day) else None
        today, before = self._spans(day), self._spans(day - 1)
        return _is_within(today, minute_of_day) or _is_within(before, minute_of_day + _MINUTES_PER_DAY)

    def is_closed_for_hour(self, day: int, hour: int) -> bool:
        """Return whether the settings say that the business is closed for a whole local hour of a day since 1970."""
        first = day * _MINUTES_PER_DAY + hour * 60
        return all(self.is_open(minute) is False for minute in range(first, first + 60))

    def _spans(self, day: int) -> Sequence[Span]:
        if self.weekly is None or self._is_holiday(day):
            return ()
        return self.weekly[(day + _WEEKDAY_OF_DAY_ZERO) % len(_DAYS)]

    def _is_holiday(self, day: int) -> bool:
        if not self.holidays:
            return False
        text = (_EPOCH + timedelta(days=day)).date().isoformat()
        return text in self.holidays or text[5:] in self.holidays


def _is_within(spans: Sequence[Span], minute: int) -> bool:
    return any(start <= minute < end for start, end in spans)


@lru_cache(maxsize=4_096)
def _offset(zone: str, quarter: int) -> int:
    """Return the minutes by which clocks in the zone are ahead of UTC, in a quarter of an hour since 1970."""
    if zone == "UTC":
        return 0
    at = (_EPOCH + timedelta(minutes=15 * quarter)).replace(tzinfo=UTC)
    ahead = at.astimezone(time_zone(zone)).utcoffset()
    assert ahead is not None
    return int(ahead.total_seconds() // 60)


def opening_hours(zone: str, weekly: str, holidays: str) -> OpeningHours:
    """Return the hours of three settings; without weekly hours they are learned. Raises ValueError."""
    return OpeningHours(time_zone(zone).key, parse_weekly_hours(weekly) if weekly else None, parse_holidays(holidays))


LEARNED = OpeningHours()
"""Nothing is set: all hours are learned, in UTC."""
