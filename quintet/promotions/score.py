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
from quintet.promotions.rules import Judged, ruled
from quintet.rules.evaluate import Evaluator


@dataclass(frozen=True)
class Scored:
    """The scores of a batch.

    scores: user_id, score (0-1), decision, reasons (list of codes), cluster_id (the least user_id of its cluster; null
    if alone), cluster_size, model_version; one row per account. links: user_id, linked_user_id, weight; one per link.
    judged: what rules may name of each account.
    """

    scores: pd.DataFrame
    links: pd.DataFrame
    judged: Judged


def scored(
    accounts: Accounts,
    matrix: EvidenceMatrix,
    model: AbuseModel,
    policy: Policy,
    rules: Evaluator | None = None,
    at_s: float = 0.0,
) -> Scored:
    """Apply the model, the policy and the rules to the evidence of the accounts.

    at_s: now in Unix seconds, for entries of lists that expire.
    """
    user_id = accounts.user_id.to_pandas()
    score = model.scores(matrix.columns)
    size = np.bincount(matrix.component, minlength=1)[matrix.component]
    judged = Judged(accounts, matrix.columns, score, size, model.population.key_rules)
    codes = reason_codes(matrix.columns, accounts, model, policy.reason_from)
    outcome = ruled(rules, judged, policy.decisions(score), codes, at_s)
    # Accounts are sorted by user_id, so the first of a component has the least.
    _, first = np.unique(matrix.component, return_index=True)
    scores = pd.DataFrame(
        {
            "user_id": user_id,
            "score": score,
            "decision": outcome.decisions,
            "reasons": outcome.reasons,
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
    return Scored(scores, links, judged)
