"""Summaries of the decision log over a time, and their figures."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from quintet.lending import decision_charts as charts
from quintet.lending import decision_tables as tables


def rows(count: int = 600, seed: int = 1, shift: float = 0.0) -> pd.DataFrame:
    """Decisions, one a second; one in a hundred takes two seconds and has no score."""
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 8, count)
    decision = np.where(score < 0.2, "approve", np.where(score < 0.4, "refer", "reject"))
    is_short = np.arange(count) % 100 == 99
    figures = [
        {"amount": float(amount), "paid_loans_count": int(paid), "late_payments_share": None}
        for amount, paid in zip(rng.lognormal(6 + shift, 0.5, count), rng.integers(0, 5, count), strict=True)
    ]
    return pd.DataFrame(
        {
            "decided_at": pd.Timestamp("2026-11-21 12:00") + pd.to_timedelta(np.arange(count), unit="s"),
            "decision": np.where(is_short, "refer", decision),
            "reasons": np.where(is_short, '["LATE","UNKNOWN"]', np.where(decision == "approve", "[]", '["RISK"]')),
            "score": np.where(is_short, np.nan, score),
            "figures": [json.dumps(each) for each in figures],
            "degraded_reason": np.where(is_short, "no score", None),
            "waited_ms": np.where(is_short, 1_990.0, 2.0),
            "latency_ms": np.where(is_short, 2_000.0, 3.0),
        }
    )


def test_latencies_are_grouped_by_step_of_time() -> None:
    found = tables.latencies(rows(), "1min")
    assert found["decisions"].tolist() == [60] * 10
    assert found["p50_ms"].tolist() == [3.0] * 10
    assert found["slowest_ms"].max() == 2_000.0
    figure = charts.latency_figure(found)
    assert "the slowest took 2,000 ms, above the limit of 1,000 ms" in figure.alternative
    assert "within the limit" in charts.latency_figure(tables.latencies(rows(50), "1min")).alternative


def test_times_without_decisions_are_omitted() -> None:
    apart = pd.concat([rows(10), rows(10).assign(decided_at=lambda each: each["decided_at"] + pd.Timedelta(hours=3))])
    assert len(tables.latencies(apart, "1min")) == 2


def test_shares_add_up_to_one_in_each_step() -> None:
    found = tables.shares(rows(), "1min")
    assert found.groupby("at")["share"].sum().tolist() == pytest.approx([1.0] * 10)
    assert found["decisions"].sum() == 600


def test_every_scored_decision_is_in_one_step_of_score() -> None:
    found = tables.scores(rows().assign(score=lambda each: each["score"].mask(each.index == 0, 1.0)))
    assert found["decisions"].sum() == 594
    assert found["high"].max() == 1.0


def test_reasons_are_counted_by_decision() -> None:
    found = tables.reasons(rows()).set_index("code")
    assert found.loc["LATE", ["decisions", "refer", "reject"]].tolist() == [6, 6, 0]
    assert found.index[0] == "RISK"


def test_drift_finds_shifted_figures_only() -> None:
    found = tables.drift(rows(seed=1), rows(seed=2)).set_index("figure")
    assert found["psi"].max() < 0.1
    assert found.loc["late_payments_share", "null_within"] == 1.0
    moved = tables.drift(rows(seed=1), rows(seed=2, shift=1.0))
    assert moved["figure"][0] == "amount"
    assert moved["psi"][0] > 0.25
    assert charts.drift_figure(moved).alternative == "Shifted: amount."


def test_few_decisions_give_no_drift() -> None:
    assert tables.drift(rows(199), rows()).empty


@pytest.mark.parametrize("count", [0, 1, 600])
def test_every_figure_can_be_drawn_for_any_number_of_rows(count: int) -> None:
    given = rows(count)
    figures = [
        charts.latency_figure(tables.latencies(given, "1min")),
        charts.shares_figure(tables.shares(given, "1min")),
        charts.scores_figure(tables.scores(given), count, 0.2, 0.4),
        charts.reasons_figure(tables.reasons(given), count),
        charts.drift_figure(tables.drift(given, given)),
    ]
    for figure in figures:
        assert figure.alternative
        assert figure.chart is None or figure.spec()["$schema"]
        assert figure.chart is not None or figure.note
        assert {column.name for column in figure.columns} <= set(figure.table)
