"""Compare checkout sales by hour with reference days: which hours are anomalous, and why.

Each reference column of a file (yesterday, a week ago, last week, last month) is first scaled to the level of today, by
the median over the hours. The expectation of an hour is the median of the columns, so one bad column has little
influence. The more the columns disagree, the less certain is the expectation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from quintet.payments.opening_hours import LEARNED, OpeningHours
from quintet.payments.tails import lower_tail, upper_tail

COLUMNS = ["source_file", "hour", "observed", "expected", "p_value", "direction", "is_anomalous", "reason"]
REFERENCES = ["yesterday", "same_day_last_week", "avg_last_week", "avg_last_month"]
LOW, HIGH = "low", "high"

_LARGEST_P_VALUE = 0.01
_LONGEST_RUN_HOURS = 4
_SUGGESTIVE_P_VALUE = 0.05
_REBOUND_HOURS = 3
_FEWEST_SALES_FOR_LEVEL = 5.0
# Two similar days still differ by a fifth in the same hour, beyond chance. A part of this is the error of the level,
# which all hours of a run share.
_LEAST_DISPERSION = 0.04
_LEVEL_DISPERSION = 0.01
_LARGEST_DISPERSION = 1.0
_LEAST_EXPECTED = 0.1
_NORMAL_SPREAD_OF_MAD = 1.4826
_CLOSED = "{:02d}h: closed, by the settings or as on the same day last week."
_NAMES = {
    "yesterday": "yesterday",
    "same_day_last_week": "the same day last week",
    "avg_last_week": "last week's mean",
    "avg_last_month": "last month's mean",
}


@dataclass(frozen=True)
class _StandingOut:
    """The references against which an hour stands out, each with its value in the file.

    others: the least and the largest of the other references, at the level of today; None without any.
    is_bad_reference: whether the only reference is itself anomalous against the others.
    """

    against: Sequence[tuple[str, float]]
    others: tuple[float, float] | None
    is_bad_reference: bool


def checkout_anomalies(hours: pd.DataFrame, opening: OpeningHours = LEARNED) -> pd.DataFrame:
    """Return observed and expected sales of each hour of each file as `COLUMNS`, ordered by file and hour.

    hours: as `marts.fct_checkout_hours` (source_file, hour, today and `REFERENCES`, which may hold nulls; file_date, if
    the day is known). opening: when the business is open, in the time zone of the files' hours.
    p_value: two-sided, of the hour or of its run of hours, before correction; null without a reference.
    is_anomalous: by Holm's correction over the hours of the file, at 0.01. Hours that are not anomalous singly are also
    tested as runs of two to four, corrected over all such runs. Sales that only return after an outage (a rebound) are
    not marked, and neither are few sales where the business is closed: by its settings, or for hours without any sales
    that had none on the same day last week; of these, as many are expected as there were. reason: a sentence for hours
    that are marked or need an explanation, else null.
    """
    parts = [_of_file(file.sort_values("hour", ignore_index=True), opening) for _, file in hours.groupby("source_file")]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _of_file(file: pd.DataFrame, opening: OpeningHours) -> pd.DataFrame:
    observed = file["today"].to_numpy(float)
    references = file[REFERENCES].to_numpy(float)
    is_closed = _set_as_closed(file, opening) | _closed_as_last_week(file["hour"].to_numpy(), observed, references)
    is_found = np.zeros(len(file), dtype=bool)
    # An outage of some hours must not lower the level of the day: compute the level again without the hours found.
    for _ in range(2):
        at_level = _at_level_of_today(observed, references, ~is_found & ~is_closed)
        expected, shape = _expectation(at_level)
        is_low = (observed < expected) & (_p_value(observed, expected, shape) <= _SUGGESTIVE_P_VALUE)
        is_explained = is_closed & is_low
        expected = np.where(is_explained, np.maximum(observed, _LEAST_EXPECTED), expected)
        p_value = _p_value(observed, expected, shape)
        is_found = _holm(p_value)
    p_value, is_found = _with_runs(file["hour"].to_numpy(), observed, expected, shape, p_value, is_found)
    result = pd.DataFrame(
        {
            "source_file": file["source_file"],
            "hour": file["hour"],
            "observed": file["today"],
            "expected": expected,
            "p_value": p_value,
            "direction": [_direction(*pair) for pair in zip(observed.tolist(), expected.tolist(), strict=True)],
            "is_anomalous": is_found,
        }
    )
    rebounds = _rebounds(result)
    standing_out = _standing_out(observed, at_level, expected, shape, references)
    result["is_anomalous"] &= np.array([rebound is None for rebound in rebounds], dtype=bool)
    result["reason"] = [
        _CLOSED.format(hour.hour) if closed else _reason(hour, rebound, against)
        for hour, rebound, against, closed in zip(
            result.itertuples(index=False), rebounds, standing_out, is_explained, strict=True
        )
    ]
    return result[COLUMNS]


def _set_as_closed(file: pd.DataFrame, opening: OpeningHours) -> np.ndarray:
    """Return by hour whether the settings say that the business is closed; without a date, on every weekday."""
    dated = file["file_date"].iloc[0] if "file_date" in file else None
    known = None if pd.isna(dated) else (pd.Timestamp(dated).date() - date(1970, 1, 1)).days
    days = range(7) if known is None else (known,)
    return np.array([all(opening.is_closed_for_hour(day, hour) for day in days) for hour in file["hour"].tolist()])


def _closed_as_last_week(hour: np.ndarray, observed: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the hours without sales, today as on the same day last week, for as long as they lasted then.

    A single hour counts only where the business opens later or closes earlier: otherwise it may be two outages.
    """
    is_silent = references[:, REFERENCES.index("same_day_last_week")] == 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_silent, [False]]).astype(np.int8)))
    is_closed = np.zeros(len(hour), dtype=bool)
    for first, until in edges.reshape(-1, 2).tolist():
        is_at_edge = not observed[:until].any() or not observed[first:].any()
        is_closed[first:until] = not observed[first:until].any() and (is_at_edge or until - first > 1)
    return is_closed


def _direction(observed: float, expected: float) -> str | None:
    if np.isnan(expected):
        return None
    return LOW if observed < expected else HIGH


def _at_level_of_today(observed: np.ndarray, references: np.ndarray, is_usual: np.ndarray) -> np.ndarray:
    """Scale each column by the weighted median, over usual hours, of today's sales to its own; (hours, columns)."""
    levels = np.ones(references.shape[1])
    for column, reference in enumerate(references.T):
        is_busy = (reference >= _FEWEST_SALES_FOR_LEVEL) & is_usual
        if is_busy.any():
            ratio = observed[is_busy] / reference[is_busy]
            order = ratio.argsort()
            weight = reference[is_busy][order].cumsum()
            levels[column] = ratio[order][np.searchsorted(weight, weight[-1] / 2)]
    return references * levels


def _expectation(at_level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return by hour the median of the columns (NaN without any), and the shape of its Gamma from their agreement."""
    masked = np.ma.masked_invalid(at_level)
    expected = np.ma.median(masked, axis=1).filled(np.nan)
    spread = _NORMAL_SPREAD_OF_MAD * np.ma.median(np.abs(masked - expected[:, None]), axis=1).filled(np.nan)
    expected = np.maximum(expected, _LEAST_EXPECTED)
    # Part of the disagreement is the Poisson noise of counts of that size.
    dispersion = np.clip((spread**2 - expected) / expected**2, _LEAST_DISPERSION, _LARGEST_DISPERSION)
    return expected, 1 / dispersion


def _p_value(observed: np.ndarray, expected: np.ndarray, shape: np.ndarray) -> np.ndarray:
    tails = np.minimum(lower_tail(observed, expected, shape), upper_tail(observed, expected, shape))
    return np.where(np.isnan(expected), np.nan, np.minimum(2 * tails, 1.0))


def _holm(p_value: np.ndarray) -> np.ndarray:
    """Return which hours are anomalous, with a chance of 0.01 of any false mark among all of them."""
    order = p_value.argsort()[: np.isfinite(p_value).sum()]  # NaN sorts last
    passes = p_value[order] * (len(order) - np.arange(len(order))) <= _LARGEST_P_VALUE
    is_found = np.zeros(len(p_value), dtype=bool)
    is_found[order] = np.logical_and.accumulate(passes)
    return is_found


def _with_runs(
    hour: np.ndarray,
    observed: np.ndarray,
    expected: np.ndarray,
    shape: np.ndarray,
    p_value: np.ndarray,
    is_found: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Add runs of hours that deviate in one direction, each only suggestive and together significant."""
    p_value, is_found = p_value.copy(), is_found.copy()
    is_open = ~is_found & (p_value <= _SUGGESTIVE_P_VALUE)
    is_low = observed < expected
    tests = sum(max(len(hour) - length + 1, 0) for length in range(2, _LONGEST_RUN_HOURS + 1))
    for length in range(_LONGEST_RUN_HOURS, 1, -1):
        for first in range(len(hour) - length + 1):
            run = slice(first, first + length)
            is_run = hour[run][-1] - hour[run][0] == length - 1 and is_open[run].all()
            if not is_run or len(set(is_low[run].tolist())) > 1:
                continue
            total = expected[run].sum()
            dispersion = _LEVEL_DISPERSION + (expected[run] ** 2 / shape[run]).sum() / total**2
            together = _p_value(observed[run].sum(keepdims=True), np.array([total]), np.array([1 / dispersion]))[0]
            if together * tests <= _LARGEST_P_VALUE:
                is_found[run], is_open[run] = True, False
                p_value[run] = np.minimum(p_value[run], together)
    return p_value, is_found


def _rebounds(result: pd.DataFrame) -> list[str | None]:
    """Return, for high hours within three hours after low ones, the low hours as text; else None.

    Only while the sales that returned do not exceed those that were lost.
    """
    rebounds: list[str | None] = [None] * len(result)
    last_low: list[int] = []
    owed = 0.0
    hours: Iterable[Any] = result.itertuples(index=False)
    for at, one in enumerate(hours):
        if one.is_anomalous and one.direction == LOW:
            if last_low and one.hour - last_low[-1] > 1:
                last_low, owed = [], 0.0
            last_low.append(one.hour)
            owed += one.expected - one.observed
        elif last_low and one.is_anomalous and one.hour - last_low[-1] <= _REBOUND_HOURS:
            returned = one.observed - one.expected
            if returned <= owed:
                owed -= returned
                rebounds[at] = _span(last_low)
    return rebounds


def _standing_out(
    observed: np.ndarray, at_level: np.ndarray, expected: np.ndarray, shape: np.ndarray, values: np.ndarray
) -> list[_StandingOut | None]:
    """Return for each hour the references against which it would be anomalous, taken singly; None where there is none.

    at_level: the references at the level of today. values: as in the file.
    """
    with np.errstate(invalid="ignore"):
        singly = _p_value(np.broadcast_to(observed[:, None], at_level.shape), np.maximum(at_level, 1.0), shape[:, None])
    is_against = np.isfinite(at_level) & np.isfinite(expected)[:, None] & (singly * len(observed) <= _LARGEST_P_VALUE)
    found: list[_StandingOut | None] = []
    for hour in range(len(observed)):
        against = np.flatnonzero(is_against[hour])
        others = at_level[hour][np.isfinite(at_level[hour]) & ~is_against[hour]]
        named = [(REFERENCES[column], float(values[hour, column])) for column in against]
        found.append(
            None
            if not named
            else _StandingOut(
                against=named,
                others=(float(others.min()), float(others.max())) if len(others) else None,
                is_bad_reference=len(named) == 1
                and _is_bad(at_level[hour, against[0]], others, shape[hour], len(observed)),
            )
        )
    return found


def _is_bad(reference: float, others: np.ndarray, shape: float, hours: int) -> bool:
    """Return whether a reference, at the level of today, would itself be anomalous against the other ones."""
    if not len(others):
        return False
    expected = np.array([max(float(np.median(others)), _LEAST_EXPECTED)])
    p_value = _p_value(np.array([round(reference)], dtype=float), expected, np.array([shape]))[0]
    return bool(p_value * hours <= _LARGEST_P_VALUE)


def _span(hours: list[int]) -> str:
    return f"{hours[0]:02d}h" if len(hours) == 1 else f"{hours[0]:02d}h-{hours[-1]:02d}h"


def _reason(hour: Any, rebound: str | None, standing_out: _StandingOut | None) -> str | None:
    if np.isnan(hour.expected):
        return "The hour has no reference to compare it with."
    sales = {0: "no sales", 1: "1 sale"}.get(hour.observed, f"{hour.observed:,} sales")
    said = f"{hour.hour:02d}h: {sales} where about {hour.expected:,.1f} were expected"
    if rebound is not None:
        return f"{said}: a rebound after {rebound}, no more than the sales lost then."
    p_value = "< 0.000001" if hour.p_value < 1e-6 else f"= {hour.p_value:.1g}"
    if hour.is_anomalous:
        return f"{said} (p {p_value})."
    if standing_out is not None:
        return f"{said} (p {p_value}): not marked. {_against(hour.observed, standing_out)}"
    return None


def _against(observed: float, found: _StandingOut) -> str:
    named = " and ".join(f"{_NAMES[column]} ({value:,.4g})" for column, value in found.against)
    if found.others is None:
        return f"It stands out against {named}, but its references disagree."
    low, high = (round(end, 1) for end in found.others)
    if len(found.against) == 1 and low <= observed <= high:
        bad = ", which is anomalous beside the other references" if found.is_bad_reference else ""
        return f"It stands out against {named} alone{bad}."
    between = f"{low:,.1f}" if low == high else f"{low:,.1f} to {high:,.1f}"
    return f"It stands out against {named}; the other references give {between} at the level of today."
