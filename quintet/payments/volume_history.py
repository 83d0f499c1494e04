"""The approvals of earlier days by quarter of an hour, and what is usual at a minute because of them."""

from __future__ import annotations

from math import isnan
from statistics import median

import numpy as np

MINUTES_PER_DAY = 1_440
QUARTER_MINUTES = 15
QUARTERS_PER_DAY = MINUTES_PER_DAY // QUARTER_MINUTES

_DAYS_KEPT = 22
_DAYS_BACK = (1, 2, 3, 7)
_NEAR_DAYS_BACK = (1, 2, 3)
_WEEKDAYS_BACK = (7, 14, 21)
_LONGEST_INCIDENT_QUARTERS = 16
_STEEPEST_WITHIN_A_QUARTER = 1.5
_FEWEST_DAYS_OF_A_WEEK = 4
_LARGEST_WEEKLY_GROWTH = 20.0
_LEAST_VOLUME = 0.01


class VolumeHistory:
    """Approvals per minute of each quarter-hour of three weeks, NaN where unknown or hidden by an incident.

    Quarters and minutes are counted from 1970, local to the business. by_day: (day, quarter of the day), by the day's
    number modulo the days kept.
    """

    def __init__(self) -> None:
        self.by_day = np.full((_DAYS_KEPT, QUARTERS_PER_DAY), np.nan, dtype=np.float32)
        self._growth = (-1, 1.0)

    def of_quarter(self, quarter: int) -> float:
        """Return the volume of a quarter-hour."""
        return self.by_day.item(quarter // QUARTERS_PER_DAY % _DAYS_KEPT, quarter % QUARTERS_PER_DAY)

    def set_quarter(self, quarter: int, value: float) -> None:
        """Set the volume of a quarter-hour."""
        self.by_day[quarter // QUARTERS_PER_DAY % _DAYS_KEPT, quarter % QUARTERS_PER_DAY] = value

    def clear(self, first: int, until: int) -> None:
        """Forget the quarters from `first` on: their slots hold those of weeks earlier."""
        for quarter in range(first, min(until, first + self.by_day.size)):
            self.set_quarter(quarter, np.nan)

    def has_day_of(self, quarter: int) -> bool:
        """Return whether any quarter of the same day is known."""
        return not np.isnan(self.by_day[quarter // QUARTERS_PER_DAY % _DAYS_KEPT]).all()

    def usual(self, minute: int) -> float | None:
        """Return the median at the same time of such weekdays, or of earlier days; None without any.

        Where there has been one such weekday it is the lower of both: whether the business rests on this weekday is not
        known yet.
        """
        growth = self._weekly_growth(minute // MINUTES_PER_DAY)
        weeks = [(days, self.at_time_of(minute, (days,))) for days in _WEEKDAYS_BACK]
        of_weekdays = [volume * growth ** (days // 7) for days, known in weeks for volume in known]
        if len(of_weekdays) > 1:
            return median(of_weekdays)
        is_hidden = any(not known and self._nearest(minute, days) for days, known in weeks)
        if of_weekdays and is_hidden:
            return of_weekdays[0]
        of_days = self.at_time_of(minute, _DAYS_BACK)
        if not of_days:
            return None
        usual = median(of_days)
        if of_weekdays:
            return min(usual, of_weekdays[0])
        return usual * self._share_of_weekday(minute) if is_hidden else usual

    def at_time_of(self, minute: int, days_back: tuple[int, ...]) -> list[float]:
        """Return the known volumes at the same time of other days, interpolated between quarter-hours."""
        position = (minute + 0.5) / QUARTER_MINUTES - 0.5
        before = int(position)
        share = position - before
        values = []
        for days in days_back:
            quarter = before - days * QUARTERS_PER_DAY
            first, second = self.of_quarter(quarter), self.of_quarter(quarter + 1)
            own, other = (first, second) if share < 0.5 else (second, first)
            if isnan(own):
                continue
            between = own if isnan(other) else first + share * (second - first)
            # A step between two quarters, as where a business closes, is none of its minutes.
            values.append(min(between, _STEEPEST_WITHIN_A_QUARTER * own))
        return values

    def _nearest(self, minute: int, days: int) -> list[int]:
        """Return a minute of the last quarter before and of the first one after that were known so many days back.

        None that is farther away than an incident lasts.
        """
        quarter = minute // QUARTER_MINUTES - days * QUARTERS_PER_DAY
        found = []
        for side in (-1, 1):
            for distance in range(1, _LONGEST_INCIDENT_QUARTERS + 1):
                if not isnan(self.of_quarter(quarter + side * distance)):
                    found.append(minute + side * distance * QUARTER_MINUTES)
                    break
        return found

    def _share_of_weekday(self, minute: int) -> float:
        """Return the volume of a week ago as a share of the last days', where an incident hides this time of it.

        It is that of before or after the incident, whichever is lower, and at most 1.
        """
        shares = [1.0]
        for near in self._nearest(minute, 7):
            week_ago, others = self.at_time_of(near, (7,)), self.at_time_of(near, _NEAR_DAYS_BACK)
            if week_ago and others:
                shares.append(week_ago[0] / max(median(others), _LEAST_VOLUME))
        return min(shares)

    def _weekly_growth(self, day: int) -> float:
        """Return by how much a week has more approvals than the one before; 1 without two weeks of history.

        Yesterday is left out: its last minutes are not settled yet when the day begins.
        """
        if day != self._growth[0]:
            by_day = np.nan_to_num(self.by_day).sum(axis=1)
            last, before = (
                [total for total in by_day[(day - back) % _DAYS_KEPT].tolist() if total]
                for back in (np.arange(2, 9), np.arange(9, 16))
            )
            has_both = min(len(last), len(before)) >= _FEWEST_DAYS_OF_A_WEEK
            growth = sum(last) / len(last) * len(before) / sum(before) if has_both else 1.0
            self._growth = day, min(max(growth, 1 / _LARGEST_WEEKLY_GROWTH), _LARGEST_WEEKLY_GROWTH)
        return self._growth[1]
