"""The lower bound for the delay of detecting a slow ramp on the generated days.

It measures the delays of an observer who knows when a ramp began, the exact usual rate, and the factor that all
statuses share, and who tests only the sum since then, at the limit of the longest window. A detector knows none of
this, so it cannot be faster at as few false alarms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import poisson

from bench.measure import Line, options, print_lines
from quintet.samples import payments as samples

USUALLY = "5 seconds"

_RAMPS, _RAMPS_QUICK = 2_000, 200
_LIMIT = 10.0**-4.8
_SHARE_OF_INCIDENTS = 0.25
_DELAY_OF_OTHERS_MINUTES = 2
_DAYS = 28


def delays(rng: np.random.Generator, ramps: int) -> np.ndarray:
    """Return the minutes from the first minute of each ramp to the deciding one."""
    rates = samples.usual_rates(samples.PaymentsWorld().first_day, _DAYS, rng)
    found = []
    for _ in range(ramps):
        status = str(rng.choice(list(samples._SURGES)))
        length = int(rng.integers(60, 180))
        start = int(rng.integers(_DAYS)) * 1_440 + int(rng.integers(8 * 60, 22 * 60 - length))
        window = slice(start, start + length)
        usual = rates[window, samples.STATUSES.index(status)]
        by_approved, least = samples._SURGES[status]
        added = np.maximum(by_approved * rates[window, 0], least) * np.linspace(0.05, 1.3, length)
        shared = rng.gamma(60, 1 / 60, length)
        count, expected = np.cumsum(rng.poisson((usual + added) * shared)), np.cumsum(usual * shared)
        is_found = (poisson.sf(count - 1, expected) <= _LIMIT) & (count - expected >= 3)
        found.append(int(is_found.argmax()) if is_found.any() else length)
    return np.array(found)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status; there is no limit to hold."""
    quick = options("ramps", __doc__).parse_args(arguments).quick
    ramps = delays(np.random.default_rng(77), _RAMPS_QUICK if quick else _RAMPS)
    others = np.full(round(len(ramps) * (1 - _SHARE_OF_INCIDENTS) / _SHARE_OF_INCIDENTS), _DELAY_OF_OTHERS_MINUTES)
    median, late = np.quantile(ramps, [0.5, 0.9])
    of_all = np.quantile(np.concatenate([ramps, others]), 0.9)
    lines = [
        Line("ramps", f"median {median:.0f} minutes, 90th percentile {late:.0f}", "", True),
        Line("all incidents, a quarter of them ramps", f"90th percentile {of_all:.0f} minutes", "", True),
    ]
    return print_lines("What an observer who knows everything but the ramp needs", lines)
