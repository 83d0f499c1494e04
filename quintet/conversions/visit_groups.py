"""Visits by page, device and country: the important customers of each group.

A visit is a session of the time that the broker's files cover, with its first conversion; an important customer is a
matched visit with a score above zero. Small groups say little: their share is drawn towards that of all visits, the
more the fewer visits they have (a beta distribution whose strength is fitted to all groups).
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
from scipy.special import betainc

from quintet.conversions.insights import NOT_MAPPED, country_name, where

VISITS = """with visits as (
    select
        coalesce(page_category, '(no page category)') as page_category,
        case when is_mobile then 'mobile' when not is_mobile then 'desktop' else '(unknown)' end as device,
        coalesce(country_iso2, '(unknown)') as country,
        created_at,
        is_matched,
        coalesce(is_matched and isfinite(important_score) and important_score > 0, false) as is_important
    from marts.fct_unified_journeys
    where not is_scanner_traffic and unmatched_reason is distinct from 'outside_time_span'
    qualify row_number() over (
        partition by coalesce(session_id, 'conversion ' || conversion_id) order by created_at, conversion_id
    ) = 1
)
"""
"""The visits; every query of the findings begins with them."""

_STRONGEST, _WEAKEST = 1e6, 1.0


def visit_groups(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return one row for each page, device and country, the largest gain first.

    page_category, device, country, visits, important (customers); expected (share of important customers, drawn
    towards all), gain (expected customers more if the group were average; negative above average), probability (that
    the group is below average), share_of_all; name: the group in words.
    """
    frame = connection.execute(
        VISITS
        + "select page_category, device, country, count(*) as visits, count(*) filter (is_important) as important "
        "from visits group by all order by all"
    ).df()
    visits, important = frame["visits"].to_numpy(float), frame["important"].to_numpy(float)
    share = important.sum() / visits.sum() if visits.sum() else 0.0
    strength = _strength(visits, important)
    expected = (important + share * strength) / (visits + strength)
    above = (important + share * strength, visits - important + (1 - share) * strength)
    is_open = 0 < share < 1
    return (
        frame.assign(
            expected=expected,
            gain=visits * (share - expected),
            probability=betainc(*above, share) if is_open else np.nan,
            share_of_all=share,
            strength=strength,
            name=[
                group_in_words(*row) for row in frame[["page_category", "device", "country"]].itertuples(index=False)
            ],
        )
        .sort_values(["gain", "name"], ascending=[False, True])
        .reset_index(drop=True)
    )


def group_in_words(page: str, device: str, country: str) -> str:
    """Return a group in words: `phones, India, Best brokers`."""
    pages = "pages without a category" if page == NOT_MAPPED else page
    devices = {"mobile": "phones", "desktop": "desktops"}.get(device, "unknown devices")
    return f"{devices}, {'unknown country' if country == '(unknown)' else country_name(country)}, {pages}"


def visitors_in_words(device: str, country: str, page: str) -> str:
    """Return the visitors of a group as a sentence begins with them."""
    devices = {"mobile": "Visitors with phones", "desktop": "Visitors with desktops"}.get(device, "Visitors")
    origin = "" if country == "(unknown)" else f" {where('country', country)}"
    return f"{devices}{origin} {where('page_category', page)}"


def _strength(visits: np.ndarray, important: np.ndarray) -> float:
    """Return how many average visits each group's share is mixed with, from how much groups differ beyond chance."""
    total = visits.sum()
    share = important.sum() / total if total else 0.0
    spread = share * (1 - share)
    between = total - (visits**2).sum() / total if total else 0.0
    if not spread or not between:
        return _STRONGEST
    excess = (visits * (important / visits - share) ** 2).sum() / spread - (len(visits) - 1)
    correlation = excess / between
    return float(np.clip(1 / correlation - 1, _WEAKEST, _STRONGEST)) if correlation > 0 else _STRONGEST
