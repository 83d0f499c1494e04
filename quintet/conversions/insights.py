"""The type of an insight, the wording that all insights share, and the insights of the funnel.

The dbt models `conversion_*` count, `analysis.py` holds the statistics. Insights on rates are in `rate_insights.py`,
on residency in `residency_insights.py`, on faults of the data in `data_insights.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pandas as pd
from babel import Locale

from quintet.conversions.episodes import in_words
from quintet.presentation.wording import counted

Measure = Literal["match_rate", "important_share", "mean_score"]

MEASURES: Mapping[Measure, str] = MappingProxyType(
    {
        "match_rate": "Sessions whose first conversion is matched, of those within the broker's time span",
        "important_share": "Matched sessions with an important score, of those with a valid score",
        "mean_score": "Mean of the valid scores of matched sessions, zeros included",
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
"""The dimensions of the measures, with their headings."""

EQUALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "country": ("device", "page_category"),
        "day": ("device", "country"),
        "device": ("country", "page_category"),
        "page_category": ("device", "country"),
        "ui_element": ("device", "country"),
    }
)
"""The strata within which a level is compared, so that a page gets no credit for its visitors' country."""

LARGEST_Q = 0.05
"""The largest false discovery rate, over all comparisons, at which a finding is reported."""

SENTENCES_BY_DIMENSION = 3
"""The number of findings reported by measure and dimension, largest effects first; the table has all of them."""

NOT_MAPPED = "(no page category)"


@dataclass(frozen=True)
class Insight:
    """A finding with its evidence and the recommended action.

    topic: `quality`, `matching`, `residency`, `data` or `funnel`. lead: its main number. text: the finding in full with
    n and interval. action: the recommended step, or an empty string. q_value: after correction for all comparisons;
    None for a count, which needs no test. dimension: a key of `DIMENSIONS`, or an empty string.
    """

    topic: str
    lead: str
    text: str
    action: str = ""
    q_value: float | None = None
    dimension: str = ""


def country_name(iso2: str) -> str:
    """Return the English name of a country, or the code itself where there is none."""
    return str(Locale("en").territories.get(iso2, iso2))


def where(dimension: str, level: str) -> str:
    """Return the words for a level: `from Germany`, `of 9 to 12 May 2024`, `on mobile`, `on pages “Education”`."""
    match dimension:
        case "country":
            return f"from {country_name(level)}"
        case "day":
            return f"of {in_words(level)}"
        case "page_category":
            return "on pages without a category" if level == NOT_MAPPED else f"on pages “{level}”"
        case "ui_element":
            return f"through the element “{level}”"
        case _:
            return f"on {level}"


def funnel_insights(steps: pd.DataFrame, results: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the insights on the funnel of both sides."""
    count = steps.set_index(["side", "step"])["rows"].to_dict()
    reason = results.set_index(["side", "outcome"])["rows"].to_dict()
    found = []
    rows, matched = count["broker_rows", "all"], count["broker_rows", "matched"]
    if matched:
        found.append(
            Insight(
                "funnel",
                f"{matched / rows:.1%}",
                f"of the {rows:,} broker rows are matched to a conversion: {matched:,}. Of the "
                f"{counted(count['clicks', 'in_reach'], 'conversion')} within the broker's time span and countries, "
                f"{matched / max(count['clicks', 'in_reach'], 1):.1%} are matched.",
            )
        )
    outside = reason.get(("clicks", "outside_time_span"), 0)
    if outside:
        found.append(
            Insight(
                "funnel",
                counted(outside, "conversion"),
                f"({outside / count['clicks', 'all']:.1%}) lie outside the time that the broker's files cover. They "
                f"are neither successes nor failures; all rates exclude them.",
                "Ask the broker for the rows of that time. No other data costs less.",
            )
        )
    review = reason.get(("broker_rows", "in_review"), 0)
    if review:
        found.append(
            Insight(
                "funnel",
                counted(review, "row"),
                f"({review / rows:.1%}) have a likely conversion that is not certain enough, such as one of another "
                f"country within seconds. They do not count until they are reviewed.",
                "Pass an id of the conversion through to the broker: it would resolve all of them.",
            )
        )
    return tuple(found)


def session_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """Return the insight on whether rows of one session share their score."""
    row = frame.iloc[0]
    if not row["with_important"] or not row["low"] > 2 * row["important_share"]:
        return ()
    return (
        Insight(
            "quality",
            f"{row['share']:.0%}",
            f"of the {row['with_important']:,.0f} sessions with several scored rows, one of them important, have "
            f"important scores only (95% {row['low']:.0%} to {row['high']:.0%}); at random, another row would be "
            f"important in {row['important_share']:.1%}. The score belongs to the person, not to the conversion.",
            "Count sessions, not rows, to compare pages or to pay partners; every test here does.",
        ),
    )


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return signed(100 * difference, ".1f")


def signed(value: float, pattern: str) -> str:
    """Return a number with its sign, as a typographic minus."""
    return f"{value:+{pattern}}".replace("-", "−")


def p_words(p_value: float) -> str:
    """Return a p value as a sentence states it."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def q_words(q_value: float) -> str:
    """Return a q value as a sentence states it."""
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.3f}"
