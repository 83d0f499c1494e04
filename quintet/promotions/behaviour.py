"""Behaviour: what an account does with promotion codes, beside what the population does."""

from __future__ import annotations

import numpy as np

from quintet.promotions.accounts import Accounts
from quintet.promotions.profile import Population

BEHAVIOUR_EVIDENCE = ("use_hasty", "use_early", "uses_many")


def behaviour_evidence(accounts: Accounts, population: Population) -> dict[str, np.ndarray]:
    """The columns `BEHAVIOUR_EVIDENCE`, 0 where no use is known.

    use_hasty: how far the first use comes sooner than 99% of first uses do; use_early: how few come as soon, which
    says something only where labels show that abusers are early. uses_many: how few accounts use codes as often.
    """
    if not accounts.uses.any():  # as of most who sign up
        return {name: np.zeros(len(accounts)) for name in BEHAVIOUR_EVIDENCE}
    return {
        "use_hasty": population.use_lag_days.below(accounts.use_lag_days),
        "use_early": population.use_lag_days.rarity_below(accounts.use_lag_days),
        "uses_many": np.where(accounts.uses > 1, population.use_count_strangeness(accounts.uses), 0.0),
    }
