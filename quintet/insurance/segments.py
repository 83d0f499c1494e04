"""Pages of agencies with their segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from quintet.insurance.performance import Key
from quintet.warehouse.snapshot import records


def segment_page(
    cursor: duckdb.DuckDBPyConnection, segments: Sequence[str], after: Key | None, limit: int
) -> tuple[list[dict[str, Any]], Key | None]:
    """Return the next `limit` agencies of these segments (empty: of all) after the agency of the key."""
    rows = records(
        cursor.execute(
            "select * replace (recent_written_premium::double as recent_written_premium, "
            "earlier_written_premium::double as earlier_written_premium, "
            "written_premium_since::double as written_premium_since) from marts.dim_agency_segment "
            "where (len($segments) = 0 or list_contains($segments, segment)) "
            "and ($after is null or agency_id > $after) order by agency_id limit $limit",
            {"segments": list(segments), "after": after[0] if after else None, "limit": limit + 1},
        )
    )
    page = rows[:limit]
    return page, (page[-1]["agency_id"],) if len(rows) > limit else None
