"""Test data: a small scoring model of each kind, and a decision record."""

from __future__ import annotations

from quintet.lending.decision_log import DecisionRecord
from quintet.lending.scoring import Bins, Node, ScoringModel, Trees

RECORD = DecisionRecord(
    application_id=1, decision_id="d1", client_id=7, identity="i1", application="{}", asked_by="a test",
    decided_at="2026-11-21T12:00:00+00:00", decision="approve", reasons="[]", score=0.1, points=563,
    model_version="m1", model_sha256="s1", policy_version="p1", policy_sha256="h1", figures="{}",
    features_version="f1", applied_lsn=100, score_reasons="[]", degraded_reason=None, challenger=None, waited_ms=1.0,
    latency_ms=2.0, answer='{"decision":"approve"}',
)  # fmt: skip


def scorecard(base_points: int = 520) -> ScoringModel:
    """Return a scorecard with points by amount and by the share of late payments."""
    bins = {
        "amount": Bins((500.0, 2_000.0), (30, 10, -20), 0, 12.5),
        "late_payments_share": Bins((0.05, 0.3), (25, -10, -60), -5, 8.0),
    }
    return ScoringModel(("amount", "late_payments_share"), base_points=base_points, bins=bins)


def boosted(trees: int = 100) -> ScoringModel:
    """Return a boosted model with trees of seven nodes."""
    inputs = ("amount", "duration_days", "late_payments_share", "paid_loans_count")
    grown = []
    for number in range(trees):
        root, left, right = number % 4, (number + 1) % 4, (number + 2) % 4
        cuts = (400.0 + 7 * number, 30.0, 0.1, 2.0)
        step = 0.02 / (1 + number)
        grown.append(
            (
                Node(root, cuts[root], False, 1, 2, 0.0),
                Node(left, cuts[left], False, 3, 4, -step),
                Node(right, cuts[right], True, 5, 6, step),
                *(Node(-1, 0.0, False, 0, 0, value * step) for value in (-3.0, 1.0, -1.0, 3.0)),
            )
        )
    return ScoringModel(inputs, trees=Trees(-1.8, 1.0, 0.0, (0.0,) * 4, tuple(grown)))
