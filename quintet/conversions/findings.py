"""Findings on rates as a ranking: each with its effect, its interval, what to do, and the customers that it is worth.

A customer is a matched session with an important score. A finding is worth its effect among equals times its sessions:
what closing the gap would bring where a group is worse, and what as many sessions again would bring where it is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from quintet.conversions.episodes import episodes
from quintet.conversions.insights import DIMENSIONS, Measure, where
from quintet.conversions.rate_insights import recommendation

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("dimension", "level", "measure", "finding"), "str"),
        **dict.fromkeys(("mean", "rest_mean", "effect", "effect_low", "effect_high"), "float64"),
        "n": "int64",
        **dict.fromkeys(("q_value", "customers", "customers_low", "customers_high"), "float64"),
        "action": "str",
    }
)
"""The columns of a ranking with their types, also where there is no finding."""

_SENTENCES: Mapping[tuple[Measure, bool], str] = MappingProxyType(  # by measure, and whether the group is better
    {
        ("match_rate", True): "more reach the broker",
        ("match_rate", False): "fewer reach the broker",
        ("important_share", True): "more of those matched become customers",
        ("important_share", False): "fewer of those matched become customers",
    }
)
_MEASURES: tuple[Measure, ...] = ("match_rate", "important_share")


def ranked_findings(rates: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Return all findings, those worth the most customers first.

    rates: as `analysis.rates` returns it. cells: the counts behind it. A match rate counts only where it is below the
    rest; consecutive days are one finding.
    Columns: `COLUMNS`. effect: the difference among equals, of shares. customers: null where no score is valid.
    """
    overall = rates[(rates["measure"] == "important_share") & (rates["dimension"] == "device")]
    sessions = overall["n"].sum()
    per_matched = float(overall["total"].sum() / sessions) if sessions else np.nan
    parts = [_of_dimension(rates, cells, dimension, per_matched) for dimension in DIMENSIONS]
    found = pd.concat([part for part in parts if len(part)] or [_no_finding()], ignore_index=True).astype(COLUMNS)
    order = ["customers", "q_value", "dimension", "level"]
    return found.sort_values(order, ascending=[False, True, True, True], na_position="last", ignore_index=True)


def _of_dimension(rates: pd.DataFrame, cells: pd.DataFrame, dimension: str, per_matched: float) -> pd.DataFrame:
    own = rates[rates["dimension"] == dimension]
    parts = []
    for measure in _MEASURES:
        levels = own[own["measure"] == measure]
        holds = levels[levels["is_finding"]]
        if dimension == "day":
            of_days = cells[(cells["measure"] == measure) & (cells["dimension"] == "day")]
            holds = episodes(levels, of_days, is_share=True)
        if measure == "match_rate":
            holds = holds[holds["adjusted"] < 0]
        elif len(levels) == 2:  # two levels are each other's rest: one finding covers both
            holds = holds[holds["adjusted"] > 0]
        if len(holds):
            worth = per_matched if measure == "match_rate" else 1.0
            parts.append(_worded(holds, levels, measure, dimension, worth))
    return pd.concat(parts, ignore_index=True) if parts else _no_finding()


def _no_finding() -> pd.DataFrame:
    return pd.DataFrame(columns=list(COLUMNS))


def _worded(holds: pd.DataFrame, levels: pd.DataFrame, measure: Measure, dimension: str, worth: float) -> pd.DataFrame:
    """Return the findings of a measure with their words. worth: customers of a session that reaches the value one."""
    ends = np.sort(np.abs(holds[["adjusted_low", "adjusted_high"]].to_numpy("float64")), axis=1)
    scale = holds["compared"].to_numpy("float64") * worth
    return pd.DataFrame(
        {
            "dimension": dimension,
            "level": holds["level"].to_numpy(),
            "measure": measure,
            "finding": [
                f"Sessions {where(dimension, level)}: {_SENTENCES[measure, bool(adjusted > 0)]}"
                for level, adjusted in zip(holds["level"], holds["adjusted"], strict=True)
            ],
            "mean": holds["mean"].to_numpy("float64"),
            "rest_mean": holds["rest_mean"].to_numpy("float64"),
            "effect": holds["adjusted"].to_numpy("float64"),
            "effect_low": holds["adjusted_low"].to_numpy("float64"),
            "effect_high": holds["adjusted_high"].to_numpy("float64"),
            "n": holds["n"].to_numpy("int64"),
            "q_value": holds["q_value"].to_numpy("float64"),
            "customers": np.abs(holds["adjusted"].to_numpy("float64")) * scale,
            "customers_low": ends[:, 0] * scale,
            "customers_high": ends[:, 1] * scale,
            "action": [recommendation(row, levels, measure, dimension) for _, row in holds.iterrows()],
        },
        columns=list(COLUMNS),
    )


def level_ranking(rates: pd.DataFrame, dimension: str) -> pd.DataFrame:
    """Return the levels of a dimension, the worst first: how many sessions become customers, and where they are lost.

    Columns: level, n (sessions), match_rate, important_share, per_thousand (customers of 1,000 sessions: the product of
    both shares), why. A level without scored sessions has no such figure and is last.
    """
    own = rates[rates["dimension"] == dimension]
    names = ["level", "n", "mean", "adjusted", "is_finding"]
    matched, important = (own.loc[own["measure"] == measure, names] for measure in _MEASURES)
    both = matched.merge(important, on="level", how="left", suffixes=("_matched", "_important"))
    words = [
        np.where(
            both[f"is_finding_{step}"].eq(True),  # NaN without scores
            np.where(both[f"adjusted_{step}"] > 0, f"more {what}", f"fewer {what}"),
            "",
        )
        for step, what in (("matched", "reach the broker"), ("important", "of those matched become customers"))
    ]
    result = pd.DataFrame(
        {
            "level": both["level"],
            "n": both["n_matched"],
            "match_rate": both["mean_matched"],
            "important_share": both["mean_important"],
            "per_thousand": 1_000 * both["mean_matched"] * both["mean_important"],
            "why": [_sentence(parts) for parts in zip(*words, strict=True)],
        }
    )
    return result.sort_values(["per_thousand", "n"], ascending=[True, False], na_position="last", ignore_index=True)


def _sentence(parts: Sequence[str]) -> str:
    known = [str(part) for part in parts if part]
    return ", and ".join(known).capitalize() if known else "No difference that holds among equals"
