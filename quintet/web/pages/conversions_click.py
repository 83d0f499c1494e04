"""The page of one conversion: where it came from, its match or the reason it has none."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import Response

from quintet.conversions.charts import OUTCOMES
from quintet.conversions.insights import country_name
from quintet.presentation.design import format_value
from quintet.presentation.wording import lasting
from quintet.web.contexts import ClickContext
from quintet.web.pages.shell import show_snapshot
from quintet.web.problems import ProblemError
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router

router = guarded_router("conversions:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/conversions/clicks/{conversion_id}"


@router.get(PATH)
@restricted_by("partner")
def click(request: Request, conversion_id: Annotated[int, Path(ge=0, le=2**63 - 1)]) -> Response:
    """Show one conversion with its match, or the reason why it has none."""

    def make(snapshot: Any) -> ClickContext:
        found = snapshot.cursor.execute(
            "select * from marts.fct_unified_journeys where conversion_id = ?", [conversion_id]
        ).df()
        if found.empty:
            raise ProblemError(404, f"there is no conversion {conversion_id}")
        row = found.astype(object).where(found.notna(), None).to_dict("records")[0]
        reason = OUTCOMES.get(row["unmatched_reason"] or "", row["unmatched_reason"] or "")
        return {
            "conversion_id": conversion_id,
            "heading": "Matched" if row["is_matched"] else f"Not matched: {reason}",
            "facts": {
                "Created at": f"{format_value(row['created_at'], 'moment')} UTC",
                "Session": format_value(row["session_id"], "text"),
                "Country": country_name(row["country_iso2"]) if row["country_iso2"] else "unknown",
                "Device": "mobile" if row["is_mobile"] else "desktop",
                "Page": format_value(row["page_category"], "text"),
                "Element": format_value(row["ui_element"], "text"),
                "From a scanner": "yes" if row["is_scanner_traffic"] else "no",
            },
            "match": {
                "Partner": row["partner"],
                "Broker row": f"{row['broker_source_file']}, row {row['broker_source_row']}",
                "At": f"{format_value(row['broker_at'], 'moment')} UTC",
                "Lag": lasting(row["lag_seconds"]) if row["lag_seconds"] is not None else "unknown",
                "Probability of the match": format_value(row["match_probability"], "percent"),
                "Next likeliest pair": format_value(row["runner_up_probability"], "percent"),
                "Important score": format_value(row["important_score"], "decimal"),
            }
            if row["broker_row_id"] is not None
            else {},
        }

    return show_snapshot(request, "conversions_click.html", f"Conversion {conversion_id}", make)
