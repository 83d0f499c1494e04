"""What is wrong whatever the score says, and what is too small to be wrong whatever the score says."""

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
# Sparse hours differ from day to day, and on a first day an evening fades by half within the hour: no incident.
_LARGEST_VOLUME_SHARE_IF_UNSURE = 0.2
_SPARSE_VOLUME_PER_MINUTE = 30.0
_LEAST_VOLUME_EXPECTED = 20.0
_LEAST_DENIED = 50
_LARGEST_DENIED_SHARE = 0.25
_LARGEST_RATE_OF_RARE = 0.0005
_LEAST_BURST = 5
_LEAST_SILENT_MINUTES = 3


def is_material(count: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Whether a count above expectation matters: a fifth as many again, and three or more above."""
    return (count >= _LEAST_RATIO * expected) & (count - expected >= _LEAST_EXCESS)


def largest_low_volume(expected_per_minute: float, has_season: bool) -> float:
    """The share of the expected approvals up to which they are low: 0.4; in sparse hours and on a first day 0.2."""
    is_sure = has_season and expected_per_minute >= _SPARSE_VOLUME_PER_MINUTE
    return _LARGEST_VOLUME_SHARE if is_sure else _LARGEST_VOLUME_SHARE_IF_UNSURE


def is_volume_low(count: np.ndarray, expected: np.ndarray, largest_share: float) -> np.ndarray:
    """Whether approvals below expectation matter: at most that share of twenty or more."""
    return (count <= largest_share * expected) & (expected >= _LEAST_VOLUME_EXPECTED)


def is_zero_approved(approved: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Whether nothing at all was approved where twenty or more were expected."""
    return (approved == 0) & (expected >= _LEAST_VOLUME_EXPECTED)


def is_denied_quarter(denied: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Whether fifty or more were denied and they are above a quarter of those that were approved or denied."""
    return (denied >= _LEAST_DENIED) & (denied > _LARGEST_DENIED_SHARE * exposure)


def is_burst_of_rare(count_of_five_minutes: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Whether a status that fewer than one in two thousand have comes five times or more in five minutes."""
    return (count_of_five_minutes >= _LEAST_BURST) & (rate < _LARGEST_RATE_OF_RARE)


def is_feed_stale(silent_minutes: int, approved_expected: float) -> bool:
    """Whether minutes without any row, where some are usual by night, add up to a feed that stands still."""
    return silent_minutes >= _LEAST_SILENT_MINUTES and approved_expected >= _LEAST_VOLUME_EXPECTED
