"""The layout around every page: navigation, the snapshot's age, the signed-in key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import duckdb
from fastapi import Request
from starlette.responses import HTMLResponse, Response

from quintet.builds import QUIET_AFTER, progress_of
from quintet.domains import DOMAINS, ROW_POLICIES
from quintet.presentation.wording import lasting
from quintet.state.binding import Binding
from quintet.state.keys import Key
from quintet.warehouse.domain_states import domain_states
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.addresses import prefix_of, route_path
from quintet.web.answers import has_it, headers_of
from quintet.web.cases.access import count_waiting
from quintet.web.contexts import BuildingContext
from quintet.web.pages import documents
from quintet.web.rendering import NavItem, Shell, SnapshotAge, render, static_version
from quintet.web.service import service_of
from quintet.web.snapshots import Snapshot

CASES = "/cases"
NAVIGATION = (
    NavItem("Overview", "/"),
    NavItem("Cases", CASES),
    *(NavItem(domain.title, domain.page) for domain in DOMAINS),
    NavItem("Reports", "/reports"),
    NavItem("Pipeline", "/pipeline"),
    NavItem("API docs", "/docs"),
)


def show(
    request: Request,
    template: str,
    title: str,
    context: Mapping[str, object],
    snapshot: Snapshot | None = None,
    status: int = 200,
) -> Response:
    """Render a page as the answer."""
    key = getattr(request.state, "key", None)
    age = None
    if snapshot is not None:
        published_at = snapshot.published_at.replace(tzinfo=dt.UTC)
        age = SnapshotAge(snapshot.snapshot_id, published_at, _behind(route_path(request), snapshot), snapshot.fault)
    shell = Shell(
        title=title,
        path=route_path(request),
        prefix=prefix_of(request),
        nav=_navigation(request),
        snapshot=age,
        signed_in_as=key.name if key is not None else None,
    )
    return HTMLResponse(render(template, shell, **context), status, {"cache-control": "private, no-cache"})


def _navigation(request: Request) -> Sequence[NavItem]:
    """Return the menu of the request's key, with the number of its cases, and the documentation where it was built."""
    key: Key | None = getattr(request.state, "key", None)
    if key is None:
        return ()
    waiting = _waiting(request)
    pages = None if key.binding is None else _pages_of(key.binding)
    shown = [item for item in NAVIGATION if pages is None or item.href in pages]
    items = [replace(item, count=waiting) if item.href == CASES else item for item in shown]
    is_built = documents.is_built(service_of(request).site)
    return [*items, NavItem("Documentation", documents.PATH)] if is_built else items


def first_page(binding: Binding) -> str:
    """Return the page where a person with a bound key starts."""
    return _pages_of(binding)[0]


def _pages_of(binding: Binding) -> list[str]:
    return [page for kind, _ in binding.parts for page in ROW_POLICIES[kind].pages]


def _waiting(request: Request) -> str:
    service = service_of(request)
    return count_waiting(service.store, request.state.key, service.clock())


def _behind(path: str, snapshot: Snapshot) -> str:
    """Return the state of the domain whose page this is in words; empty if its tables are those of the last build."""
    names = [domain.name for domain in DOMAINS if path == domain.page or path.startswith(f"{domain.page}/")]
    states = domain_states(snapshot.cursor) if names else {}
    behind = [states[name] for name in names if name in states and not states[name].is_current]
    return behind[0].sentence() if behind else ""


def show_snapshot(
    request: Request, template: str, title: str, make: Callable[[Snapshot], Mapping[str, object]], varying: str = ""
) -> Response:
    """Answer with a page made from the current snapshot, or 304 if the browser has it.

    varying: what the page depends on besides snapshot, URL and key. A person gets the state of the build where there is
    nothing to show yet; a program gets the problem.
    """
    try:
        return _show_snapshot(request, template, title, make, varying)
    except (NoSnapshotError, duckdb.CatalogException) as error:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        return _show_build(request, is_part=isinstance(error, duckdb.CatalogException))


def _show_build(request: Request, *, is_part: bool) -> Response:
    service = service_of(request)
    now, progress = service.clock(), progress_of(service.settings.home)
    context: BuildingContext = {
        "is_part": is_part,
        "progress": progress,
        "began": lasting((now - progress.began_at).total_seconds()) if progress else "",
        "reported": lasting((now - progress.reported_at).total_seconds()) if progress else "",
        "is_quiet": progress is not None and now - progress.reported_at > QUIET_AFTER,
    }
    return show(request, "building.html", "Not built yet", context)


def _show_snapshot(
    request: Request, template: str, title: str, make: Callable[[Snapshot], Mapping[str, object]], varying: str
) -> Response:
    service = service_of(request)
    with service.snapshots.read() as snapshot:
        also = (request.state.key.key_id, static_version(), varying, snapshot.fault, _waiting(request))
        tag = service.answers.tag(request, snapshot, *also)
        if has_it(request, tag):
            unchanged: Response = service.answers.unchanged(tag)
            return unchanged
        body = service.answers.cached(tag, lambda: bytes(show(request, template, title, make(snapshot), snapshot).body))
    return HTMLResponse(body, headers=headers_of(tag))
