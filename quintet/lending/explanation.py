"""Explain a decision from the decision log: the rules of its policy, and whether it can be reproduced."""

from __future__ import annotations

import json

from quintet.lending.decide import NotReproducibleError, sentence_of
from quintet.lending.decision_log import DecisionLog, DecisionRecord
from quintet.lending.policy import Policy, PolicyError
from quintet.lending.reproduce import reproduce_from_log


def rules_of(record: DecisionRecord, policy_text: str | None) -> list[tuple[str, str, bool | None]]:
    """Return each rule of the policy: code, sentence, whether it applied; None where a figure was unknown."""
    try:
        policy = Policy.from_text(policy_text or "")
    except PolicyError:
        return []
    values = json.loads(record.figures)
    names = {rule.code: {condition.name for condition in rule.when} for rule in policy.rules}
    return [
        (rule.code, sentence_of(rule.code, policy), rule.holds(values) if names[rule.code] <= values.keys() else None)
        for rule in policy.rules
    ]


def reproduction(log: DecisionLog, record: DecisionRecord) -> str:
    """Return in words whether the log gives the same decision again, and what differs."""
    try:
        again = reproduce_from_log(log, record)
    except (NotReproducibleError, ValueError) as error:
        return f"it cannot be reproduced: {error}"
    return "; ".join(again.differences) or "reproduced from the log just now, identical bit for bit"
