"""Closing times that are learned from hours without approvals.

A business that closes at night looks like a feed that died, every night again. What tells the two apart is repetition:
at the same time of earlier days, or of the same weekday, nothing was approved either. Minutes of a short incident are
no evidence: an outage over the opening does not teach that the business opens later. Those of most days are: a pause at
midday is an incident until it has repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from quintet.payments.opening_hours import OpeningHours

MINUTES_PER_DAY = 1_440

_SHORTEST_MINUTES = 60
_LEAST_EXPECTED = 20.0
_LARGEST_SHARE_OF_USUAL = 0.005  # a refund that is settled at night does not mean that the business is open
_WINDOW_MINUTES = 15
_USUAL_KEPT = 0.5 ** (1 / MINUTES_PER_DAY)

_RECENT_DAYS = (1, 2, 3, 4, 5, 6, 7)
_SAME_WEEKDAYS = (7, 14, 21, 28)
_DAYS_BACK = (*_RECENT_DAYS, 8, 9, *_SAME_WEEKDAYS[1:])
_RECENT = slice(0, 7)
_WEEKDAYS = [_DAYS_BACK.index(days) for days in _SAME_WEEKDAYS]
_DAYS_KEPT = 30

# A single day is evidence only if it cannot well be an outage.
_LEAST_OF_ONE_NIGHT = 180
_LEAST_OF_ONE_WEEKDAY = 720
_LEAST_LEFT_OF_ONE_WEEKDAY = 180

_EARLY_MINUTES, _LATE_MINUTES = 15, 5
_FEW_DAYS, _EARLY_MINUTES_OF_FEW_DAYS, _LATE_MINUTES_OF_FEW_DAYS = 4, 45, 15
_REACH = 240
_LARGEST_DEVIATION = 180
_FEWEST_WEEKS = 3
_INNER_QUANTILE = 0.9
_LARGEST_DIFFERENCE_OF_NEW_HOURS = 20
_LONGEST_INCIDENT = 240
_FEWEST_THAT_REPEAT = 3
_SPREADS = 1.5


class ClosingTimes:
    """The stretches without approvals of four weeks, and from them the minutes in which the business is closed.

    silences: first and last minute (exclusive) of each stretch of an hour or more. gaps: the same of missing data.
    incidents: the same of incidents of the volume or the feed that lasted less than four hours.
    """

    def __init__(self, hours: OpeningHours) -> None:
        self.hours = hours
        self.first_minute: int | None = None
        self.silences: list[tuple[int, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self.incidents: list[tuple[int, int]] = []
        self._incident_since: int | None = None
        self._silent_since: int | None = None
        self._resumed_at: int | None = None
        self._last: int | None = None
        self._usual = np.zeros(2)
        self._mask: np.ndarray = np.zeros(0, dtype=bool)
        self._may_open_from: np.ndarray = self._mask
        self._mask_from = 0

    def update(self, minute: int, approved: np.ndarray, incident_since: int | None) -> None:
        """Add a settled minute; call it once a minute, in order.

        approved: counts of the last quarter of an hour. incident_since: start of the volume's or feed's open incident.
        """
        if self.first_minute is None:
            self.first_minute = minute
        if self._last is not None and minute > self._last + 1:
            self._end_silence(self._last + 1)
            self.gaps.append((self._last + 1, minute))
            self._mask = self._mask[:0]
        self._last = minute
        if incident_since is None and self._incident_since is not None:
            if minute - self._incident_since < _LONGEST_INCIDENT:
                self.incidents.append((self._incident_since, minute))
                self._mask = self._mask[:0]
            self._incident_since = None
        elif incident_since is not None and self._incident_since is None:
            self._incident_since = incident_since
        self._usual *= _USUAL_KEPT
        count = float(approved[-1])
        if count > 0:
            self._usual += count, 1.0
        usual = self.usual_per_minute
        allowed = max(_LARGEST_SHARE_OF_USUAL * _WINDOW_MINUTES * usual, float(usual >= 1.0))
        is_silent = float(approved.sum()) <= allowed
        if is_silent and self._silent_since is None:
            self._silent_since = max(minute - _WINDOW_MINUTES + 1, self.first_minute)
        elif not is_silent and self._silent_since is not None:
            resumed = int(np.flatnonzero(approved[-_WINDOW_MINUTES // 3 :])[0]) if count > 0 else 0
            self._end_silence(minute - _WINDOW_MINUTES // 3 + 1 + resumed if count > 0 else minute)

    @property
    def usual_per_minute(self) -> float:
        """The mean of approvals in minutes that have any, of the last days."""
        total, minutes = self._usual.tolist()
        return total / minutes if minutes else 0.0

    def _end_silence(self, end: int) -> None:
        start, self._silent_since = self._silent_since, None
        self._resumed_at = end
        if start is None or end - start < _SHORTEST_MINUTES:
            return
        if (end - start) * self.usual_per_minute < _LEAST_EXPECTED:
            return
        since = end - _DAYS_KEPT * MINUTES_PER_DAY
        self.silences = [one for one in self.silences if one[1] >= since] + [(start, end)]
        self.gaps = [one for one in self.gaps if one[1] >= since]
        self.incidents = [one for one in self.incidents if one[1] >= since]
        self._mask = self._mask[:0]

    def is_closed(self, minute: int) -> bool:
        """Return whether the business is expected to be closed in a minute, counted from 1970.

        Around the opening it is no longer, once approvals have resumed.
        """
        local = self.hours.to_local(minute)
        is_open = self.hours.is_open(local)
        if is_open is not None:
            return not is_open
        if not self.silences:
            return False
        place = local - self._mask_from
        if not 0 <= place < len(self._mask):
            self._mask_from = local - local % 60
            self._mask, self._may_open_from = self._closed_minutes(self._mask_from, self._mask_from + 60)
            place = local - self._mask_from
        return bool(self._mask[place]) and not self._has_opened(int(self._may_open_from[place]))

    def _has_opened(self, from_local: int) -> bool:
        """Return whether approvals have resumed since this local minute and go on; -1: the business is not to open."""
        if from_local < 0 or self._resumed_at is None or self._silent_since is not None:
            return False
        return self.hours.to_local(self._resumed_at) >= from_local

    def to_json(self) -> dict[str, object]:
        """Return the state, ready for `json.dumps`."""
        return {
            "first_minute": self.first_minute,
            "silences": self.silences,
            "gaps": self.gaps,
            "incidents": self.incidents,
            "incident_since": self._incident_since,
            "silent_since": self._silent_since,
            "resumed_at": self._resumed_at,
            "last": self._last,
            "usual": self._usual.tolist(),
        }

    @classmethod
    def from_json(cls, state: dict, hours: OpeningHours) -> ClosingTimes:
        """Return what `to_json` wrote."""
        found = cls(hours)
        found.first_minute, found._last = state["first_minute"], state["last"]
        found.silences = [(start, end) for start, end in state["silences"]]
        found.gaps = [(start, end) for start, end in state["gaps"]]
        found.incidents = [(start, end) for start, end in state["incidents"]]
        found._incident_since = state["incident_since"]
        found._resumed_at = state.get("resumed_at")  # a former version has none
        found._silent_since, found._usual = state["silent_since"], np.array(state["usual"])
        return found

    def _closed_minutes(self, first: int, until: int) -> tuple[np.ndarray, np.ndarray]:
        """Return for each local minute from `first` whether the business is expected to be closed, and since when it
        may have opened, -1 where it is not to open.
        """
        low, high = first - _REACH, until + _REACH
        to_local = self.hours.to_local
        spans = [(to_local(start), to_local(end)) for start, end in self.silences]
        since = self.first_minute if self.first_minute is not None else high
        unknown = [(-high, to_local(since))] + [(to_local(start), to_local(end)) for start, end in self.gaps]
        incidents = [(to_local(start), to_local(end)) for start, end in self.incidents]
        is_known = ~_covered(unknown, low, high)
        is_silent = _covered(spans, low, high) & is_known
        length, start, end = (_values(spans, low, high, of) for of in _OF_SPANS)
        is_new = is_silent[0] & is_silent[1] & (is_known & ~is_silent)[_DAYS_BACK.index(8)]
        is_new &= (is_known & ~is_silent)[_DAYS_BACK.index(9)]
        for edge in (start, end):
            is_new &= np.abs(edge[0] - edge[1] - MINUTES_PER_DAY) <= _LARGEST_DIFFERENCE_OF_NEW_HOURS
        is_incident = _covered(incidents, low, high)
        days_with = is_incident[_RECENT].sum(axis=0)
        repeats = (days_with >= _FEWEST_THAT_REPEAT) & (2 * days_with > is_known[_RECENT].sum(axis=0))
        is_known &= ~is_incident | repeats
        is_silent &= is_known
        days_known, days_silent = is_known[_RECENT].sum(axis=0), is_silent[_RECENT].sum(axis=0)
        there = np.arange(low, high) - MINUTES_PER_DAY * np.array(_DAYS_BACK)[:, None]
        closed = is_new | _usually_closed(is_silent, is_known, length, end - there, (days_known, days_silent))
        is_few = days_known < _FEW_DAYS
        early = np.where(is_few, _EARLY_MINUTES_OF_FEW_DAYS, _EARLY_MINUTES)
        late = np.where(is_few, _LATE_MINUTES_OF_FEW_DAYS, _LATE_MINUTES)
        # Where data begins or is missing, a silence may have begun before or ended after.
        begins = np.array([start for start, _ in spans])[~_is_near(spans, 0, [end for _, end in unknown])]
        ends = np.array([end for _, end in spans])[~_is_near(spans, 1, [start for start, _ in unknown])]
        masks = _with_margins(closed, low, (begins, ends), early, late)
        return masks[0][_REACH:-_REACH], masks[1][_REACH:-_REACH]


_OF_SPANS = (lambda start, end: end - start, lambda start, _: start, lambda _, end: end)


def _values(spans: Sequence[tuple[int, int]], low: int, high: int, of: Callable[[int, int], float]) -> np.ndarray:
    """Return, for each day back and local minute from `low` to `high`, a value of the span that covers it; else 0."""
    values = np.zeros((len(_DAYS_BACK), high - low))
    for row, days in enumerate(_DAYS_BACK):
        shift = days * MINUTES_PER_DAY - low
        for start, end in spans:
            if start + shift < values.shape[1] and end + shift > 0:
                values[row, max(start + shift, 0) : end + shift] = of(start, end)
    return values


def _covered(spans: Sequence[tuple[int, int]], low: int, high: int) -> np.ndarray:
    """Return, for each day back and local minute from `low` to `high`, whether a span covers it."""
    return _values(spans, low, high, lambda *_: 1.0) > 0


def _is_near(spans: Sequence[tuple[int, int]], side: int, limits: Sequence[int]) -> np.ndarray:
    """Return whether the start (0) or end (1) of each span is within a window of one of the limits."""
    edges = np.array(spans)[:, side, None]
    return (np.abs(edges - np.array(limits, dtype=np.int64)) <= _WINDOW_MINUTES).any(axis=1)


def _usually_closed(
    is_silent: np.ndarray, is_known: np.ndarray, length: np.ndarray, left: np.ndarray, counts: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Return the minutes that repeat a silence of most days, or of most such weekdays.

    length, left: minutes of the silence, and those after the minute. counts: of days that are known, and silent.
    """
    days_known, days_silent = counts
    weeks_known, weeks_silent = is_known[_WEEKDAYS].sum(axis=0), is_silent[_WEEKDAYS].sum(axis=0)
    of_days = (2 * days_silent > days_known) & ((days_known > 1) | (length[0] >= _LEAST_OF_ONE_NIGHT))
    of_days &= ~((weeks_known >= 2) & (weeks_silent == 0))
    of_weekday = (weeks_silent >= 2) & (2 * weeks_silent > weeks_known)
    week_ago = _DAYS_BACK.index(7)
    is_long = (length[week_ago] >= _LEAST_OF_ONE_WEEKDAY) & (left[week_ago] >= _LEAST_LEFT_OF_ONE_WEEKDAY)
    return of_days | of_weekday | is_silent[week_ago] & (weeks_known == 1) & is_long


def _with_margins(
    closed: np.ndarray, low: int, edges: tuple[np.ndarray, np.ndarray], early: np.ndarray, late: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Close earlier and open later by some minutes, and by more where hours vary; return also since when it may open.

    low: the local minute of the first. edges: the starts of silences, and their ends.
    """
    result, may_open_from = closed.copy(), np.full(len(closed), -1)
    changes = np.flatnonzero(np.diff(closed.astype(np.int8)))
    closed_since = 0
    for edge in (changes + 1).tolist():
        if closed[edge]:
            closed_since = edge
            more = _more_minutes(low + edge - edges[0])
            result[max(edge - early[edge] - more, 0) : edge] = True
        else:
            until = edge + late[edge] + _more_minutes(edges[1] - low - edge)
            result[edge:until] = True
            from_edge = max(edge - _LARGEST_DEVIATION, (closed_since + edge) // 2)
            may_open_from[from_edge:until] = low + from_edge
    return result, may_open_from


def _more_minutes(outward: np.ndarray) -> int:
    """Return the minutes to add to the silence at an edge, from how the edges of earlier days vary about their middle.

    outward: minutes, whole days included, by which the edges of other silences are on the outer side of this one. The
    middle is that of the weekday after three weeks, so that weekdays may differ. Outages only prolong a silence: how
    much the hours vary is seen at the inner side.
    """
    days = np.rint(outward / MINUTES_PER_DAY).astype(int)
    outward = outward - days * MINUTES_PER_DAY
    is_alike = np.abs(outward) <= _LARGEST_DEVIATION
    outward, weekday = outward[is_alike], days[is_alike] % 7
    if not len(outward):
        return 0
    middle = np.full(7, np.median(outward))
    for one in np.flatnonzero(np.bincount(weekday, minlength=7) >= _FEWEST_WEEKS):
        middle[one] = np.median(outward[weekday == one])
    inward = middle[weekday] - outward
    inner = np.sort(inward[inward >= 0])
    place = math.ceil(_INNER_QUANTILE * (len(inner) - 1))
    # One day unlike all others is no sign of hours that vary.
    spread = min(inner[place], 2 * inner[place - 1]) if place else 0.0
    few = 1 + 2 / len(inner)  # a few days show only a part of how hours vary
    return max(round(float(middle[0] + _SPREADS * few * spread)), 0)
