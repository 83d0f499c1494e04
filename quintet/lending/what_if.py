"""What-if: decide past applications with another policy and compare.

Only issued loans have an outcome. Results for newly approved applications therefore rest on the few that got a loan
although the active policy would not approve it, or before there was a policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from quintet.lending.measures import share_interval
from quintet.lending.model_training import figures_of, score_rows
from quintet.lending.policy import STRICTER, Policy
from quintet.lending.scoring import Scored, ScoringModel

CUT_OFFS = tuple(round(0.05 * step, 2) for step in range(1, 13))
"""The limits of approval in the table of cut-offs."""

_RANK = {decision: rank for rank, decision in enumerate(STRICTER)}
_SAFE = Scored(0.0, 0, ())


@dataclass(frozen=True)
class WhatIf:
    """A comparison. policies: a row for `before` and one for `after`. swaps: a row for `in`, `out` and `stays`."""

    policies: pd.DataFrame
    swaps: pd.DataFrame


def score_applications(applications: pd.DataFrame, model: ScoringModel | None, policy: Policy) -> pd.DataFrame:
    """Score and decide applications, rows of the training set, as the decision service would have.

    Returns application_id, client_id, applied_on, amount, age_years, outcome, is_open, and: default_probability,
    points, reasons (list of codes), decision, decision_reasons, by_rules (the decision of the rules alone), is_scored
    (False if the policy decides without a score). Without a model, the policy refers what needs a score.
    """
    scored: list[Scored | None] = [None] * len(applications)
    if model is not None:
        scored = [*score_rows(model, applications)]
    known = [name for name in sorted(policy.needs) if name in applications]
    open_policy = replace(policy, approve_below=1.0, reject_from=1.0)
    found = []
    for one, values in zip(scored, figures_of(applications[known]), strict=True):
        outcome = policy.decide(values, one)
        is_scored = not all(condition.holds(values) for condition in policy.no_history)
        by_rules = open_policy.decide(values, _SAFE).decision
        by_score = (None, None, []) if one is None else (one.default_probability, one.points, list(one.reasons))
        found.append((*by_score, outcome.decision, list(outcome.reasons), by_rules, is_scored))
    names = ["default_probability", "points", "reasons", "decision", "decision_reasons", "by_rules", "is_scored"]
    kept = ["application_id", "client_id", "applied_on", "amount", "age_years", "outcome", "is_open"]
    decided = pd.DataFrame(found, columns=names, index=applications.index)
    return pd.concat([applications[kept], decided], axis=1)


def decide_by_cut_off(scored: pd.DataFrame, approve_below: float, reject_from: float) -> np.ndarray:
    """Return the decisions under other limits and the same rules. scored: from `score_applications`."""
    probability = scored["default_probability"].to_numpy(dtype=float)
    by_score = np.select([probability >= reject_from, probability < approve_below], [_RANK["reject"], _RANK["approve"]],
                         _RANK["refer"])  # fmt: skip
    by_score = np.where(scored["is_scored"].to_numpy(dtype=bool), by_score, _RANK["approve"])
    by_rules = scored["by_rules"].map(_RANK).to_numpy(dtype=int)
    return np.array(STRICTER, dtype=object)[np.maximum(by_score, by_rules)]


def compare(scored: pd.DataFrame, before: np.ndarray, after: np.ndarray) -> WhatIf:
    """Compare two sets of decisions and their swaps. before, after: a decision for each row of `scored`."""
    policies = pd.DataFrame(
        [{"policy": "before", **_sums(scored, before)}, {"policy": "after", **_sums(scored, after)}]
    )
    was, now = before == "approve", after == "approve"
    sets = {"in": now & ~was, "out": was & ~now, "stays": was & now}
    swaps = pd.DataFrame([{"swap": name, **_book(scored[chosen])} for name, chosen in sets.items()])
    return WhatIf(policies, swaps)


def cut_off_table(scored: pd.DataFrame, policy: Policy) -> pd.DataFrame:
    """Return the results of each limit of `CUT_OFFS` and of the active policy, a row each.

    Columns: approve_below, reject_from, is_active, counts of decisions, the book of the approvals, and count and
    realised share of defaults of the applications swapped in and out.
    """
    before = scored["decision"].to_numpy()
    rows = []
    for limit in sorted({*CUT_OFFS, policy.approve_below}):
        reject_from = max(limit, policy.reject_from)
        after = decide_by_cut_off(scored, limit, reject_from)
        found = compare(scored, before, after)
        swapped = found.swaps.set_index("swap")
        rows.append(
            {
                "approve_below": limit,
                "reject_from": reject_from,
                "is_active": limit == policy.approve_below,
                **_sums(scored, after),
                **{
                    f"swapped_{way}_{name}": swapped.loc[way, name]
                    for way in ("in", "out")
                    for name in ("applications", "known_outcomes", "default_share")
                },
            }
        )
    return pd.DataFrame(rows)


def _sums(scored: pd.DataFrame, decisions: np.ndarray) -> dict[str, float]:
    counts = {f"{name}s": int((decisions == decision).sum()) for name, decision in
              (("approval", "approve"), ("referral", "refer"), ("rejection", "reject"))}  # fmt: skip
    book = _book(scored[decisions == "approve"])
    del book["applications"]
    return {"applications": len(scored), **counts, "approval_share": _share(counts["approvals"], len(scored)), **book}


def _book(rows: pd.DataFrame) -> dict[str, float]:
    """Return the amount lent, the expected loss, and the outcomes of some applications."""
    amount = rows["amount"].fillna(0.0)
    expected = float((amount * rows["default_probability"]).sum())
    known = rows[rows["outcome"].notna()]
    defaults = int(known["outcome"].eq("overdue").sum())
    low, high = share_interval(np.array([defaults]), np.array([len(known)]))
    return {
        "applications": len(rows),
        "amount": float(amount.sum()),
        "expected_loss": expected,
        "expected_loss_share": _share(expected, float(amount.sum())),
        "known_outcomes": len(known),
        "defaults": defaults,
        "default_share": _share(defaults, len(known)),
        "default_share_low": float(low[0]),
        "default_share_high": float(high[0]),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
