"""Insights on rates by country, day, device, page and element that pass their tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from quintet.conversions.episodes import days_within, episodes, first_day
from quintet.conversions.insights import (
    DIMENSIONS,
    EQUALS,
    SENTENCES_BY_DIMENSION,
    Insight,
    Measure,
    points,
    q_words,
    signed,
    where,
)

_ACTIONS: Mapping[tuple[str, str, bool], str] = MappingProxyType(  # by topic, dimension, and whether it is better
    {
        ("quality", "device", True): "Test the path from conversion to registration {others}, and run an experiment "
        "against the present page: the difference to visitors {where} does not show its cause.",
        ("quality", "page_category", True): "Send more visitors to such pages, as an experiment with a control group.",
        ("quality", "page_category", False): "Find out what visitors look for there before they go to a broker; "
        "buy no traffic for these pages until then.",
        ("quality", "ui_element", True): "Try this element in place of weaker ones, half of the visitors each.",
        ("quality", "ui_element", False): "Try another element in its place, half of the visitors each.",
        ("quality", "country", True): "Acquire more visitors {where}, as an experiment first.",
        ("quality", "country", False): "Ask the broker what stops clients {where}, and offer another "
        "broker there if nothing changes.",
        ("quality", "day", True): "Look up what happened on {those_days}: a campaign, a rule of the broker, a release.",
        ("quality", "day", False): "Look up what went wrong on {those_days}.",
        ("matching", "country", False): "Ask the broker whether it takes clients {where} and reports them all.",
        ("matching", "day", False): "Ask the broker whether its file is complete for {those_days}.",
        ("matching", "device", False): "Check on that device whether the link to the broker opens, and opens once.",
        ("matching", "page_category", False): "Open such pages and check whether their links reach the broker.",
        ("matching", "ui_element", False): "Check whether it counts conversions that do not lead to the broker.",
    }
)
_NOT_RIPE = "These are the last days of the data, and scores may still arrive: compare them again with a later file."
_DAYS_TO_RIPEN = 3


def rate_insights(every: pd.DataFrame, cells: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the findings among the rates, largest effects first, a few per dimension and measure.

    A mean score is left out where the share is a finding; a match rate counts only where it is below the rest.
    Consecutive days are one finding. every: as `analysis.rates` returns it. cells: the counts behind it.
    """
    found: list[Insight] = []
    for dimension in ("device", "page_category", "ui_element", "country", "day"):
        of_dimension = every[every["dimension"] == dimension]
        reported: set[str] = set()
        for measure in ("important_share", "mean_score", "match_rate"):
            levels = of_dimension[of_dimension["measure"] == measure]
            compared = levels if measure == "match_rate" else levels[~levels["level"].isin(reported)]
            holds = compared[compared["is_finding"]]
            if dimension == "day":
                of_days = cells[(cells["measure"] == measure) & (cells["dimension"] == "day")]
                holds = episodes(compared, of_days, is_share=measure != "mean_score")
            if measure == "match_rate":
                holds = holds[holds["adjusted"] < 0]
            elif len(levels) == 2:  # two levels are each other's rest: one insight covers both
                holds = holds[holds["adjusted"] > 0]
            weight = holds["adjusted"].abs() * np.sqrt(holds["compared"].astype("float64"))
            order = weight.sort_values(ascending=False, kind="stable").index[:SENTENCES_BY_DIMENSION]
            found += [_rate_insight(holds.loc[place], levels, measure, dimension) for place in order]
            reported |= set(levels.loc[levels["is_finding"], "level"]) if measure == "important_share" else set()
    return tuple(sorted(found, key=lambda insight: insight.topic != "quality"))


def recommendation(row: pd.Series, levels: pd.DataFrame, measure: Measure, dimension: str) -> str:
    """Return what to do about a finding. levels: all levels of its measure and dimension."""
    topic = "matching" if measure == "match_rate" else "quality"
    others = [where(dimension, level) for level in levels["level"] if level != row["level"]]
    last_days = sorted(levels["level"])[-_DAYS_TO_RIPEN:]
    if topic == "quality" and dimension == "day" and first_day(row["level"]) >= last_days[0]:
        return _NOT_RIPE
    return _ACTIONS[topic, dimension, bool(row["adjusted"] > 0)].format(
        where=where(dimension, row["level"]),
        others=others[0] if len(others) == 1 else "elsewhere",
        those_days="those days" if dimension == "day" and days_within(row["level"]) > 1 else "that day",
    )


def _rate_insight(row: pd.Series, levels: pd.DataFrame, measure: Measure, dimension: str) -> Insight:
    topic = "matching" if measure == "match_rate" else "quality"
    place = where(dimension, row["level"])
    action = recommendation(row, levels, measure, dimension)
    by = " and ".join(DIMENSIONS[each].lower() for each in EQUALS[dimension])
    if measure == "mean_score":
        lead = f"{row['mean']:.2f}"
        text = (
            f"is the mean score of sessions {place}, against {row['rest_mean']:.2f} of the rest (n = {row['n']:,}). "
            f"Among equals by {by} the difference is {signed(row['adjusted'], '.2f')} "
            f"(95% {signed(row['adjusted_low'], '.2f')} to {signed(row['adjusted_high'], '.2f')}; "
            f"{q_words(row['q_value'])})."
        )
    else:
        lead = f"{row['mean']:.1%}"
        what = "are matched" if topic == "matching" else "that matched have an important score"
        text = (
            f"of the sessions {place} {what} (95% {row['low']:.1%} to {row['high']:.1%}, n = {row['n']:,}), against "
            f"{row['rest_mean']:.1%} of the rest. Among equals by {by} the difference is {points(row['adjusted'])} "
            f"points (95% {points(row['adjusted_low'])} to {points(row['adjusted_high'])}; "
            f"{q_words(row['q_value'])})."
        )
    return Insight(topic, lead, text, action, float(row["q_value"]), dimension)
