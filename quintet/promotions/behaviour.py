"""Behaviour: how an account uses promotion codes, compared with the population."""

from __future__ import annotations

import numpy as np

from quintet.promotions.accounts import Accounts
from quintet.promotions.profile import Population

BEHAVIOUR_EVIDENCE = ("use_hasty", "use_early", "uses_many")


def behaviour_evidence(accounts: Accounts, population: Population) -> dict[str, np.ndarray]:
    """Return the columns `BEHAVIOUR_EVIDENCE`, 0 where no use is known.

    use_hasty: how much earlier the first use is than 99% of first uses; use_early: how rare so early a use is.
    uses_many: how many more uses than nearly all accounts.
    """
    if not accounts.uses.any():  # true of most sign-ups
        return {name: np.zeros(len(accounts)) for name in BEHAVIOUR_EVIDENCE}
    return {
        "use_hasty": population.use_lag_days.below(accounts.use_lag_days),
        "use_early": population.use_lag_days.rarity_below(accounts.use_lag_days),
        "uses_many": np.where(accounts.uses > 1, population.use_count_strangeness(accounts.uses), 0.0),
    }
