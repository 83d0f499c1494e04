"""Minutes with a burst of denials, and rules that are applied to their statistics."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from quintet.payments.point_rules import GRAMMAR
from quintet.rules.evaluate import Evaluator
from quintet.rules.rule_set import RuleSet
from tests.unit.rules.rule_texts import rules_of


def evaluator(*rules: tuple[str, str]) -> Evaluator:
    """Return the evaluator of rules, each a condition and a decision."""
    return Evaluator(RuleSet.from_text(rules_of(*rules), GRAMMAR), GRAMMAR)


def minutes(burst: int) -> pd.DataFrame:
    """Return three hours of a hundred approvals a minute; denials are `burst` in ten minutes from the third hour on."""
    start = dt.datetime(2024, 1, 1, 9)
    rows = [
        (start + dt.timedelta(minutes=at), status, count, True)
        for at in range(180)
        for status, count in (("approved", 100), ("denied", burst if 120 <= at < 130 else 2))
    ]
    return pd.DataFrame(rows, columns=["minute_at", "status", "count", "is_observed"])
