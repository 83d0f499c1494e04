"""Score one minute: each status, the volume and the feed, over windows of one to fifteen minutes.

The arrays are those of the detector: a row is a minute, the last row the last complete one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from quintet.payments import rules
from quintet.payments.baseline import LONGEST_WINDOW, WINDOWS_MINUTES, Baseline, Expectation, quiet_hours_factor
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
    """The counts by row. events: (row, status). observed: whether any row arrived. volume: the expected approvals."""

    approved: np.ndarray
    events: np.ndarray
    observed: np.ndarray
    volume: np.ndarray


class Windows(NamedTuple):
    """Sums over the windows that end with a row.

    events: (window, status). exposure, approved, volume (the expected approvals): by window. quiet_factor: by status
    the factor for quiet hours, from the exposure of the longest window.
    """

    events: np.ndarray
    exposure: np.ndarray
    approved: np.ndarray
    volume: np.ndarray
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
    since = row + 1 - LONGEST_WINDOW
    events = np.add.accumulate(arrays.events[since : row + 1][::-1])[_WINDOW_ENDS]
    approved = np.add.accumulate(arrays.approved[since : row + 1][::-1])[_WINDOW_ENDS]
    observed = arrays.observed[since : row + 1]
    volume = np.add.accumulate((arrays.volume[since : row + 1] * observed)[::-1])[_WINDOW_ENDS]
    exposure = approved + events[:, _DENIED_COLUMN]
    quiet_factor = np.ones(events.shape[1])
    quiet_factor[_DENIED_COLUMN] = quiet_hours_factor(exposure[-1] / max(observed.sum(), 1))
    return Windows(events, exposure, approved, volume, quiet_factor)


def _score_statuses(
    arrays: Arrays, row: int, minute: int, expectation: Expectation, baseline: Baseline, windows: Windows
) -> list[Point]:
    events, exposure, quiet_factor = windows.events, windows.exposure, windows.quiet_factor
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
        is_anomalous = bool(rule)
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
                is_anomalous and _is_rate_sustained(arrays, row, column, rate[column], expectation.shape[:, column]),
                max(scores[:2]) >= _ELEVATED_SCORE,
                counts[0] >= upper + 1,
                _start_of_rate(arrays, row, minute, column, rate[column], best) if is_anomalous else minute,
            )
        )
    return points


def _rate_rows(arrays: Arrays, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return events and exposure of the minutes of the longest window, the oldest first."""
    rows = slice(row + 1 - LONGEST_WINDOW, row + 1)
    return arrays.events[rows, column], arrays.approved[rows] + arrays.events[rows, _DENIED_COLUMN]


def _is_rate_sustained(arrays: Arrays, row: int, column: int, rate: float, shape: np.ndarray) -> bool:
    """Return whether the window is anomalous even without its two worst minutes: a blip is no incident."""
    events, exposure = _rate_rows(arrays, row, column)
    expected = rate * exposure
    for window, minutes in enumerate(WINDOWS_MINUTES[1:], start=1):
        order = np.argpartition((events - expected)[-minutes:], -_MINUTES_THAT_MAY_BE_CHANCE)
        kept = order[:-_MINUTES_THAT_MAY_BE_CHANCE]
        left, left_expected = events[-minutes:][kept].sum(), expected[-minutes:][kept].sum()
        if left_expected > 0 and as_score(upper_tail(left, left_expected, shape[window])) >= _SUSTAINED_SCORE:
            return True
    return False


def _start_of_rate(arrays: Arrays, row: int, minute: int, column: int, rate: float, window: int) -> int:
    """Return the minute since which counts exceed half-way between usual and the mean of the window."""
    events, exposure = _rate_rows(arrays, row, column)
    excess = events - rate * exposure
    half_way = max(excess[-WINDOWS_MINUTES[window] :].mean() / 2, 0.0)
    return minute - _minutes_of_run(excess - half_way) + 1


def _score_volume(arrays: Arrays, row: int, minute: int, expectation: Expectation, windows: Windows) -> Point:
    approved, exposure, expected = windows.approved, windows.exposure, windows.volume
    largest_share = rules.largest_low_volume(expectation.volume, expectation.usual_volume, expectation.has_season)
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
            counts, means = arrays.approved[rows], arrays.volume[rows] * arrays.observed[rows]
            last = arrays.observed[rows].nonzero()[0][-_MINUTES_THAT_MAY_BE_CHANCE - 1 :]
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
