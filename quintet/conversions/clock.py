"""Estimate by how much a partner's clock is ahead of ours, by stretch of time, from the rows alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from quintet.conversions.matching_model import ClockStretch

GRID_SECONDS = 900
REACH_SECONDS = 14 * 3_600
WINDOW_SECONDS = 600
OFFSETS_SECONDS = np.arange(-REACH_SECONDS, REACH_SECONDS + 1, GRID_SECONDS)

_UNITS_SECONDS = (300, 60)
_SAMPLE_ROWS = 60_000
_SEGMENT_ROWS = 300
_COUNTRY_BITS = 36  # seconds fit below, also shifted ones
_NOISE_FACTOR = 8.0


def conversion_index(country: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the conversions as sorted keys of country and time, for `conversions_before`."""
    return np.sort(country.astype(np.int64) << _COUNTRY_BITS | at)


def conversions_before(index: np.ndarray, country: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return for each row a running count of its country's conversions up to `at`, inclusive; use differences only."""
    return np.searchsorted(index, (country.astype(np.int64) << _COUNTRY_BITS) + at, side="right")


def rarity(index: np.ndarray, country: np.ndarray, seconds: int) -> np.ndarray:
    """Return the weight of a pair by row: lower where conversions of the country are frequent within `seconds`."""
    countries = (index >> _COUNTRY_BITS).astype(np.int64)
    at = index & ((1 << _COUNTRY_BITS) - 1)
    conversions = np.bincount(countries, minlength=int(country.max(initial=0)) + 1)
    span = max(int(at.max(initial=0) - at.min(initial=0)), seconds) if len(at) else seconds
    return 1 / (1 + conversions[country] * seconds / span)


def estimate_clock(index: np.ndarray, country: np.ndarray, at: np.ndarray) -> tuple[ClockStretch, ...]:
    """Return the stretches of a partner's clock.

    index: of the conversions (`conversion_index`). country, at: of the rows, own times, in order of time.
    Without rows, or where no offset stands out, one stretch with offset 0 that is not clear.
    """
    if not len(at) or not len(index):
        return (ClockStretch(int(at[0]) if len(at) else 0, 0, is_clear=False),)
    sample = slice(None, None, max(len(at) // _SAMPLE_ROWS, 1))
    sample_country, sample_at = country[sample], at[sample]
    weight = rarity(index, sample_country, WINDOW_SECONDS)
    segments = max(len(sample_at) // _SEGMENT_ROWS, 1)
    starts = np.arange(segments) * len(sample_at) // segments
    # By country and time, as the index is: neighbouring look-ups share the processor's cache.
    order = np.lexsort((sample_at, sample_country))
    segment_of = np.repeat(np.arange(segments), np.diff(np.append(starts, len(sample_at))))[order]
    by_country = sample_country[order], sample_at[order]

    def score(offset: int) -> np.ndarray:
        return np.bincount(segment_of, _excess(index, *by_country, offset, weight[order]), minlength=segments)

    candidates = offsets_of(sample_at)
    with ThreadPoolExecutor() as pool:  # a search in a sorted array leaves the interpreter free
        scores = np.column_stack(list(pool.map(score, candidates.tolist())))
    noise = np.maximum(1.4826 * np.median(np.abs(scores - np.median(scores, axis=1)[:, None])), 0.5)
    # A partner that notes the next whole minute is early under no offset: the grid explains it as well.
    scores -= noise * (candidates % GRID_SECONDS != 0)
    path = _best_path(scores, _NOISE_FACTOR * noise)
    if scores[np.arange(segments), path].sum() < _NOISE_FACTOR * noise * np.sqrt(segments):
        return (ClockStretch(int(at[0]), 0, is_clear=False),)
    offsets = candidates[path]
    stretches = [ClockStretch(int(at[0]), int(offsets[0]), is_clear=True)]
    times = np.append(sample_at[starts], at[-1] + 1)
    for segment in np.flatnonzero(np.diff(path)).tolist():
        begin, end = np.searchsorted(at, [times[segment], times[min(segment + 2, segments)]])
        before, after = int(offsets[segment]), int(offsets[segment + 1])
        changed = _change_point(index, country[begin:end], at[begin:end], before, after)
        stretches.append(ClockStretch(changed, after, is_clear=True))
    return tuple(stretches)


def offsets_of(at: np.ndarray) -> np.ndarray:
    """Return the offsets that a clock with these times may have, in seconds.

    A partner that cuts its times to whole minutes notes a conversion up to 59 s before it occurs. To read each time as
    the end of its minute is to read the clock as 59 s slower, so that no lag is negative.
    """
    unit = next((unit for unit in _UNITS_SECONDS if not (at % unit).any()), 1)
    return np.union1d(OFFSETS_SECONDS, OFFSETS_SECONDS - (unit - 1))


def _excess(index: np.ndarray, country: np.ndarray, at: np.ndarray, offset: int, weight: np.ndarray) -> np.ndarray:
    """Return for each row the conversions in the ten minutes before it minus those after it, clipped to ±1."""
    here = conversions_before(index, country, at - offset)
    before = here - conversions_before(index, country, at - offset - WINDOW_SECONDS)
    after = conversions_before(index, country, at - offset + WINDOW_SECONDS) - here
    return np.clip((before - after) * weight, -1, 1)


def _best_path(scores: np.ndarray, penalty: float) -> np.ndarray:
    """Return one column for each row of `scores` with the largest sum, where each change of column costs `penalty`."""
    total = scores[0].copy()
    previous = np.zeros(scores.shape, dtype=np.int64)
    stay = np.arange(scores.shape[1])
    for segment in range(1, len(scores)):
        best = int(total.argmax())
        switches = total[best] - penalty > total
        previous[segment] = np.where(switches, best, stay)
        total = np.where(switches, total[best] - penalty, total) + scores[segment]
    path = np.empty(len(scores), dtype=np.int64)
    path[-1] = int(total.argmax())
    for segment in range(len(scores) - 1, 0, -1):
        path[segment - 1] = previous[segment, path[segment]]
    return path


def _change_point(index: np.ndarray, country: np.ndarray, at: np.ndarray, before: int, after: int) -> int:
    """Return the time of the first row of the later offset: the split with the most excess on both sides."""
    weight = rarity(index, country, WINDOW_SECONDS)
    gain = _excess(index, country, at, before, weight) - _excess(index, country, at, after, weight)
    until = np.concatenate([[0.0], np.cumsum(gain)])
    return int(at[min(int(until.argmax()), len(at) - 1)])
