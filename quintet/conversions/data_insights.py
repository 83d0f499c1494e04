"""Insights on faults of the data, and who can fix them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from quintet.conversions.insights import Insight, country_name

_DATA_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "unmapped_categories": (
            "conversions ({share:.1%}), without those of scanners, are on pages that the mapping does not know; most "
            "frequent: {example}.",
            "Add these codes to the mapping of page categories, so that these pages are compared like the others.",
        ),
        "scanner_traffic": (
            "conversions ({share:.2%}) contain the payload of a vulnerability scanner, such as {example}. All rates "
            "exclude them.",
            "Reject such requests before a conversion is counted.",
        ),
        "invalid_scores": (
            "broker rows ({share:.2%}) have a score that is not a number ({example}). They count as missing, not as "
            "zero.",
            "Ask the broker to export the file from its database, not from a spreadsheet.",
        ),
        "repeated_ids": (
            "rows ({share:.2%}) of the conversion files repeat a conversion.",
            "Join country names by code: a name with two entries repeats its conversions.",
        ),
        "click_country_unknown": ("conversions ({share:.2%}) have no known country.", "Record its ISO code."),
        "row_country_unknown": (
            "broker rows ({share:.2%}) have no known IP country.",
            "Agree on ISO codes with the broker, and on one word for unknown.",
        ),
        "residency_unknown": (
            "broker rows ({share:.1%}) state no residency.",
            "Ask for the residency of every row, as soon as it is known.",
        ),
        "country_never_seen": (
            "broker rows ({share:.2%}) are of countries without any conversion of ours, most often {country}.",
            "Ask the broker where these clients come from: they may be of another partner, or our conversions of that "
            "country are lost.",
        ),
        "equal_rows": (
            "broker rows ({share:.2%}) equal another in every cell. Each counts as a registration.",
            "Ask for a row id: only an id separates a repeat from two registrations in one second.",
        ),
    }
)


def data_quality_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """Return one insight for each fault that occurs in the data."""
    found = []
    for row in frame[frame["rows"] > 0].itertuples():
        text, action = _DATA_WORDS[str(row.finding)]
        words = {"share": row.share, "example": row.example, "country": country_name(str(row.example))}
        found.append(Insight("data", f"{row.rows:,} of {row.of:,}", text.format(**words), action))
    return tuple(found)
