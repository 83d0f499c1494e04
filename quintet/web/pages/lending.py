"""The feature registry's page: the features of a client in words, in code and in figures."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from quintet.lending.feature_descriptions import code_of, distribution, file_of, sql_of
from quintet.lending.feature_registry import features
from quintet.lending.service import LendingService
from quintet.presentation.design import Column
from quintet.replicated import COMMITTED_AT
from quintet.web.lending_contexts import LendingContext
from quintet.web.pages.lending_tabs import lending_tabs
from quintet.web.pages.shell import show_snapshot
from quintet.web.rendering import Table
from quintet.web.security import guarded_router
from quintet.web.service import service_of

router = guarded_router("lending:read", include_in_schema=False)
ROUTERS = (router,)

PATH = "/lending/features"

_COLUMNS = (
    Column("feature", "Feature"),
    Column("unit", "Unit"),
    Column("null_rule", "When it is null"),
    Column("clients", "Clients", "count"),
    Column("null_share", "Null", "percent"),
    Column("median", "Median", "decimal"),
    Column("p95", "95th percentile", "decimal"),
    Column("largest", "Largest", "decimal"),
)


@router.get(PATH)
def feature_registry(request: Request) -> Response:
    """Show the features, what they mean and how fresh they are."""
    online = service_of(request).of(LendingService).features
    committed_at, incomplete = online.store.fact(COMMITTED_AT), online.incomplete()

    def make(snapshot: Any) -> LendingContext:
        rows = distribution(snapshot.cursor, features())
        nothing = "No client yet: the rows come from a change stream (make stream)."
        return {
            "tabs": lending_tabs(PATH),
            "table": Table(rows, _COLUMNS, "Features of all clients, as last published", len(rows), nothing=nothing),
            "committed_at": committed_at,
            "incomplete": incomplete,
            "features": [
                {
                    "name": feature.name,
                    "definition": feature.definition,
                    "null_rule": feature.null_rule,
                    "version": feature.version,
                    "file": file_of(feature),
                    "code": code_of(feature),
                    "sql": sql_of(feature),
                }
                for feature in features()
            ],
        }

    return show_snapshot(
        request, "lending.html", "Features of lending", make, varying="\n".join([committed_at or "", *incomplete])
    )
