"""Score one minute: each status, the volume and the feed, over windows of one to fifteen minutes.

The arrays are those of the detector: a row is a minute, the last row the last complete one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from quintet.payments import rules
from quintet.payments.baseline import LONGEST_WINDOW, WINDOWS_MINUTES, Baseline, quiet_hours_factor
from quintet.payments.expectation import Expectation
from quintet.payments.incidents import FEED, VOLUME, Point
from quintet.payments.tails import as_score, lower_tail, upper_tail

FIRE_SCORES = 6.0 - np.log10(WINDOWS_MINUTES)
"""Scores from which a point recommends an alert, by window: one in a million for a minute, and n times that for a
window of n minutes, since a day has n times fewer windows that do not overlap.
"""

_ELEVATED_SCORE = 3.0
_SUSTAINED_SCORE = 2.0
_MINUTES_THAT_MAY_BE_CHANCE = 2
# Refunds and reversals may concern approvals of long before, so exposure is never quite zero.
_LEAST_EXPOSURE = 1.0

_WINDOW_ENDS = [minutes - 1 for minutes in WINDOWS_MINUTES]
_DENIED_COLUMN = 0
_STARTS_WHERE_VOLUME_BELOW = 0.7
_BAND_STANDARD_DEVIATIONS = 3.0


class Arrays(NamedTuple):
    """The counts by row, and what was expected of each minute.

    events: (row, status). observed: whether any row arrived. volume: the expected approvals. low_volume: the approvals
    up to which they are low. rate: by row and status, without the factor for quiet hours.
    """

    approved: np.ndarray
    events: np.ndarray
    observed: np.ndarray
    volume: np.ndarray
    low_volume: np.ndarray
    rate: np.ndarray


class Windows(NamedTuple):
    """Sums over the windows that end with a row.

    events, expected (each minute's exposure times its rate): (window, status). exposure, approved, volume, low_volume:
    by window. quiet_factor: by status the factor for quiet hours, from the exposure of the longest window.
    """

    events: np.ndarray
    expected: np.ndarray
    exposure: np.ndarray
    approved: np.ndarray
    volume: np.ndarray
    low_volume: np.ndarray
    quiet_factor: np.ndarray


def score_minute(arrays: Arrays, row: int, minute: int, expectation: Expectation, baseline: Baseline) -> list[Point]:
    """Return the points of the minute in a row: statuses, volume and feed; only the feed where no row arrived.

    minute: of the row, counted from 1970.
    """
    feed = _score_feed(arrays, row, minute, expectation)
    if not arrays.observed[row]:
        return [feed]
    windows = windows_of(arrays, row)
    points = _score_statuses(arrays, row, minute, expectation, baseline, windows)
    points.append(_score_volume(arrays, row, minute, expectation, windows))
    points.append(feed)
    return points


def windows_of(arrays: Arrays, row: int) -> Windows:
    """Return the sums over the windows that end with the row."""
    rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
    approved, events, observed = arrays.approved[rows], arrays.events[rows], arrays.observed[rows]
    exposure = approved + events[:, _DENIED_COLUMN]
    quiet_factor = np.ones(events.shape[1])
    quiet_factor[_DENIED_COLUMN] = quiet_hours_factor(exposure.sum() / max(observed.sum(), 1))
    return Windows(
        _sums(events),
        _sums(arrays.rate[rows] * exposure[:, None]) * quiet_factor,
        _sums(exposure),
        _sums(approved),
        _sums(arrays.volume[rows] * observed),
        _sums(arrays.low_volume[rows] * observed),
        quiet_factor,
    )


def _sums(of_minutes: np.ndarray) -> np.ndarray:
    """Return the sums over the windows. of_minutes: of the longest window, the oldest first."""
    return np.add.accumulate(of_minutes[::-1])[_WINDOW_ENDS]


def _score_statuses(
    arrays: Arrays, row: int, minute: int, expectation: Expectation, baseline: Baseline, windows: Windows
) -> list[Point]:
    events, exposure = windows.events, windows.exposure
    rate = expectation.rate * windows.quiet_factor
    expected = np.maximum(windows.expected, rate * _LEAST_EXPOSURE)
    score = np.zeros(events.shape)
    fires: np.ndarray = np.zeros(events.shape[1], dtype=bool)
    counts_score = rules.is_material(events, expected)
    if counts_score.any():
        tail = upper_tail(events[counts_score], expected[counts_score], expectation.shape[counts_score])
        score[counts_score] = as_score(tail)
        fires = np.any(score >= FIRE_SCORES[:, None], axis=0)
    is_quarter = rules.is_denied_quarter(events[:2, _DENIED_COLUMN], exposure[:2])
    is_burst = rules.is_burst_of_rare(events[1], rate, expected[1])
    window = score.argmax(axis=0)
    deviation = _BAND_STANDARD_DEVIATIONS * np.sqrt(expected[0] + expected[0] ** 2 / expectation.shape[0])
    points = []
    by_status = (window, events.T, expected.T, score.T, deviation, is_burst, fires, baseline.first_minute)
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
        is_anomalous = is_sustained = bool(rule)
        start = minute
        if is_anomalous:
            of_minutes = _rate_rows(arrays, row, column, windows.quiet_factor[column])
            is_sustained = _is_rate_sustained(*of_minutes, expectation.shape[:, column])
            start = _start_of_rate(*of_minutes, minute, best)
        upper = means[0] + spread
        points.append(
            Point(
                baseline.statuses[column],
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
                is_sustained,
                max(scores[:2]) >= _ELEVATED_SCORE,
                counts[0] >= upper + 1,
                start,
            )
        )
    return points


def _rate_rows(arrays: Arrays, row: int, column: int, quiet_factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the events of the minutes of the longest window, and those expected, the oldest first."""
    rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
    exposure = arrays.approved[rows] + arrays.events[rows, _DENIED_COLUMN]
    return arrays.events[rows, column], arrays.rate[rows, column] * quiet_factor * exposure


def _is_rate_sustained(events: np.ndarray, expected: np.ndarray, shape: np.ndarray) -> bool:
    """Return whether the window is anomalous even without its two worst minutes: a blip is no incident."""
    for window, minutes in enumerate(WINDOWS_MINUTES[1:], start=1):
        order = np.argpartition((events - expected)[-minutes:], -_MINUTES_THAT_MAY_BE_CHANCE)
        kept = order[:-_MINUTES_THAT_MAY_BE_CHANCE]
        left, left_expected = events[-minutes:][kept].sum(), expected[-minutes:][kept].sum()
        if left_expected > 0 and as_score(upper_tail(left, left_expected, shape[window])) >= _SUSTAINED_SCORE:
            return True
    return False


def _start_of_rate(events: np.ndarray, expected: np.ndarray, minute: int, window: int) -> int:
    """Return the minute since which counts exceed half-way between usual and the mean of the window."""
    excess = events - expected
    half_way = max(excess[-WINDOWS_MINUTES[window] :].mean() / 2, 0.0)
    return minute - _minutes_of_run(excess - half_way) + 1


def _score_volume(arrays: Arrays, row: int, minute: int, expectation: Expectation, windows: Windows) -> Point:
    approved, exposure, expected = windows.approved, windows.exposure, windows.volume
    is_low = rules.is_volume_low(approved, expected, windows.low_volume)
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
            counts, means = arrays.approved[rows], arrays.volume[rows] * arrays.observed[rows]
            last = arrays.observed[rows].nonzero()[0][-_MINUTES_THAT_MAY_BE_CHANCE - 1 :]
            is_sustained = bool((counts[last] <= arrays.low_volume[rows][last]).all())
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


def _score_feed(arrays: Arrays, row: int, minute: int, expectation: Expectation) -> Point:
    rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
    silent = int(np.argmax(arrays.observed[rows][::-1])) if arrays.observed[rows].any() else LONGEST_WINDOW
    if not silent:
        mean = expectation.volume
        return Point(FEED, minute, 0.0, mean, 1, 1, 1, 0.0, 1.0, 0)
    means = arrays.volume[row + 1 - silent : row + 1]
    expected = float(means.sum())
    score = float(as_score(lower_tail(np.array(0), np.array(expected), expectation.volume_shape[-1])))
    # Nothing is expected before the business opens.
    silent_open = silent - int(np.argmax(means > 0)) if expected else 0
    is_stale = rules.is_feed_stale(silent_open, expected)
    lasts = is_stale or silent == LONGEST_WINDOW
    rule = rules.STALE_FEED if is_stale else rules.NO_RULE
    start = minute - max(silent_open, 1) + 1
    return Point(
        FEED, minute, score, expected, 0, silent, 0, 0.0, 1.0, 0, rule, is_stale, is_stale, lasts, lasts, start
    )


def _minutes_of_run(excess: np.ndarray) -> int:
    """Return how many of the last minutes add up to the largest excess: at least one. excess: the oldest first."""
    return int(np.cumsum(excess[::-1]).argmax()) + 1
