"""What a sentence of the analysis is, and the words that all of them share.

What is counted stands in the dbt models `conversion_*`, the statistics in `analysis.py`; sentences of rates are in
`rate_insights.py`, those of residency in `residency_insights.py`, those of faults in `data_insights.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pandas as pd
from babel import Locale

Measure = Literal["match_rate", "important_share", "mean_score"]

MEASURES: Mapping[Measure, str] = MappingProxyType(
    {
        "match_rate": "Clicks matched to a broker row, of those within the broker's time span",
        "important_share": "Matched rows with an important score, of those with a valid score",
        "mean_score": "Mean of the valid scores of matched rows, zeros included",
    }
)

DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "country": "Country",
        "day": "Day",
        "device": "Device",
        "page_category": "Page category",
        "ui_element": "UI element",
    }
)
"""What the measures are told by, with its heading."""

EQUALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "country": ("device", "page_category"),
        "day": ("device", "country"),
        "device": ("country", "page_category"),
        "page_category": ("device", "country"),
        "ui_element": ("device", "country"),
    }
)
"""Among whom a level is compared with the rest, so that a page is not praised for its visitors' country."""

LARGEST_Q = 0.05
"""The false discovery rate of all comparisons together, above which nothing is said."""

SENTENCES_BY_DIMENSION = 3
"""Of more findings of one measure and dimension the largest effects are said; the others are in the table."""

NOT_MAPPED = "(no page category)"


@dataclass(frozen=True)
class Insight:
    """A sentence that the data bears, with what to do about it.

    topic: `quality`, `matching`, `residency`, `data` or `funnel`. lead: its main number. text: the finding in full with
    n and interval. action: the step that follows, or an empty string. q_value: after correction for all comparisons;
    None for what was counted and needs no test. dimension: of `DIMENSIONS`, where it speaks of one.
    """

    topic: str
    lead: str
    text: str
    action: str = ""
    q_value: float | None = None
    dimension: str = ""


def country_name(iso2: str) -> str:
    """The English name of a country, or the code itself where there is none."""
    return str(Locale("en").territories.get(iso2, iso2))


def where(dimension: str, level: str) -> str:
    """A level as a sentence says it: `from Germany`, `of 22 April 2024`, `on mobile`, `on pages “Education”`."""
    match dimension:
        case "country":
            return f"from {country_name(level)}"
        case "day":
            day = dt.date.fromisoformat(level)
            return f"of {day.day} {day:%B %Y}"
        case "page_category":
            return "on pages without a category" if level == NOT_MAPPED else f"on pages “{level}”"
        case "ui_element":
            return f"through the element “{level}”"
        case _:
            return f"on {level}"


def funnel_insights(steps: pd.DataFrame, results: pd.DataFrame) -> tuple[Insight, ...]:
    """How far each side comes, and what would bring it further."""
    count = steps.set_index(["side", "step"])["rows"].to_dict()
    reason = results.set_index(["side", "outcome"])["rows"].to_dict()
    found = []
    rows, matched = count["broker_rows", "all"], count["broker_rows", "matched"]
    if matched:
        found.append(
            Insight(
                "funnel",
                f"{matched / rows:.1%}",
                f"of the {rows:,} broker rows have their click: {matched:,}, each with one of its own. Of the "
                f"{count['clicks', 'in_reach']:,} clicks that could have a row, "
                f"{matched / max(count['clicks', 'in_reach'], 1):.1%} have it.",
            )
        )
    outside = reason.get(("clicks", "outside_time_span"), 0)
    if outside:
        found.append(
            Insight(
                "funnel",
                f"{outside:,} clicks",
                f"({outside / count['clicks', 'all']:.1%}) lie outside the time that the broker's files cover. They "
                f"are neither successes nor failures, and every rate here leaves them out.",
                "Ask the broker for the rows of that time: it is the cheapest data there is.",
            )
        )
    review = reason.get(("broker_rows", "in_review"), 0)
    if review:
        found.append(
            Insight(
                "funnel",
                f"{review:,} rows",
                f"({review / rows:.1%}) have a likely click that is not sure enough to count, such as one of another "
                f"country within seconds. They count nowhere until somebody has reviewed them.",
                "Have the click's id passed through to the broker: it would settle each of them.",
            )
        )
    return tuple(found)


def session_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """Whether rows of one session share their score."""
    row = frame.iloc[0]
    if not row["with_important"] or not row["low"] > 2 * row["important_share"]:
        return ()
    return (
        Insight(
            "quality",
            f"{row['share']:.0%}",
            f"of the {row['with_important']:,.0f} sessions with several scored rows, one of them important, have "
            f"important scores only (95% {row['low']:.0%} to {row['high']:.0%}); by chance another row would be "
            f"important in {row['important_share']:.1%}. The score belongs to the person, not to the click.",
            "Count sessions, not rows, when pages are compared or partners are paid; every test here does.",
        ),
    )


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return signed(100 * difference, ".1f")


def signed(value: float, pattern: str) -> str:
    """Return a number with its sign, a minus set as one."""
    return f"{value:+{pattern}}".replace("-", "−")


def p_words(p_value: float) -> str:
    """Return a p value as a sentence states it."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def q_words(q_value: float) -> str:
    """Return a q value as a sentence states it."""
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.3f}"
