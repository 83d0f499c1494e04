"""The expected minute: the rate of each status given exposure, the volume of approvals, and the dispersion of both.

Each rate is a product: a long-run rate, a factor by half-hour of the day (before there is a day of history, a factor
for quiet hours, for denied only), and a level that follows the last hours. The volume is the median at the same time of
three weekdays like this one, times a level. Before there are two of them it is the median of 1, 2, 3 and 7 days back;
without history it is the mean of the last minutes.
"""

from __future__ import annotations

from math import isnan

import numpy as np

from quintet.payments.expectation import Expectation
from quintet.payments.volume_history import QUARTER_MINUTES, QUARTERS_PER_DAY, VolumeHistory

WINDOWS_MINUTES = (1, 5, 15)
LONGEST_WINDOW = WINDOWS_MINUTES[-1]
MINUTES_PER_DAY = 1_440

DENIED = "denied"
_PRIOR_RATE = {DENIED: 0.1}
_PRIOR_RATE_OF_OTHERS = 0.003
_PRIOR_RATE_OF_UNKNOWN = 0.00005
_PRIOR_EVENTS = 2.0
# At night the denied share nearly doubles as traffic falls.
_QUIET_HOURS_RISE = 0.8
_QUIET_EXPOSURE_PER_MINUTE = 120.0

_SEASON_BINS = 48
_SEASON_PRIOR_EVENTS = 30.0
_SEASON_KEPT_PER_DAY = 0.8
# Where the rate changes from one half-hour to the next, it does so ten minutes earlier or later on another day.
_SEASON_SHIFT = 1 / 3
_LEVEL_PRIOR_EVENTS = 20.0

_PRIOR_DISPERSION = 0.005
_PRIOR_DISPERSION_WEIGHT = 400.0  # corresponds to a standard deviation of 0.05
_DISPERSION_EVERY_MINUTES = 5
_LARGEST_SQUARED_DEVIATION = 9.0
_MOST_STANDARD_DEVIATIONS_USED = 4.0

_FEWEST_MINUTES_OF_A_BIN = 5
_VOLUME_PRIOR_EVENTS = 10.0
_LARGEST_VOLUME_WITH_SILENT_MINUTES = 5.0
# Above, the return to usual after a promotion would be a drop to 0.4, which is an incident.
_VOLUME_LEVEL_BOUNDS = (0.1, 2.0)
_LEAST_VOLUME_DISPERSION = 0.02


def _kept_per_minute(half_life_minutes: float) -> float:
    return 0.5 ** (1 / half_life_minutes)


_TOTAL_KEPT = _kept_per_minute(3 * MINUTES_PER_DAY)
_LEVEL_KEPT = _kept_per_minute(120)
_DISPERSION_KEPT = _kept_per_minute(MINUTES_PER_DAY) ** _DISPERSION_EVERY_MINUTES
_VOLUME_LEVEL_KEPT = _kept_per_minute(45)
_RECENT_VOLUME_KEPT = _kept_per_minute(20)

_ARRAYS = (
    *("total_events", "total_exposure", "season_events", "season_exposure", "day_events", "day_exposure"),
    *("first_minute", "prior_rate", "season_factors", "level_events", "level_expected"),
    *("season_variance", "deviations", "deviations_weight", "volume"),
)


def quiet_hours_factor(exposure_per_minute: float) -> float:
    """Return the factor of the denied share, relative to busy hours, at this exposure per minute: 1 to 1.8."""
    return 1.0 + _QUIET_HOURS_RISE * float(np.exp(-exposure_per_minute / _QUIET_EXPOSURE_PER_MINUTE))


class Baseline:
    """The trained state. `expect` and `update` change it, each at most once a minute and in order.

    Arrays have one column per status (in the order of `statuses`, denied first). `history` holds the volume of earlier
    days. `volume` holds, in this order: the level's observed and expected count; the decayed count and number of the
    last minutes; the sum and number of minutes of the current quarter-hour; and the number of that quarter-hour since
    1970 (-1: none). `doubtful` holds minutes and approvals of an incident of the volume or the feed that goes on.
    Minutes are local to the business.
    """

    def __init__(self, statuses: list[str]) -> None:
        count = len(statuses)
        self.statuses = list(statuses)
        self.total_events = np.zeros(count)
        self.total_exposure = np.zeros(count)
        self.season_events = np.zeros((_SEASON_BINS, count))
        self.season_exposure = np.zeros((_SEASON_BINS, count))
        self.day_events = np.zeros((_SEASON_BINS, count))
        self.day_exposure = np.zeros((_SEASON_BINS, count))
        self.level_events = np.zeros(count)
        self.level_expected = np.zeros(count)
        # The last column is the volume.
        self.deviations = np.zeros((len(WINDOWS_MINUTES), count + 1))
        self.deviations_weight = np.zeros((len(WINDOWS_MINUTES), count + 1))
        self.history = VolumeHistory()
        self.doubtful: list[tuple[int, float]] = []
        self.volume = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
        self.season_factors = np.ones((3, count))
        self.season_variance = np.zeros(count)
        self.season_bin = -1
        self.first_minute = np.zeros(count)
        self.prior_rate = np.array([_PRIOR_RATE.get(status, _PRIOR_RATE_OF_OTHERS) for status in statuses])

    def add_status(self, status: str) -> None:
        """Start a new series. It is trained from its `first_minute` on; its rate before is taken as almost zero."""
        self.statuses.append(status)
        for name in ("total_events", "total_exposure", "level_events", "level_expected", "season_variance"):
            setattr(self, name, np.append(getattr(self, name), 0.0))
        self.season_factors = np.column_stack([self.season_factors, np.ones(3)])
        self.first_minute = np.append(self.first_minute, np.nan)
        self.prior_rate = np.append(self.prior_rate, _PRIOR_RATE_OF_UNKNOWN)
        for name in ("season_events", "season_exposure", "day_events", "day_exposure"):
            array = getattr(self, name)
            setattr(self, name, np.column_stack([array, np.zeros(len(array))]))
        for name in ("deviations", "deviations_weight"):
            setattr(self, name, np.insert(getattr(self, name), -1, 0.0, axis=1))

    def expect(self, minute: int) -> Expectation:
        """Return the expectation of a minute, counted from 1970, from the minutes so far."""
        rate_of_all = (self.total_events + _PRIOR_EVENTS) / (self.total_exposure + _PRIOR_EVENTS / self.prior_rate)
        season_bin = minute % MINUTES_PER_DAY * _SEASON_BINS // MINUTES_PER_DAY
        if season_bin != self.season_bin:
            self._begin_half_hour(season_bin, rate_of_all)
        base = rate_of_all * self._season_factor(minute)
        known_events = self.level_events + _LEVEL_PRIOR_EVENTS
        rate = base * known_events / (self.level_expected + _LEVEL_PRIOR_EVENTS)
        dispersion = (self.deviations + _PRIOR_DISPERSION * _PRIOR_DISPERSION_WEIGHT) / (
            self.deviations_weight + _PRIOR_DISPERSION_WEIGHT
        )
        dispersion = np.maximum(dispersion, 0.0)
        unsure = 1 / known_events + 1 / (self.total_events + _PRIOR_EVENTS) + self.season_variance
        volume, has_season = self._expect_volume(minute)
        return Expectation(
            base,
            rate,
            1 / (unsure + dispersion[:, :-1]),
            volume,
            1 / np.maximum(dispersion[:, -1], _LEAST_VOLUME_DISPERSION),
            has_season,
        )

    def _season_factor(self, minute: int) -> np.ndarray:
        """Return the factor of each status at a minute, interpolated between the middles of half-hours."""
        minutes = MINUTES_PER_DAY // _SEASON_BINS
        place = (minute % minutes + 0.5) / minutes + 0.5
        before = int(place)
        first, second = self.season_factors[before : before + 2]
        return first + (place - before) * (second - first)

    def _begin_half_hour(self, season_bin: int, rate_of_all: np.ndarray) -> None:
        """Add yesterday's counts of this half-hour to the season, reset today's, and compute the factors around it."""
        self.season_bin = season_bin
        for season, day in ((self.season_events, self.day_events), (self.season_exposure, self.day_exposure)):
            season[season_bin] = _SEASON_KEPT_PER_DAY * season[season_bin] + day[season_bin]
            day[season_bin] = 0.0
        bins = np.arange(season_bin - 1, season_bin + 2) % _SEASON_BINS
        events, exposure = self.season_events[bins], self.season_exposure[bins]
        # Yesterday's counts of the next half-hour are not added yet.
        events[-1] = _SEASON_KEPT_PER_DAY * events[-1] + self.day_events[bins[-1]]
        exposure[-1] = _SEASON_KEPT_PER_DAY * exposure[-1] + self.day_exposure[bins[-1]]
        events += _SEASON_PRIOR_EVENTS
        self.season_factors = events / (exposure * rate_of_all + _SEASON_PRIOR_EVENTS)
        before, now, after = self.season_factors
        steepness = ((after - before) / (2 * now)) ** 2 - (1 / events[0] + 1 / events[-1]) / 4
        self.season_variance = _SEASON_SHIFT**2 * np.maximum(steepness, 0.0)

    def _expect_volume(self, minute: int) -> tuple[float, bool]:
        seasonal = self.history.usual(minute)
        level_observed, level_expected, recent, recent_minutes = self.volume[:4].tolist()
        if seasonal is None:
            return (recent / recent_minutes if recent_minutes > 0 else 0.0), False
        level = (level_observed + _VOLUME_PRIOR_EVENTS) / (level_expected + _VOLUME_PRIOR_EVENTS)
        low, high = _VOLUME_LEVEL_BOUNDS
        return seasonal * min(max(level, low), high), True

    def update(
        self,
        minute: int,
        events: np.ndarray,
        exposure: float,
        approved: float,
        windows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        quiet_factor: np.ndarray,
        was_expected: Expectation,
        is_used: np.ndarray,
        is_volume_used: bool,
    ) -> None:
        """Train on a settled minute that had rows. Call it once per minute, in order.

        events, exposure, approved: counts of the minute. windows: for the windows that end with it, events and expected
        events (window, status), approvals and expected approvals (window). quiet_factor, is_used (1 or 0): by status.
        """
        expected = was_expected.rate * quiet_factor * exposure
        most = expected + _MOST_STANDARD_DEVIATIONS_USED * np.sqrt(expected + 1)
        events = np.minimum(events, most) * is_used
        exposed = quiet_factor * exposure * is_used
        season_bin = minute % MINUTES_PER_DAY * _SEASON_BINS // MINUTES_PER_DAY
        self.day_events[season_bin] += events
        self.day_exposure[season_bin] += exposed
        self.total_events += events
        self.total_exposure += exposed
        self.level_events += events
        self.level_expected += was_expected.base * exposed
        if minute % _DISPERSION_EVERY_MINUTES == 0:
            self._update_dispersion(windows, was_expected, is_used, is_volume_used)
        if is_volume_used:
            self._update_volume(minute, approved)
        else:
            self.doubtful.append((minute, approved))

    def end_doubt(self, minute: int, is_usual: bool, is_recovered: bool) -> None:
        """Forget the minutes of an incident; take them as usual first if it has lasted too long to be one.

        If the volume has not recovered, it is the level of today: otherwise the next busy hour is an incident again.
        The minutes are also usual where the same time a week before is unknown because of an incident: then it repeats
        every week.
        """
        if is_usual or not is_recovered:
            for doubtful, approved in self.doubtful:
                self._update_level(doubtful, approved)
        self._begin_quarter(minute)
        by_quarter: dict[int, list[float]] = {}
        for doubtful, approved in self.doubtful:
            by_quarter.setdefault(doubtful // QUARTER_MINUTES, []).append(approved)
        for quarter, counts in by_quarter.items():
            week_ago = quarter - 7 * QUARTERS_PER_DAY
            repeats = self.history.has_day_of(week_ago) and isnan(self.history.of_quarter(week_ago))
            if (is_usual or repeats) and isnan(self.history.of_quarter(quarter)):
                self.history.set_quarter(quarter, sum(counts) / len(counts))
        self.doubtful = []

    def update_silent(self, minute: int, volume_expected: float) -> None:
        """Train on a settled minute without rows: it counts as zero approvals where silent minutes are usual."""
        if volume_expected < _LARGEST_VOLUME_WITH_SILENT_MINUTES:
            self._update_volume(minute, 0.0)

    def pass_minute(self) -> None:
        """Decay the trained counts by a minute."""
        self.total_events *= _TOTAL_KEPT
        self.total_exposure *= _TOTAL_KEPT
        self.level_events *= _LEVEL_KEPT
        self.level_expected *= _LEVEL_KEPT

    def _update_dispersion(
        self,
        windows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        was_expected: Expectation,
        is_used: np.ndarray,
        is_volume_used: bool,
    ) -> None:
        events, events_expected, approved, approved_expected = windows
        expected = np.column_stack([events_expected, approved_expected])
        shape = np.column_stack([was_expected.shape, was_expected.volume_shape])
        weight = np.append(is_used, float(is_volume_used and was_expected.has_season))
        squared = (np.column_stack([events, approved]) - expected) ** 2
        # An outlier teaches nothing: clipped ones would raise the dispersion until nothing is one any more.
        weight = weight * (squared <= _LARGEST_SQUARED_DEVIATION * (expected + expected**2 / shape))
        # Each deviation estimates the dispersion as (squared - expected) / expected**2; weight it by its precision.
        precision = expected**3 / (2 * expected + 1)
        self.deviations *= _DISPERSION_KEPT
        self.deviations += weight * (squared - expected) * expected / (2 * expected + 1)
        self.deviations_weight *= _DISPERSION_KEPT
        self.deviations_weight += weight * precision

    def _update_level(self, minute: int, approved: float) -> None:
        seasonal = self.history.usual(minute)
        self.volume[:2] *= _VOLUME_LEVEL_KEPT
        if seasonal is not None:
            self.volume[:2] += approved, seasonal

    def _update_volume(self, minute: int, approved: float) -> None:
        volume = self.volume
        self._update_level(minute, approved)
        volume[2:4] *= _RECENT_VOLUME_KEPT
        volume[2:4] += approved, 1.0
        self._begin_quarter(minute)
        volume[4:6] += approved, 1.0

    def _begin_quarter(self, minute: int) -> None:
        """Close the quarter-hour before the minute's, if it is still open."""
        quarter = minute // QUARTER_MINUTES
        if quarter == int(self.volume[6]):
            return
        total, minutes, last = self.volume[4:7].tolist()
        last = int(last)
        if last >= 0:
            if minutes >= _FEWEST_MINUTES_OF_A_BIN:
                self.history.set_quarter(last, total / minutes)
            self.history.clear(last + 1, quarter)
        self.history.clear(quarter, quarter + 1)
        self.volume[4:7] = 0.0, 0.0, quarter

    def to_json(self) -> dict[str, object]:
        """Return the state, ready for `json.dumps`; unknown values are null."""
        arrays = {name: _as_lists(getattr(self, name)) for name in _ARRAYS}
        return {
            "statuses": self.statuses,
            "season_bin": self.season_bin,
            "doubtful": self.doubtful,
            "volume_by_day": _as_lists(self.history.by_day),
            **arrays,
        }

    @classmethod
    def from_json(cls, state: dict) -> Baseline:
        """Return the baseline that `to_json` wrote."""
        baseline = cls(state["statuses"])
        if "season_factor" in state:  # a version without interpolation
            factor = state["season_factor"]
            state = state | {"season_factors": [factor] * 3, "season_variance": [0.0] * len(factor)}
        for name in _ARRAYS:
            setattr(baseline, name, np.array(state[name], dtype=getattr(baseline, name).dtype))
        baseline.history.by_day[:] = np.array(state["volume_by_day"], dtype=np.float32)
        baseline.season_bin = state["season_bin"]
        baseline.doubtful = [(minute, approved) for minute, approved in state["doubtful"]]
        return baseline


def expect_unknown_status() -> Expectation:
    """Return what an untrained baseline expects of a status that it does not know."""
    unknown = Baseline([])
    unknown.add_status("")
    return unknown.expect(0)


def _as_lists(array: np.ndarray) -> list:
    """Return the array as lists, with None for NaN and infinity, which JSON does not have."""
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()
