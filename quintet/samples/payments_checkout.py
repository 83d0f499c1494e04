"""Checkout sales by hour, with injected outages and surges."""

from datetime import date

import numpy as np
import pandas as pd

from quintet.samples.sample import SampleFile

_SALES_BY_HOUR = np.array(
    (
        *(5, 2, 0.8, 0.45, 0.2, 0.7, 2.3, 5.2, 10, 18, 28, 28),
        *(25.5, 24.5, 25, 27.8, 25.5, 22.5, 18.5, 18.5, 19, 17.5, 15.5, 8.8),
    )
)
_SALES_HISTORY_DAYS = 35


def checkout_sample(
    first_day: date, checkout_days: int, rng: np.random.Generator
) -> tuple[list[SampleFile], pd.DataFrame]:
    """Return the checkout files and the truth about their anomalous hours.

    All columns come from one history of sales: one day's `today` is the next day's `yesterday`, with its anomalies.
    Truth: source_file, hour, kind ("outage", "surge"), expected, observed, why.
    """
    first_shown = _SALES_HISTORY_DAYS
    days = first_shown + checkout_days
    weekday = (first_day.weekday() + np.arange(days) - first_shown) % 7
    level = rng.lognormal(0, 0.12, days) * np.array([1.15, 1.1, 1.05, 1.0, 1.0, 0.8, 0.75])[weekday]
    expected = np.outer(level, _SALES_BY_HOUR)
    sales = rng.poisson(expected * rng.gamma(30, 1 / 30, expected.shape))
    first_start = int(rng.integers(11))
    anomalies = []
    for number in range(1, checkout_days + 1):
        day = first_shown + number - 1
        is_surge = number % 3 == 0
        start = 9 + (first_start + 5 * number) % 11
        hours = np.arange(start, start + int(rng.integers(2, 4)))
        left = 2.6 if is_surge else rng.choice([0.0, 0.0, 0.08], len(hours))
        sales[day, hours] = rng.poisson(expected[day, hours] * left)
        anomalies.append(
            pd.DataFrame(
                {
                    "source_file": f"checkout_{number}.csv",
                    "hour": hours,
                    "kind": "surge" if is_surge else "outage",
                    "expected": expected[day, hours].round(2),
                    "observed": sales[day, hours],
                    "why": "far more sales than usual" if is_surge else "sales stop in hours that are busy",
                }
            )
        )
    files = []
    for number in range(1, checkout_days + 1):
        day = first_shown + number - 1
        rows = pd.DataFrame(
            {
                "time": [f"{hour:02d}h" for hour in range(24)],
                "today": sales[day],
                "yesterday": sales[day - 1],
                "same_day_last_week": sales[day - 7],
                "avg_last_week": sales[day - 7 : day].mean(axis=0).round(2),
                "avg_last_month": sales[day - 28 : day].mean(axis=0).round(2),
            }
        )
        files.append(SampleFile("checkout_sales", f"checkout_{number}.csv", rows))
    return files, pd.concat(anomalies, ignore_index=True)
