"""Score a batch of accounts: score, decision, reasons, cluster, links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import EvidenceMatrix, gather
from quintet.promotions.model import AbuseModel
from quintet.promotions.policy import Policy
from quintet.promotions.reasons import reason_codes


@dataclass(frozen=True)
class Scored:
    """The scores of a batch.

    scores: user_id, score (0-1), decision, reasons (list of codes), cluster_id (the least user_id of its cluster; null
    if alone), cluster_size, model_version; one row per account. links: user_id, linked_user_id, weight; one per link.
    """

    scores: pd.DataFrame
    links: pd.DataFrame


def score_batch(
    users: pd.DataFrame | pa.Table, usages: pd.DataFrame | pa.Table | None, model: AbuseModel, policy: Policy
) -> pd.DataFrame:
    """Return the scores of the users, as in `Scored`. Users and usages are as for `accounts_of`."""
    accounts = accounts_of(users, usages)
    return scored(accounts, gather(accounts, model.population), model, policy).scores


def scored(accounts: Accounts, matrix: EvidenceMatrix, model: AbuseModel, policy: Policy) -> Scored:
    """Apply the model and the policy to the evidence of the accounts."""
    user_id = accounts.user_id.to_pandas()
    score = model.scores(matrix.columns)
    size = np.bincount(matrix.component, minlength=1)[matrix.component]
    # Accounts are sorted by user_id, so the first of a component has the least.
    _, first = np.unique(matrix.component, return_index=True)
    scores = pd.DataFrame(
        {
            "user_id": user_id,
            "score": score,
            "decision": policy.decisions(score),
            "reasons": reason_codes(matrix.columns, accounts, model, policy.reason_from),
            "cluster_id": user_id.iloc[first[matrix.component]].reset_index(drop=True).where(size > 1),
            "cluster_size": size,
            "model_version": model.version,
        }
    )
    links = pd.DataFrame(
        {
            "user_id": user_id.iloc[matrix.link_a].to_numpy(),
            "linked_user_id": user_id.iloc[matrix.link_b].to_numpy(),
            "weight": matrix.link_weight,
        }
    )
    return Scored(scores, links)
