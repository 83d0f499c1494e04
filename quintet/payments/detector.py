"""The detector: minutes in, scored points and incidents out. Live traffic, backtests and the batch all use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from quintet.payments import rules
from quintet.payments.baseline import (
    DENIED,
    LONGEST_WINDOW,
    MINUTES_PER_DAY,
    Baseline,
    expect_unknown_status,
)
from quintet.payments.closing_times import ClosingTimes
from quintet.payments.expectation import Expectation
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
    severity_by_share,
    to_minute,
)
from quintet.payments.opening_hours import LEARNED, OpeningHours
from quintet.payments.point_rules import apply_rules
from quintet.payments.scoring import Arrays, score_minute, windows_of
from quintet.rules.evaluate import Evaluator

STATUSES = (DENIED, "failed", "reversed", "backend_reversed", "refunded", "processing")
"""The statuses whose rates are monitored from the start; any other starts a series when it first appears."""

OTHER_STATUSES = "other_statuses"
MOST_STATUSES = 32
"""The most series of statuses; further statuses, and those named like another series, count as `OTHER_STATUSES`."""

LATENESS_MINUTES = 15
"""How late a count may arrive and still change a score; training waits as long."""

LARGEST_COUNT = 10**9

_LONGEST_FREEZE_MINUTES = 240
_RECOVERED_SHARE = 0.5

_ROWS = LATENESS_MINUTES + LONGEST_WINDOW
_FIRST_SCORED_ROW = _ROWS - LATENESS_MINUTES


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
    hours: when the business is open, as far as the settings say; the rest is learned. point_rules: what people decide
    about a minute's statistics, whatever their score. severity_of: returns the severity of an anomalous point. Both may
    be replaced at any time.
    """

    def __init__(
        self,
        hours: OpeningHours = LEARNED,
        point_rules: Evaluator | None = None,
        severity_of: Callable[[Point], str] = severity_by_share,
    ) -> None:
        self._hours, self.point_rules, self.severity_of = hours, point_rules, severity_of
        self._baseline = Baseline(list(STATUSES))
        self._closing_times = ClosingTimes(hours)
        self._last: int | None = None
        self._waiting: dict[int, dict[str, int]] = {}
        self._empty_rows()

    def _empty_rows(self) -> None:
        """Clear all rows. Row `_ROWS - 1` is the last complete minute."""
        self._approved = np.zeros(_ROWS)
        self._events = np.zeros((_ROWS, len(self._baseline.statuses)))
        self._observed = np.zeros(_ROWS, dtype=bool)
        self._volume = np.zeros(_ROWS)
        self._low_volume = np.zeros(_ROWS)
        self._rate = np.zeros(self._events.shape)
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
        for rows in self._arrays:
            rows[:-1] = rows[1:]
            rows[-1] = 0
        self._open = [*self._open[1:], self._open[-1]]
        self._expectations = [*self._expectations[1:], None]
        settled = self._expectations[_FIRST_SCORED_ROW - 1]
        if settled is not None:
            self._update_baseline(self._last - LATENESS_MINUTES, settled)
        self._baseline.pass_minute()
        expectation = self._baseline.expect(self._hours.to_local(self._last))
        expectation.usual_volume = self._closing_times.usual_per_minute
        if self._closing_times.is_closed(self._last):
            expectation = expectation.while_closed()
        self._expect(_ROWS - 1, expectation)
        counts = self._waiting.pop(self._last, None)
        if counts is not None:
            self._fill(_ROWS - 1, counts)

    def _expect(self, row: int, expectation: Expectation) -> None:
        """Write the expectation of a minute into its row."""
        self._expectations[row] = expectation
        self._rate[row] = expectation.rate
        self._volume[row] = expectation.volume
        self._low_volume[row] = expectation.volume * rules.largest_low_volume(
            expectation.volume, expectation.usual_volume, expectation.has_season
        )

    def _update_baseline(self, minute: int, expectation: Expectation) -> None:
        row = _FIRST_SCORED_ROW - 1
        opened = self._open[row]
        starts = [opened[series].started_minute for series in (VOLUME, FEED) if series in opened]
        approved = self._approved[row + 1 - LONGEST_WINDOW : row + 1]
        self._closing_times.update(minute, approved, min(starts, default=None))
        is_frozen = {
            incident.series
            for incident in opened.values()
            if minute - incident.started_minute < _LONGEST_FREEZE_MINUTES
        }
        baseline, local_minute = self._baseline, self._hours.to_local(minute)
        is_volume_used = not is_frozen & {VOLUME, FEED}
        windows = windows_of(self._arrays, row)
        if is_volume_used and baseline.doubtful:
            is_recovered = bool(windows.approved[1] > _RECOVERED_SHARE * windows.volume[1])
            baseline.end_doubt(local_minute, is_usual=bool(starts), is_recovered=is_recovered)
        if not self._observed[row]:
            if is_volume_used and expectation.is_open:
                baseline.update_silent(local_minute, expectation.volume)
            return
        is_used = np.array([status not in is_frozen for status in baseline.statuses], dtype=float)
        is_used *= baseline.first_minute <= minute
        baseline.update(
            local_minute,
            self._events[row],
            windows.exposure[0],
            self._approved[row],
            (windows.events, windows.expected, windows.approved, windows.volume),
            windows.quiet_factor,
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
            self._rate = np.column_stack([self._rate, np.zeros(_ROWS)])
            unknown = expect_unknown_status()
            for known, one in enumerate(self._expectations):
                if one is not None:
                    self._expect(known, one.with_status_of(unknown))
        column = baseline.statuses.index(status)
        assert self._last is not None
        baseline.first_minute[column] = np.fmin(baseline.first_minute[column], self._last - (_ROWS - 1 - row))
        return column

    def _score_from(self, first_row: int, is_revision: bool) -> Step:
        """Score the rows from `first_row` on, and advance the incidents."""
        before = self._open[first_row:]
        points: list[Point] = []
        changed: dict[str, Incident] = {}
        for row in range(first_row, _ROWS):
            of_row = self._score(row)
            self._open[row], incidents = advance(
                self._open[row - 1], of_row, bool(self._observed[row]), self.severity_of
            )
            points += of_row
            changed |= {incident.incident_id: incident for incident in incidents}
        if is_revision:
            kept = changed.keys() | {one.incident_id for one in self._open[first_row - 1].values()}
            said = {one.incident_id: one for opened in before for one in opened.values() if one.state == FIRING}
            changed |= {key: one._replace(state=WITHDRAWN) for key, one in said.items() if key not in kept}
        return Step(points, list(changed.values()))

    @property
    def _arrays(self) -> Arrays:
        return Arrays(self._approved, self._events, self._observed, self._volume, self._low_volume, self._rate)

    def _score(self, row: int) -> list[Point]:
        expectation = self._expectations[row]
        assert expectation is not None
        assert self._last is not None
        minute = self._last - (_ROWS - 1 - row)
        points = score_minute(self._arrays, row, minute, expectation, self._baseline)
        return apply_rules(points, self.point_rules, self._hours.to_local(minute))

    def to_json(self) -> dict[str, object]:
        """Return the state, ready for `json.dumps`: a detector restored from it continues as this one would."""
        return {
            "baseline": self._baseline.to_json(),
            "closing_times": self._closing_times.to_json(),
            "last": self._last,
            "waiting": sorted(self._waiting.items()),
            "approved": self._approved.tolist(),
            "events": self._events.tolist(),
            "observed": self._observed.tolist(),
            "expectations": [one and one.to_json() for one in self._expectations],
            "open": [[list(incident) for incident in opened.values()] for opened in self._open],
        }

    @classmethod
    def from_json(
        cls,
        state: dict,
        hours: OpeningHours = LEARNED,
        point_rules: Evaluator | None = None,
        severity_of: Callable[[Point], str] = severity_by_share,
    ) -> Detector:
        """Return the detector that `to_json` wrote."""
        if "closing_times" not in state:
            state = _of_former_version(state)
        detector = cls(hours, point_rules, severity_of)
        detector._baseline = Baseline.from_json(state["baseline"])
        detector._closing_times = ClosingTimes.from_json(state["closing_times"], hours)
        detector._last = state["last"]
        detector._waiting = {minute: dict(counts) for minute, counts in state["waiting"]}
        detector._approved = np.array(state["approved"])
        detector._events = np.array(state["events"])
        detector._observed = np.array(state["observed"])
        detector._rate = np.zeros(detector._events.shape)
        for row, one in enumerate(state["expectations"]):
            if one is not None:
                detector._expect(row, Expectation.from_json(one))
        opened = [[Incident(*fields) for fields in incidents] for incidents in state["open"]]
        detector._open = [{incident.series: incident for incident in incidents} for incidents in opened]
        return detector


def _of_former_version(state: dict) -> dict:
    """Return the state of a version that kept eight days of volume and learned no closing times."""
    former = np.array(state["baseline"]["volume_by_day"], dtype=float)
    kept = Baseline([]).history.by_day
    today = (state["last"] or 0) // MINUTES_PER_DAY
    for day in range(today - len(former) + 1, today + 1):
        kept[day % len(kept)] = former[day % len(former)]
    baseline = state["baseline"] | {"volume_by_day": kept.tolist(), "doubtful": []}
    return state | {"baseline": baseline, "closing_times": ClosingTimes(LEARNED).to_json()}
