"""The words of the decisions page: each claim holds in the figures beside it, and is not made where it does not."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from quintet.lending import decision_charts as charts
from quintet.lending import decision_tables as tables


def decisions(count: int = 100, **columns: object) -> pd.DataFrame:
    usual = {
        "decided_at": pd.date_range("2026-11-30", periods=count, freq="s"),
        "decision": "refer",
        "reasons": json.dumps(["INFORMATION_NOT_AVAILABLE"]),
        "score": float("nan"),
        "figures": json.dumps({"amount": 500.0}),
        "degraded_reason": None,
        "waited_ms": 1.0,
        "latency_ms": 4.0,
    }
    return pd.DataFrame(usual | columns)


def test_decisions_without_a_score_are_decisions() -> None:
    """A service without a scoring model decided 100 applications; none of them has a score to draw."""
    rows = decisions()
    figure = charts.scores_figure(tables.scores(rows), len(rows), 0.2, 0.4)

    assert figure.chart is None
    assert figure.note == (
        "None of the 100 decisions has a score. A decision has none without features or a scoring model."
    )


def test_only_without_any_decision_no_application_was_decided() -> None:
    none = decisions(0)
    for figure in (
        charts.scores_figure(tables.scores(none), 0, 0.2, 0.4),
        charts.reasons_figure(tables.reasons(none), 0),
        charts.latency_figure(tables.latencies(none, "1min")),
        charts.shares_figure(tables.shares(none, "1min")),
    ):
        assert figure.note.startswith("No application was decided in this time.")


@pytest.mark.parametrize(("count", "said"), [(1, "The one decision of this time has no reason."), (7, "None of the 7")])
def test_decisions_without_a_reason_are_decisions(count: int, said: str) -> None:
    rows = decisions(count, decision="approve", reasons="[]")

    assert charts.reasons_figure(tables.reasons(rows), count).note.startswith(said)


def test_the_mean_score_is_of_the_scores_and_not_of_their_bins() -> None:
    rows = decisions(score=0.0501)
    figure = charts.scores_figure(tables.scores(rows), 200, 0.2, 0.4)

    assert figure.alternative == "100 of 200 scored; a default is expected of 5.0% of them."


@pytest.mark.parametrize(("waited_ms", "share"), [(1.0, "25.0%"), (3.9, "97.5%"), (0.0, "0.0%")])
def test_the_part_that_is_the_wait_for_the_stream_is_computed(waited_ms: float, share: str) -> None:
    figure = charts.latency_figure(tables.latencies(decisions(waited_ms=waited_ms), "1min"))

    assert f"applied the application's commit is {share} of it" in figure.note


@pytest.mark.parametrize(("latency_ms", "word"), [(1_000.0, "within"), (1_001.0, "above")])
def test_the_slowest_is_compared_with_the_limit(latency_ms: float, word: str) -> None:
    figure = charts.latency_figure(tables.latencies(decisions(latency_ms=latency_ms), "1min"))

    assert f"{word} the limit of 1,000 ms" in figure.alternative


def drift(**psi: float) -> pd.DataFrame:
    columns = ["null_before", "null_within", "median_before", "median_within"]
    frame = pd.DataFrame({"figure": list(psi), "psi": list(psi.values())})
    return frame.assign(**dict.fromkeys(columns, 0.0))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (drift(amount=0.01, age=0.02), "All 2 figures are stable: none reaches 0.1."),
        (drift(amount=0.2, age=0.02), "Moved, but not above 0.25: amount."),
        (drift(amount=0.3, age=0.2), "Shifted: amount."),
    ],
)
def test_drift_is_described_as_it_is(rows: pd.DataFrame, said: str) -> None:
    assert charts.drift_figure(rows).alternative == said


def test_decisions_without_features_have_no_drift() -> None:
    """300 decisions before and 300 now, none with features: no figure can be called stable."""
    given = decisions(300, degraded_reason="the stream is late", figures="{}")
    figure = charts.drift_figure(tables.drift(given, given))

    assert figure.chart is None
    assert "decisions with features" in figure.note
    assert "stable" in charts.drift_figure(tables.drift(decisions(300), decisions(300))).alternative


def test_the_shares_of_a_single_step_have_a_width() -> None:
    (marks,) = {tuple(one) for one in [charts.shares_figure(tables.shares(decisions(), "15min")).spec()["encoding"]]}
    assert {"x", "x2"} <= set(marks)
    found = tables.shares(decisions(), "15min")
    assert len(found) == 1
    assert (found["until"] - found["at"] == pd.Timedelta(minutes=15)).all()


def test_what_drift_compares_is_said() -> None:
    assert "this time with the time before it" in charts.drift_figure(drift(amount=0.01)).note
    assert "the second half of this time with the first" in charts.drift_figure(drift(amount=0.01), is_split=True).note
