"""Score a batch of accounts: score, decision, reasons, cluster, links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EvidenceMatrix
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
