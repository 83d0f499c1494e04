"""Queries of matched conversions: each conversion with its broker row, in pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from quintet.warehouse.snapshot import records

Tier = Literal["matched", "review"]


@dataclass(frozen=True)
class MatchFilters:
    """Filters of matches. Empty countries (ISO codes of the conversion), page_categories or partners mean all.

    since (inclusive), until (exclusive): time of the conversion, UTC without zone.
    """

    tier: Tier = "matched"
    countries: Sequence[str] = ()
    page_categories: Sequence[str] = ()
    partners: Sequence[str] = ()
    is_mobile: bool | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


_PAGE = """
with page as (
    select matches.*,
        conversions.session_id, conversions.created_at, conversions.country_iso2, conversions.is_mobile,
        conversions.ui_element, conversions.page_category
    from marts.fct_conversion_matches as matches
    join marts.fct_conversions as conversions using (conversion_id)
    where tier = $tier
        and ($after is null or conversion_id > $after)
        and (len($countries) = 0 or list_contains($countries, country_iso2))
        and (len($page_categories) = 0 or list_contains($page_categories, page_category))
        and (len($partners) = 0 or list_contains($partners, partner))
        and ($is_mobile is null or is_mobile = $is_mobile)
        and ($since is null or created_at >= $since)
        and ($until is null or created_at < $until)
    order by conversion_id
    limit $limit
)
select page.* replace (strftime(created_at, '%Y-%m-%dT%H:%M:%S.%fZ') as created_at),
    strftime(rows.broker_at, '%Y-%m-%dT%H:%M:%S') as broker_at, rows.residency_iso2, rows.ip_iso2, rows.important_score,
    rows.important_score_missing_reason
from page
join marts.fct_broker_rows as rows using (broker_row_id)
order by conversion_id
"""


def match_page(
    cursor: duckdb.DuckDBPyConnection, filters: MatchFilters, after: tuple[Any, ...] | None, limit: int
) -> tuple[list[dict[str, Any]], tuple[Any, ...] | None]:
    """Return the next `limit` matches after the key, and the key of the next page (None on the last page).

    cursor: to a snapshot. An item has the columns of `marts.fct_conversion_matches`, of its conversion and of its
    broker row; created_at is in UTC with its zone, broker_at is on the partner's clock without a zone.
    """
    bound = {
        **{name: list(getattr(filters, name)) for name in ("countries", "page_categories", "partners")},
        **{name: getattr(filters, name) for name in ("tier", "is_mobile", "since", "until")},
        "after": after[0] if after else None,
        "limit": limit + 1,
    }
    rows = records(cursor.execute(_PAGE, bound))
    page = rows[:limit]
    return page, (page[-1]["conversion_id"],) if len(rows) > limit else None
