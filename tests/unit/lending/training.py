"""A training set drawn from a known risk, without a change log, for tests of training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from quintet.lending.feature_registry import features

FIRST_DAY = np.datetime64("2018-01-01")


def make_training_set(rows: int, seed: int = 1, ended_share: float = 0.8) -> pd.DataFrame:
    """Return rows of `ml.lending_training_set`, and `risk`: the true probability of default.

    Amount, duration and the share of late payments move the risk; age, and the other features, do not.
    """
    rng = np.random.default_rng(seed)
    amount = np.round(np.clip(rng.lognormal(6.2, 0.7, rows), 50, 10_000), -1)
    duration = rng.choice([7.0, 30.0, 90.0, 360.0], rows)
    has_history = rng.random(rows) < 0.5
    late_share = np.where(has_history, rng.integers(0, 4, rows) / 4, np.nan)
    risk = expit(-1.6 + 1.2 * (np.log(amount) - 6.2) + 0.8 * np.log(duration / 30) + 1.5 * np.nan_to_num(late_share))
    applied = FIRST_DAY + rng.integers(0, 700, rows).astype("timedelta64[D]")
    is_ended = rng.random(rows) < ended_share
    outcome = np.where(rng.random(rows) < risk, "overdue", "repaid").astype(object)
    frame = pd.DataFrame(
        {
            "application_id": np.arange(1, rows + 1),
            "client_id": rng.integers(1, rows // 2 + 2, rows),
            "applied_on": applied.astype(str),
            "as_of": applied.astype(str),
            "seen_by": "stream",
            "seen_on": applied.astype(str),
            "amount": amount,
            "duration_days": duration,
            **{feature.name: 0.0 for feature in features()},
            "age_years": rng.uniform(19, 80, rows),
            "outcome": np.where(is_ended, outcome, None),
            "outcome_on": np.where(is_ended, (applied + duration.astype("timedelta64[D]")).astype(str), None),
            "is_open": ~is_ended & (np.arange(rows) % 2 == 0),
            "is_issued": is_ended | (np.arange(rows) % 2 == 1),
            "risk": risk,
        }
    )
    return frame.assign(
        late_payments_share=late_share,
        days_since_first_loan=np.where(has_history, rng.integers(1, 900, rows), np.nan),
        days_since_last_late_payment=np.where(late_share > 0, rng.integers(1, 400, rows), np.nan),
        paid_loans_count=np.where(has_history, rng.integers(0, 5, rows), 0).astype(float),
        profit_in_last_90_days_rate=np.nan,
    )
