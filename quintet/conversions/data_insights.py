"""The sentences on faults of the data, and who can fix them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from quintet.conversions.insights import Insight, country_name

_DATA_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "unmapped_categories": (
            "clicks ({share:.1%}) are on pages that the mapping does not know; most frequent: {example}.",
            "Add these codes to the mapping of page categories: the pages are then judged like the others.",
        ),
        "scanner_traffic": (
            "clicks ({share:.2%}) carry what a vulnerability scanner types, such as {example}. They are kept, and left "
            "out of every rate.",
            "Turn such requests away before a click is counted.",
        ),
        "invalid_scores": (
            "broker rows ({share:.2%}) have a score that is not a number ({example}). They count as missing, not as "
            "zero.",
            "Ask the broker for the file as it leaves its database, not through a spreadsheet.",
        ),
        "repeated_ids": (
            "rows ({share:.2%}) of the conversion files repeat a conversion that is there already.",
            "Join country names by code: a name with two entries repeats its conversions.",
        ),
        "click_country_unknown": ("clicks ({share:.2%}) have no known country.", "Record the country as ISO code."),
        "row_country_unknown": (
            "broker rows ({share:.2%}) have no known IP country.",
            "Agree on ISO codes with the broker, and on one word for unknown.",
        ),
        "residency_unknown": (
            "broker rows ({share:.1%}) state no residency.",
            "Ask for the residency of every row, as soon as it is known.",
        ),
        "country_never_seen": (
            "broker rows ({share:.2%}) are of countries from which we have no click, most often {country}.",
            "Ask the broker where these clients come from: they may be of another partner, or our clicks of that "
            "country are lost.",
        ),
        "equal_rows": (
            "broker rows ({share:.2%}) equal another in every cell. They count as registrations of their own.",
            "Ask for a row id: only it tells a repeat from two registrations in one second.",
        ),
    }
)


def data_quality_insights(frame: pd.DataFrame) -> tuple[Insight, ...]:
    """What is wrong with the data, and who can fix it; nothing of what did not occur."""
    found = []
    for row in frame[frame["rows"] > 0].itertuples():
        text, action = _DATA_WORDS[str(row.finding)]
        words = {"share": row.share, "example": row.example, "country": country_name(str(row.example))}
        found.append(Insight("data", f"{row.rows:,} of {row.of:,}", text.format(**words), action))
    return tuple(found)
