"""Frames for tests of the promotions charts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quintet.promotions import charts, cluster_charts, model_charts
from quintet.promotions.overview import Ranking


def timeline(*counts: tuple[str, int, int]) -> pd.DataFrame:
    rows = pd.DataFrame(list(counts), columns=["start", "registrations", "usages"])
    return rows.assign(start=pd.to_datetime(rows["start"]))


def ranking(tied: int, total: int, *uses: int) -> Ranking:
    rows = [{"user_id": f"u{number}", "uses": count, "codes": 1, "score": 0.1} for number, count in enumerate(uses)]
    return Ranking(
        pd.DataFrame(rows, columns=["user_id", "uses", "codes", "score"]).assign(decision="allow"), tied, total
    )


def bins(*accounts: int) -> pd.DataFrame:
    low = np.arange(len(accounts)) / len(accounts)
    rows = pd.DataFrame({"low": low, "high": low + 1 / len(accounts), "accounts": accounts})
    return rows.assign(abusers=0, honest=0, unlabelled=rows["accounts"])


def thresholds() -> pd.DataFrame:
    rows = [{"threshold": 0.5, "flagged": 4, "abusers": 3, "precision": 0.75, "recall": 0.6}]
    return pd.DataFrame([*rows, {"threshold": 0.9, "flagged": 0, "abusers": 0, "precision": np.nan, "recall": 0.0}])


def members(count: int) -> pd.DataFrame:
    rows = [
        {"user_id": f"u{number:03}", "score": 0.95, "decision": "block", "is_abuser": None} for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["user_id", "score", "decision", "is_abuser"])


def keys(count: int) -> pd.DataFrame:
    rows = [{"user_id": f"u{number:03}", "kind": "device", "key": "d", "sharers": count} for number in range(count)]
    return pd.DataFrame(rows, columns=["user_id", "kind", "key", "sharers"])


FIGURE_ROWS = pd.DataFrame(
    [{"scores_of": "active", "measure": "average_precision", "value": 0.9, "low": 0.8, "high": 1.0, "n": 5}]
)
WEIGHTS = pd.DataFrame({"evidence": ["ip_shared", "burst"], "log_odds": [0.5, -2.0]})
FULL = {
    "time": lambda: charts.registrations_and_usages(timeline(("2026-01-01", 3, 0), ("2026-01-02", 0, 5)), "day"),
    "users": lambda: charts.top_users(ranking(1, 9, 7, 5)),
    "histogram": lambda: model_charts.score_histogram(bins(90, 0, 10), 0.5),
    "thresholds": lambda: model_charts.precision_and_recall(thresholds(), 0.5),
    "figures": lambda: model_charts.model_figures(FIGURE_ROWS),
    "weights": lambda: model_charts.model_weights(WEIGHTS),
    "cluster": lambda: cluster_charts.cluster_graph(members(3), keys(3)),
}
