"""Test rules on the stored minutes: which incidents they would have suppressed, and which they would have raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from quintet.payments.backtest import detect_batch
from quintet.payments.opening_hours import OpeningHours
from quintet.payments.point_rules import GRAMMAR
from quintet.rules.backtest import Backtest
from quintet.rules.evaluate import Evaluator

__all__ = ["DAYS", "GRAMMAR", "IncidentBacktest", "backtest", "backtest_of"]

DAYS = 7
"""The last days of the history on which rules are tested; a detector reads each of their minutes twice."""

_MINUTES = f"""
    select minute_at, status, count, is_observed
    from marts.fct_payment_minutes
    where minute_at >= (select max(minute_at) from marts.fct_payment_minutes) - interval {DAYS} days
    order by minute_at, status
"""
_TOLD = ["series", "started_at", "ended_at", "severity", "rule", "reason"]


@dataclass(frozen=True)
class IncidentBacktest:
    """What rules change. suppressed, raised: the incidents that they end and add, with the columns `_TOLD`."""

    minutes: int
    before: int
    after: int
    suppressed: pd.DataFrame
    raised: pd.DataFrame


def backtest(
    cursor: duckdb.DuckDBPyConnection, before: Evaluator | None, after: Evaluator, hours: OpeningHours
) -> IncidentBacktest:
    """Return what other rules change in the last days of a snapshot. before: the active rules; None without any."""
    minutes = cursor.execute(_MINUTES).df()
    was, would = (
        detect_batch(minutes, with_points=False, hours=hours, point_rules=rules)[1] for rules in (before, after)
    )
    return IncidentBacktest(
        minutes=int(minutes["minute_at"].nunique()),
        before=len(was),
        after=len(would),
        suppressed=_apart(was, would),
        raised=_apart(would, was),
    )


def backtest_of(
    cursor: duckdb.DuckDBPyConnection, before: Evaluator | None, after: Evaluator, at_s: float
) -> Backtest | None:
    """Return None: rules of payments block nobody. `backtest` has what they change."""
    del cursor, before, after, at_s
    return None


def _apart(incidents: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the incidents during which none of the others has the same series."""
    is_apart = [not _overlap(one, others[others["series"] == one["series"]]) for one in incidents.to_dict("records")]
    return incidents.loc[is_apart, _TOLD].reset_index(drop=True)


def _overlap(one: Mapping[Any, Any], others: pd.DataFrame) -> bool:
    end = pd.Timestamp.max if pd.isna(one["ended_at"]) else one["ended_at"]
    begins_before = others["started_at"] < end
    ends_after = others["ended_at"].isna() | (others["ended_at"] > one["started_at"])
    return bool((begins_before & ends_after).any())
