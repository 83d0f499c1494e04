"""The overview: the state and freshness of each domain, and the last files."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
from fastapi import Request
from starlette.responses import Response

from quintet.domain import Domain
from quintet.domains import DOMAINS
from quintet.presentation.design import Column
from quintet.state.keys import Key
from quintet.warehouse.domain_states import DomainState, domain_states
from quintet.web.contexts import OverviewContext
from quintet.web.pages.shell import show_snapshot
from quintet.web.rendering import DomainRow, State, Table
from quintet.web.security import guarded_router

router = guarded_router(None, include_in_schema=False)

_MOST_ROWS = 10

_BATCH_COLUMNS = (
    Column("arrived", "Loaded at (UTC)"),
    Column("dataset", "Dataset"),
    Column("file", "File"),
    Column("rows", "Rows", "count"),
    Column("loaded", "Loaded", "count"),
    Column("rejected", "Quarantined", "count"),
    Column("status", "Status"),
)
_REJECTED_COLUMNS = (
    Column("dataset", "Dataset"),
    Column("file", "File"),
    Column("reason", "Reason"),
    Column("rows", "Rows", "count"),
)


@router.get("/")
def overview(request: Request) -> Response:
    """Show whether everything is up to date and healthy, and the last files, of the domains that the key may read."""
    key: Key = request.state.key
    domains = [domain for domain in DOMAINS if key.allows(f"{domain.name}:read")]
    inboxes = [inbox for domain in domains for inbox in domain.inboxes]

    def make(snapshot: Any) -> OverviewContext:
        cursor = snapshot.cursor
        batches = cursor.execute(
            "select strftime(\"at\", '%Y-%m-%d %H:%M') as arrived, dataset, file, rows, loaded, rejected, status "
            'from marts.ops_batches where list_contains(?, dataset) order by "at" desc, file limit ?',
            [inboxes, _MOST_ROWS],
        ).df()
        rejected = cursor.execute(
            "select *, count(*) over () as reasons from ("
            "select dataset, file, reason, count(*) as rows from marts.ops_rejected_rows "
            "where list_contains($inboxes, dataset) group by all "
            "union all select dataset, file, message, null from marts.ops_batches "
            "where status = 'rejected' and list_contains($inboxes, dataset)) "
            "order by rows desc nulls first, file limit $most",
            {"inboxes": inboxes, "most": _MOST_ROWS},
        ).df()
        states = domain_states(cursor)
        (count,) = cursor.execute(
            "select count(*) from marts.ops_batches where list_contains(?, dataset)", [inboxes]
        ).fetchone()
        return {
            "domains": [_domain(cursor, domain, states.get(domain.name)) for domain in domains],
            "batches": Table(batches, _BATCH_COLUMNS, "Last files", count, nothing="No file has arrived yet."),
            "rejected": Table(
                rejected,
                _REJECTED_COLUMNS,
                "Quarantined files and rows",
                int(rejected["reasons"].max()) if len(rejected) else 0,
                nothing="No file or row.",
            ),
        }

    return show_snapshot(request, "overview.html", "Overview", make)


def _domain(cursor: duckdb.DuckDBPyConnection, domain: Domain, build: DomainState | None) -> DomainRow:
    if build is not None and not build.is_current:
        if build.status == "missing":
            return DomainRow(domain.title, "Not built yet.", "critical", "not built", build.problem, href=domain.page)
        shown: State = "none" if build.status == "building" else "critical"
        return DomainRow(domain.title, domain.headline(cursor), shown, build.status, build.sentence(), href=domain.page)
    if domain.other_inboxes:
        return DomainRow(domain.title, domain.headline(cursor), "none", "from a change stream", "", href=domain.page)
    (last, rejected) = cursor.execute(
        "select max(\"at\") filter (status = 'loaded'), count(*) filter (status = 'rejected') "
        "from marts.ops_batches where list_contains(?, dataset)",
        [domain.inboxes],
    ).fetchone() or (None, 0)
    if last is None:
        return DomainRow(domain.title, "No file has arrived yet.", "warning", "no data", "", href=domain.page)
    state: tuple[State, str] = ("warning", f"{rejected} files rejected") if rejected else ("good", "healthy")
    return DomainRow(domain.title, domain.headline(cursor), *state, f"last file {_moment(last)}", href=domain.page)


def _moment(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
