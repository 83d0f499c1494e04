"""The detector: minutes in, scored points and incidents out. Live traffic, backtests and the batch all use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from quintet.payments import rules
from quintet.payments.baseline import (
    DENIED,
    LONGEST_WINDOW,
    MINUTES_PER_DAY,
    WINDOWS_MINUTES,
    Baseline,
    Expectation,
    quiet_hours_factor,
)
from quintet.payments.incidents import (
    APPROVED,
    FEED,
    FIRING,
    RESOLVED,
    VOLUME,
    WITHDRAWN,
    Incident,
    Point,
    advance,
    to_minute,
)
from quintet.payments.tails import as_score, lower_tail, upper_tail

STATUSES = (DENIED, "failed", "reversed", "backend_reversed", "refunded", "processing")
"""The statuses whose rates are monitored from the start; any other starts a series when it first appears."""

OTHER_STATUSES = "other_statuses"
MOST_STATUSES = 32
"""The most series of statuses; further statuses, and those named like another series, count as `OTHER_STATUSES`."""

LATENESS_MINUTES = 15
"""How late a count may arrive and still change a score; training waits as long."""

LARGEST_COUNT = 10**9

FIRE_SCORES = 6.0 - np.log10(WINDOWS_MINUTES)
"""Scores from which a point recommends an alert, by window: one in a million for a minute, and n times that for a
window of n minutes, since a day has n times fewer windows that do not overlap.
"""

_ELEVATED_SCORE = 3.0
_SUSTAINED_SCORE = 2.0
_MINUTES_THAT_MAY_BE_CHANCE = 2
_LONGEST_FREEZE_MINUTES = 240
# Refunds and reversals may concern approvals of long before, so exposure is never quite zero.
_LEAST_EXPOSURE = 1.0

_ROWS = LATENESS_MINUTES + LONGEST_WINDOW
_FIRST_SCORED_ROW = _ROWS - LATENESS_MINUTES
_WINDOW_ENDS = [minutes - 1 for minutes in WINDOWS_MINUTES]
_DENIED_COLUMN = 0
_STARTS_WHERE_VOLUME_BELOW = 0.7
_BAND_STANDARD_DEVIATIONS = 3.0


class Step(NamedTuple):
    """The result of an observation: points (all series of each scored minute, in order) and changed incidents.

    A point replaces an earlier one of the same series and minute, an incident one of the same incident_id. An incident
    in state `withdrawn` was disproved by late counts.
    """

    points: list[Point]
    incidents: list[Incident]


class TooLateError(ValueError):
    """The minute is settled: counts for it are refused."""


class Detector:
    """Monitors the minutes of one merchant or of all of them.

    `record` takes counts, `complete` closes minutes and scores them; `observe` does both for a whole minute. Counts of
    a minute may arrive in parts, repeatedly, up to fifteen minutes late and in any order: the last count of a status is
    used, and the result is as if all had arrived in order. A skipped minute counts as without rows until rows arrive.
    """

    def __init__(self) -> None:
        self._baseline = Baseline(list(STATUSES))
        self._last: int | None = None
        self._waiting: dict[int, dict[str, int]] = {}
        self._empty_rows()

    def _empty_rows(self) -> None:
        """Clear all rows. Row `_ROWS - 1` is the last complete minute."""
        self._approved = np.zeros(_ROWS)
        self._events = np.zeros((_ROWS, len(self._baseline.statuses)))
        self._observed = np.zeros(_ROWS, dtype=bool)
        self._volume = np.zeros(_ROWS)
        self._expectations: list[Expectation | None] = [None] * _ROWS
        self._open: list[dict[str, Incident]] = [{}] * _ROWS

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that have a rate series; new ones come last."""
        return tuple(self._baseline.statuses)

    @property
    def last_minute(self) -> int | None:
        """The last complete minute, counted from 1970; None before the first."""
        return self._last

    def has_open(self, minute: int) -> bool:
        """Return whether `complete` of this minute, counted from 1970, would close any minute."""
        if self._last is not None:
            return minute > self._last
        return min(self._waiting, default=minute + 1) <= minute

    @property
    def newest_minute(self) -> int | None:
        """The last minute that is complete or has counts, counted from 1970; None before the first."""
        return max(self._waiting) if self._waiting else self._last

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The incidents that are pending or firing after the last complete minute."""
        return tuple(self._open[-1].values())

    def observe(self, minute_at: datetime, counts: Mapping[str, int], is_observed: bool = True) -> Step:
        """Record a complete minute; score it, the skipped minutes before it, and those that it changes.

        counts: by status, 0 to 10**9. is_observed: whether the feed had any row in the minute.
        Raises ValueError, and changes nothing, for a count outside its range or a minute that is settled.
        """
        late = self.record(minute_at, counts) if is_observed else Step([], [])
        step = self.complete(minute_at)
        return Step(late.points + step.points, late.incidents + step.incidents)

    def record(self, minute_at: datetime, counts: Mapping[str, int]) -> Step:
        """Record counts of a minute; score the minute again if it is complete already.

        Raises ValueError, and changes nothing, for a count outside its range; TooLateError for a settled minute.
        """
        minute = to_minute(minute_at)
        for status, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 0 <= count <= LARGEST_COUNT:
                raise ValueError(f"{status}: a count is a whole number from 0 to 1,000,000,000, not {count!r}")
        if self._last is None or minute > self._last:
            self._waiting.setdefault(minute, {}).update(counts)
            return Step([], [])
        if self.is_settled(minute):
            raise TooLateError(f"{minute_at} is settled: counts may arrive up to {LATENESS_MINUTES} minutes late")
        row = _ROWS - 1 - (self._last - minute)
        if self._fill(row, counts):
            return self._score_from(row, is_revision=True)
        return Step([], [])

    def is_settled(self, minute: int) -> bool:
        """Return whether a minute, counted from 1970, accepts no more counts."""
        if self._last is None or minute > self._last:
            return False
        row = _ROWS - 1 - (self._last - minute)
        return row < _FIRST_SCORED_ROW or self._expectations[row] is None

    def complete(self, minute_at: datetime) -> Step:
        """Close and score all minutes up to and including this one; complete ones are not changed."""
        minute = to_minute(minute_at)
        if self._last is None or minute - self._last > MINUTES_PER_DAY:
            # A day or more without files is missing data, not a silent feed.
            ended = self._end_open()
            self._empty_rows()
            self._last = min((*self._waiting, minute)) - 1 if self._last is None else minute - 1
            self._waiting = {one: counts for one, counts in self._waiting.items() if one > self._last}
            step = self.complete(minute_at)
            return Step(step.points, ended + step.incidents)
        points: list[Point] = []
        incidents: list[Incident] = []
        while self._last < minute:
            self._begin_minute()
            step = self._score_from(_ROWS - 1, is_revision=False)
            points += step.points
            incidents += step.incidents
        return Step(points, incidents)

    def _end_open(self) -> list[Incident]:
        """Resolve the incidents that still fire where the data ends."""
        return [
            incident._replace(state=RESOLVED, ended_minute=incident.last_bad_minute + 1)
            for incident in self._open[-1].values()
            if incident.state == FIRING
        ]

    def _begin_minute(self) -> None:
        """Move the rows up by a minute, train on the minute that this settles, and expect the new one."""
        assert self._last is not None
        self._last += 1
        for rows in (self._approved, self._events, self._observed, self._volume):
            rows[:-1] = rows[1:]
            rows[-1] = 0
        self._open = [*self._open[1:], self._open[-1]]
        self._expectations = [*self._expectations[1:], None]
        settled = self._expectations[_FIRST_SCORED_ROW - 1]
        if settled is not None:
            self._update_baseline(self._last - LATENESS_MINUTES, settled)
        self._baseline.pass_minute()
        expectation = self._baseline.expect(self._last)
        self._expectations[-1] = expectation
        self._volume[-1] = expectation.volume
        counts = self._waiting.pop(self._last, None)
        if counts is not None:
            self._fill(_ROWS - 1, counts)

    def _update_baseline(self, minute: int, expectation: Expectation) -> None:
        row = _FIRST_SCORED_ROW - 1
        is_frozen = {
            incident.series
            for incident in self._open[row].values()
            if minute - incident.started_minute < _LONGEST_FREEZE_MINUTES
        }
        baseline = self._baseline
        is_volume_used = not is_frozen & {VOLUME, FEED}
        if not self._observed[row]:
            if is_volume_used:
                baseline.update_silent(minute, expectation.volume)
            return
        is_used = np.array([status not in is_frozen for status in baseline.statuses], dtype=float)
        is_used *= baseline.first_minute <= minute
        events, exposure, approved, volume, quiet_factor = self._windows(row)
        baseline.update(
            minute,
            self._events[row],
            exposure[0],
            self._approved[row],
            (events, exposure, approved, volume),
            quiet_factor,
            expectation,
            is_used,
            is_volume_used,
        )

    def _fill(self, row: int, counts: Mapping[str, int]) -> bool:
        """Write counts into a row; return whether that changed anything."""
        was = (self._approved[row], self._observed[row], self._events[row].tolist())
        by_column: dict[int, int] = {}
        for status, count in counts.items():
            name = status.strip().lower()
            if name == APPROVED:
                self._approved[row] = count
            else:
                column = self._column(name, row)
                by_column[column] = by_column.get(column, 0) + count
        for column, count in by_column.items():
            self._events[row, column] = count
        self._observed[row] = True
        return was != (self._approved[row], self._observed[row], self._events[row].tolist())

    def _column(self, status: str, row: int) -> int:
        baseline = self._baseline
        is_one_too_many = status not in baseline.statuses and len(baseline.statuses) >= MOST_STATUSES
        if is_one_too_many or status in (VOLUME, FEED):
            status = OTHER_STATUSES
        if status not in baseline.statuses:
            baseline.add_status(status)
            self._events = np.column_stack([self._events, np.zeros(_ROWS)])
            self._expectations = [one and one.with_unknown_status() for one in self._expectations]
        column = baseline.statuses.index(status)
        assert self._last is not None
        baseline.first_minute[column] = np.fmin(baseline.first_minute[column], self._last - (_ROWS - 1 - row))
        return column

    def _windows(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return, for the windows that end with the row, events (window, status), exposure, approvals and expected
        approvals (window); and by status the factor for quiet hours, from the exposure of the longest window.
        """
        since = row + 1 - LONGEST_WINDOW
        events = np.add.accumulate(self._events[since : row + 1][::-1])[_WINDOW_ENDS]
        approved = np.add.accumulate(self._approved[since : row + 1][::-1])[_WINDOW_ENDS]
        observed = self._observed[since : row + 1]
        volume = np.add.accumulate((self._volume[since : row + 1] * observed)[::-1])[_WINDOW_ENDS]
        exposure = approved + events[:, _DENIED_COLUMN]
        quiet_factor = np.ones(events.shape[1])
        quiet_factor[_DENIED_COLUMN] = quiet_hours_factor(exposure[-1] / max(observed.sum(), 1))
        return events, exposure, approved, volume, quiet_factor

    def _score_from(self, first_row: int, is_revision: bool) -> Step:
        """Score the rows from `first_row` on, and advance the incidents."""
        before = self._open[first_row:]
        points: list[Point] = []
        changed: dict[str, Incident] = {}
        for row in range(first_row, _ROWS):
            of_row = self._score(row)
            self._open[row], incidents = advance(self._open[row - 1], of_row, bool(self._observed[row]))
            points += of_row
            changed |= {incident.incident_id: incident for incident in incidents}
        if is_revision:
            kept = changed.keys() | {one.incident_id for one in self._open[first_row - 1].values()}
            said = {one.incident_id: one for opened in before for one in opened.values() if one.state == FIRING}
            changed |= {key: one._replace(state=WITHDRAWN) for key, one in said.items() if key not in kept}
        return Step(points, list(changed.values()))

    def _score(self, row: int) -> list[Point]:
        expectation = self._expectations[row]
        assert expectation is not None
        assert self._last is not None
        minute = self._last - (_ROWS - 1 - row)
        feed = self._score_feed(row, minute, expectation)
        if not self._observed[row]:
            return [feed]
        events, exposure, approved, volume, quiet_factor = self._windows(row)
        points = self._score_statuses(row, minute, expectation, events, exposure, quiet_factor)
        points.append(self._score_volume(row, minute, expectation, approved, exposure, volume))
        points.append(feed)
        return points

    def _score_statuses(
        self,
        row: int,
        minute: int,
        expectation: Expectation,
        events: np.ndarray,
        exposure: np.ndarray,
        quiet_factor: np.ndarray,
    ) -> list[Point]:
        rate = expectation.rate * quiet_factor
        expected = rate * np.maximum(exposure, _LEAST_EXPOSURE)[:, None]
        score = np.zeros(events.shape)
        fires: np.ndarray = np.zeros(events.shape[1], dtype=bool)
        counts_score = rules.is_material(events, expected)
        if counts_score.any():
            tail = upper_tail(events[counts_score], expected[counts_score], expectation.shape[counts_score])
            score[counts_score] = as_score(tail)
            fires = np.any(score >= FIRE_SCORES[:, None], axis=0)
        is_quarter = rules.is_denied_quarter(events[:2, _DENIED_COLUMN], exposure[:2])
        is_burst = rules.is_burst_of_rare(events[1], rate)
        window = score.argmax(axis=0)
        deviation = _BAND_STANDARD_DEVIATIONS * np.sqrt(expected[0] + expected[0] ** 2 / expectation.shape[0])
        points = []
        by_status = (window, events.T, expected.T, score.T, deviation, is_burst, fires, self._baseline.first_minute)
        columns: Iterable[Any] = zip(*(values.tolist() for values in by_status), strict=True)
        for column, of_column in enumerate(columns):
            likeliest, counts, means, scores, spread, bursts, does_fire, first_minute = of_column
            if first_minute > minute:
                continue
            rule, best = rules.NO_RULE, likeliest
            if column == _DENIED_COLUMN and is_quarter.any():
                rule, best = rules.DENIED_QUARTER, int(is_quarter.argmax())
            elif bursts:
                rule, best = rules.BURST_OF_RARE, 1
            elif does_fire:
                rule = rules.RATE_TAIL
            is_anomalous = bool(rule)
            upper = means[0] + spread
            points.append(
                Point(
                    self._baseline.statuses[column],
                    minute,
                    scores[best],
                    means[best],
                    int(counts[best]),
                    WINDOWS_MINUTES[best],
                    int(counts[0]),
                    max(means[0] - spread, 0.0),
                    upper,
                    int(exposure[best]),
                    rule,
                    is_anomalous,
                    is_anomalous and self._is_rate_sustained(row, column, rate[column], expectation.shape[:, column]),
                    max(scores[:2]) >= _ELEVATED_SCORE,
                    counts[0] >= upper + 1,
                    self._start_of_rate(row, column, rate[column], best) if is_anomalous else minute,
                )
            )
        return points

    def _rate_rows(self, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Return events and exposure of the minutes of the longest window, the oldest first."""
        rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
        return self._events[rows, column], self._approved[rows] + self._events[rows, _DENIED_COLUMN]

    def _is_rate_sustained(self, row: int, column: int, rate: float, shape: np.ndarray) -> bool:
        """Return whether the window is anomalous even without its two worst minutes: a blip is no incident."""
        events, exposure = self._rate_rows(row, column)
        expected = rate * exposure
        for window, minutes in enumerate(WINDOWS_MINUTES[1:], start=1):
            order = np.argpartition((events - expected)[-minutes:], -_MINUTES_THAT_MAY_BE_CHANCE)
            kept = order[:-_MINUTES_THAT_MAY_BE_CHANCE]
            left, left_expected = events[-minutes:][kept].sum(), expected[-minutes:][kept].sum()
            if left_expected > 0 and as_score(upper_tail(left, left_expected, shape[window])) >= _SUSTAINED_SCORE:
                return True
        return False

    def _start_of_rate(self, row: int, column: int, rate: float, window: int) -> int:
        """Return the minute since which counts exceed half-way between usual and the mean of the window."""
        events, exposure = self._rate_rows(row, column)
        excess = events - rate * exposure
        half_way = max(excess[-WINDOWS_MINUTES[window] :].mean() / 2, 0.0)
        assert self._last is not None
        return self._last - (_ROWS - 1 - row) - _minutes_of_run(excess - half_way) + 1

    def _score_volume(
        self,
        row: int,
        minute: int,
        expectation: Expectation,
        approved: np.ndarray,
        exposure: np.ndarray,
        expected: np.ndarray,
    ) -> Point:
        largest_share = rules.largest_low_volume(expectation.volume, expectation.has_season)
        is_low = rules.is_volume_low(approved, expected, largest_share)
        is_zero = rules.is_zero_approved(approved, expected)
        scores = np.zeros(len(approved))
        is_elevated = is_sustained = False
        start = minute
        rule = rules.NO_RULE
        best = 0
        if is_low.any():
            shape = expectation.volume_shape
            scores = np.where(is_low, as_score(lower_tail(approved, expected, shape)), 0.0)
            best = int(is_zero.argmax() if is_zero.any() else scores.argmax())
            is_elevated = bool(scores[:2].max() >= _ELEVATED_SCORE)
            if is_zero.any() or (scores >= FIRE_SCORES).any():
                rule = rules.ZERO_APPROVED if is_zero.any() else rules.VOLUME_TAIL
                rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
                counts, means = self._approved[rows], self._volume[rows] * self._observed[rows]
                last = self._observed[rows].nonzero()[0][-_MINUTES_THAT_MAY_BE_CHANCE - 1 :]
                is_sustained = bool((counts[last] <= largest_share * means[last]).all())
                start = minute - _minutes_of_run(_STARTS_WHERE_VOLUME_BELOW * means - counts) + 1
        mean, count = float(expected[0]), int(approved[0])
        spread = _BAND_STANDARD_DEVIATIONS * (mean + mean**2 / float(expectation.volume_shape[0])) ** 0.5
        return Point(
            VOLUME,
            minute,
            float(scores[best]),
            float(expected[best]),
            int(approved[best]),
            WINDOWS_MINUTES[best],
            count,
            max(mean - spread, 0.0),
            mean + spread,
            int(exposure[best]),
            rule,
            bool(rule),
            is_sustained,
            is_elevated or bool(rule),
            count < mean - spread or (bool(rule) and count == 0),
            start,
        )

    def _score_feed(self, row: int, minute: int, expectation: Expectation) -> Point:
        rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
        silent = int(np.argmax(self._observed[rows][::-1])) if self._observed[rows].any() else LONGEST_WINDOW
        if not silent:
            mean = expectation.volume
            return Point(FEED, minute, 0.0, mean, 1, 1, 1, 0.0, 1.0, 0)
        expected = float(self._volume[row + 1 - silent : row + 1].sum())
        score = float(as_score(lower_tail(np.array(0), np.array(expected), expectation.volume_shape[-1])))
        is_stale = rules.is_feed_stale(silent, expected)
        lasts = is_stale or silent == LONGEST_WINDOW
        rule = rules.STALE_FEED if is_stale else rules.NO_RULE
        start = minute - silent + 1
        return Point(
            FEED, minute, score, expected, 0, silent, 0, 0.0, 1.0, 0, rule, is_stale, is_stale, lasts, lasts, start
        )

    def to_json(self) -> dict[str, object]:
        """Return the state, ready for `json.dumps`: a detector restored from it continues as this one would."""
        return {
            "baseline": self._baseline.to_json(),
            "last": self._last,
            "waiting": sorted(self._waiting.items()),
            "approved": self._approved.tolist(),
            "events": self._events.tolist(),
            "observed": self._observed.tolist(),
            "volume": self._volume.tolist(),
            "expectations": [one and one.to_json() for one in self._expectations],
            "open": [[list(incident) for incident in opened.values()] for opened in self._open],
        }

    @classmethod
    def from_json(cls, state: dict) -> Detector:
        """Return the detector that `to_json` wrote."""
        detector = cls()
        detector._baseline = Baseline.from_json(state["baseline"])
        detector._last = state["last"]
        detector._waiting = {minute: dict(counts) for minute, counts in state["waiting"]}
        detector._approved = np.array(state["approved"])
        detector._events = np.array(state["events"])
        detector._observed = np.array(state["observed"])
        detector._volume = np.array(state["volume"])
        detector._expectations = [one and Expectation.from_json(one) for one in state["expectations"]]
        opened = [[Incident(*fields) for fields in incidents] for incidents in state["open"]]
        detector._open = [{incident.series: incident for incident in incidents} for incidents in opened]
        return detector


def _minutes_of_run(excess: np.ndarray) -> int:
    """Return how many of the last minutes add up to the largest excess: at least one. excess: the oldest first."""
    return int(np.cumsum(excess[::-1]).argmax()) + 1
