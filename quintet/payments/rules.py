"""Fixed rules beside the score: what is always an alert, and what is too small to be one."""

from __future__ import annotations

import numpy as np

RATE_TAIL = "rate_tail"
VOLUME_TAIL = "volume_tail"
ZERO_APPROVED = "zero_approved"
DENIED_QUARTER = "denied_quarter"
BURST_OF_RARE = "burst_of_rare"
STALE_FEED = "stale_feed"
NO_RULE = ""

IMMEDIATE_RULES = frozenset({ZERO_APPROVED, DENIED_QUARTER, STALE_FEED})
"""Rules that need no third minute to confirm them."""

_LEAST_EXCESS = 3.0
_LEAST_RATIO = 1.2
_LARGEST_VOLUME_SHARE = 0.4
# Sparse hours differ from day to day, and on a first day an evening halves within the hour: neither is an incident.
_LARGEST_VOLUME_SHARE_IF_UNSURE = 0.2
_SPARSE_VOLUME_PER_MINUTE = 30.0
_SPARSE_SHARE_OF_USUAL = 0.2
_LEAST_VOLUME_EXPECTED = 20.0
_LEAST_DENIED = 50
_LARGEST_DENIED_SHARE = 0.25
_LARGEST_RATE_OF_RARE = 0.0005
_LARGEST_EXPECTED_OF_RARE = 0.1
_LEAST_BURST = 5
_LEAST_SILENT_MINUTES = 3


def is_material(count: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return whether a count above expectation is material: by a fifth and by three or more."""
    return (count >= _LEAST_RATIO * expected) & (count - expected >= _LEAST_EXCESS)


def largest_low_volume(expected_per_minute: float, usual_per_minute: float, has_season: bool) -> float:
    """Return the share of expected approvals up to which they are low: 0.4; in sparse hours or on a first day 0.2.

    Hours are sparse if they have less than 30 approvals a minute and less than a fifth of what is usual.
    """
    sparse = min(_SPARSE_VOLUME_PER_MINUTE, _SPARSE_SHARE_OF_USUAL * usual_per_minute)
    is_sure = has_season and expected_per_minute >= sparse
    return _LARGEST_VOLUME_SHARE if is_sure else _LARGEST_VOLUME_SHARE_IF_UNSURE


def is_volume_low(count: np.ndarray, expected: np.ndarray, largest_low: np.ndarray) -> np.ndarray:
    """Return whether approvals are materially low: at most that many of twenty or more expected."""
    return (count <= largest_low) & (expected >= _LEAST_VOLUME_EXPECTED)


def is_zero_approved(approved: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return whether nothing was approved where twenty or more were expected."""
    return (approved == 0) & (expected >= _LEAST_VOLUME_EXPECTED)


def is_denied_quarter(denied: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Return whether fifty or more were denied, and more than a quarter of those approved or denied."""
    return (denied >= _LEAST_DENIED) & (denied > _LARGEST_DENIED_SHARE * exposure)


def is_burst_of_rare(count_of_five_minutes: np.ndarray, rate: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return whether a status that is nearly never seen occurs five times or more in five minutes.

    rate: fewer than one in 2,000 transactions have it. expected: fewer than one in fifty minutes, so that a large
    business, in which even such a status is common, is judged by the score.
    """
    is_rare = (rate < _LARGEST_RATE_OF_RARE) & (expected < _LARGEST_EXPECTED_OF_RARE)
    return (count_of_five_minutes >= _LEAST_BURST) & is_rare


def is_feed_stale(silent_minutes: int, approved_expected: float) -> bool:
    """Return whether minutes without rows, a few of which are usual at night, mean a stale feed."""
    return silent_minutes >= _LEAST_SILENT_MINUTES and approved_expected >= _LEAST_VOLUME_EXPECTED
