"""The overview: a card for each business, what waits for a person, the state of the data, and the builds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb
from fastapi import Request
from starlette.responses import Response

from quintet.builds import last_published, next_daily
from quintet.cases import store as case_store
from quintet.cases.store import CaseFilter
from quintet.domain import Card, Domain, Waiting
from quintet.domains import DOMAINS
from quintet.presentation.design import Column
from quintet.presentation.wording import counted
from quintet.state.keys import Key
from quintet.warehouse.domain_states import DomainState, domain_states
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.addresses import redirect
from quintet.web.cases.access import READ, kinds_of
from quintet.web.contexts import OverviewContext
from quintet.web.pages.shell import CASES, first_page, show_snapshot
from quintet.web.rendering import DataState, DomainCard, Kpi, State, Table
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.service import Service, service_of

router = guarded_router(None, include_in_schema=False)

_MOST_ROWS = 10

_BATCH_COLUMNS = (
    Column("arrived", "Loaded at (UTC)", "moment"),
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
_NO_DATA = Card("No data yet", None)


@router.get("/")
@restricted_by()
def overview(request: Request) -> Response:
    """Show the business, what needs a person, and the data, of the domains that the key may read.

    A bound key is led to the first page of its part.
    """
    key: Key = request.state.key
    if key.binding is not None:
        return redirect(request, first_page(key.binding))
    service = service_of(request)
    domains = [domain for domain in DOMAINS if key.allows(f"{domain.name}:read")]
    inboxes = [inbox for domain in domains for inbox in domain.inboxes]
    now = service.clock()
    waiting = _waiting(service, domains, key)
    published, following = last_published(service.settings.serving), next_daily(now)

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
            "cards": [_card(cursor, domain) for domain in domains],
            "waiting": waiting,
            "data": [_data(cursor, domain, states.get(domain.name)) for domain in domains],
            "published": published,
            "following": following,
            "batches": Table(batches, _BATCH_COLUMNS, "Last files", count, nothing="No file has arrived yet."),
            "rejected": Table(
                rejected,
                _REJECTED_COLUMNS,
                "Quarantined files and rows",
                int(rejected["reasons"].max()) if len(rejected) else 0,
                nothing="No file or row.",
            ),
        }

    return show_snapshot(request, "overview.html", "Overview", make, varying=repr([following, published, waiting]))


def _card(cursor: duckdb.DuckDBPyConnection, domain: Domain) -> DomainCard:
    try:
        card = domain.card(cursor) if domain.card is not None else _NO_DATA
    except duckdb.CatalogException:  # not built yet
        card = _NO_DATA
    kpi = Kpi(
        card.label,
        card.value,
        card.kind,
        card.unit,
        card.change,
        card.change_against if card.change is not None else "",
        "points" if card.kind == "percent" else "percent",
        card.better,
        card.trend,
        card.basis,
    )
    return DomainCard(domain.title, domain.page, kpi, card.weight, card.state)


def _waiting(service: Service, domains: Sequence[Domain], key: Key) -> list[Waiting]:
    """Return what waits for a person, the urgent first, then the most; nothing without a snapshot.

    What a domain has cases of is counted as cases, where the key may read them.
    """
    kinds = kinds_of(key) if key.allows(READ) else {}
    with_cases = {domain for domain, _ in kinds}
    found: list[Waiting] = []
    with suppress(NoSnapshotError), service.snapshots.read() as snapshot:
        for domain in domains:
            with suppress(duckdb.CatalogException):  # not built yet: nothing can wait
                waiting = [one for one in domain.waiting(snapshot.cursor, service.store) if one.count]
                found += [one for one in waiting if one.is_urgent or domain.name not in with_cases]
    counts = case_store.count(service.store, CaseFilter(tuple(kinds)), service.clock())
    for name, count in counts.items():
        found.append(Waiting(count, kinds[name].what, "to decide", f"{CASES}?domain={name[0]}"))
    return sorted(found, key=lambda one: (not one.is_urgent, -one.count))


def _data(cursor: duckdb.DuckDBPyConnection, domain: Domain, build: DomainState | None) -> DataState:
    """Return whether a domain's data is up to date, when it was built, its last file, and what is quarantined."""
    last, files, rows = cursor.execute(
        "select max(\"at\") filter (status = 'loaded'), count(*) filter (status = 'rejected'), "
        "coalesce(sum(rejected) filter (status = 'loaded'), 0)::bigint "
        "from marts.ops_batches where list_contains(?, dataset)",
        [domain.inboxes],
    ).fetchall()[0]
    state: tuple[State, str] = ("good", "up to date")
    note = ""
    if build is not None and not build.is_current:
        state = {
            "missing": ("critical", "not built yet"),
            "building": ("none", "being built"),
            "old": ("critical", "old"),
        }[build.status]  # type: ignore[assignment]  # of two literals
        note = build.sentence()
    elif last is None and not domain.other_inboxes:
        state = ("warning", "no data")
    quarantined = [counted(number, what) for number, what in ((files, "file"), (rows, "row")) if number]
    return DataState(
        domain.title,
        *state,
        built_at=_moment(build.built_at if build is not None else None),
        last_file=_moment(last) if last is not None or not domain.other_inboxes else "from a change stream",
        quarantined=" and ".join(quarantined) or "none",
        note=note,
    )


def _moment(at: dt.datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"
