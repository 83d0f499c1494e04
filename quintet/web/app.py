"""The service: one FastAPI application over the published snapshot and the state store.

The domains declare its routes and pages. `middleware.py` handles every request, `security.py` checks keys.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from quintet.code_version import PROJECT
from quintet.domain import ServiceContext
from quintet.domains import CASE_KINDS, DOMAINS, ROW_POLICIES, open_state_store
from quintet.settings import Settings
from quintet.state.secrets import secret_of
from quintet.web import middleware, problems
from quintet.web.addresses import SlashRedirects
from quintet.web.answers import Answers
from quintet.web.audit import AuditMiddleware
from quintet.web.cases.opening import CaseOpener
from quintet.web.operation_metrics import OperationMetrics
from quintet.web.pages import cases as case_pages
from quintet.web.pages import documents, errors, files, overview, pipeline, sign_in
from quintet.web.paging import PageTokens
from quintet.web.pruning import prune_regularly
from quintet.web.report_sender import ReportSender
from quintet.web.routes import cases, docs, health, search
from quintet.web.security import build_gate
from quintet.web.service import Service
from quintet.web.shared import Shared
from quintet.web.snapshots import Snapshots

DESCRIPTION = """
The published data of five domains. Every answer comes from one snapshot and names it. Lists are paged by key:
send `next_page_token` as `page_token` until it is null. Errors are RFC 9457 problem details. Every route needs a
key in the header `Authorization: Bearer …`; `make keys` makes one.
"""


def create_app(
    settings: Settings,
    code: str,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    random_bytes: Callable[[int], bytes] = os.urandom,
    site: Path = PROJECT / "site",
) -> FastAPI:
    """Return the application.

    code: the code version, part of the ETag of every answer. site: the folder of the documentation's site.
    """
    metrics = middleware.Metrics()
    store = open_state_store(settings.state)
    admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    gate = build_gate(store, admin_key, clock, settings.requests_per_minute, random_bytes)
    context = ServiceContext(settings, store, clock, metrics.registry)
    snapshots = Snapshots(settings.serving, settings.request_seconds, ROW_POLICIES)
    sender = ReportSender(store, snapshots, settings, clock)
    service = Service(
        settings=settings,
        store=store,
        snapshots=snapshots,
        gate=gate,
        answers=Answers(metrics, code),
        tokens=PageTokens(secret_of(store, "page tokens", random_bytes)),
        metrics=metrics,
        files=files.Files(settings.home / "cache"),
        site=site,
        can_send_mail=sender.can_send,
        clock=clock,
        random_bytes=random_bytes,
        domains=[
            importlib.import_module(domain.service).build_service(context) for domain in DOMAINS if domain.service
        ],
    )

    shared = Shared(settings)
    opener = CaseOpener(store, snapshots, settings, CASE_KINDS.values(), clock)
    metrics.registry.register(OperationMetrics(store, snapshots, clock))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.files.load)
        await shared.fetch_first()
        for domain in service.domains:
            await domain.start()
        tasks = [asyncio.create_task(prune_regularly(service)), asyncio.create_task(shared.follow())]
        opener.start()
        sender.start()
        yield
        await asyncio.to_thread(sender.stop)
        await asyncio.to_thread(opener.stop)
        for task in tasks:
            task.cancel()
        for domain in reversed(service.domains):
            await domain.close()
        snapshots.close()
        store.close()

    app = FastAPI(
        title="Quintet",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # `SlashRedirects` does
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.gate = gate
    for router in _routers():
        app.include_router(router)
    files.mount(app)
    app.router.default = SlashRedirects(app.router.routes, app.router.default)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(AuditMiddleware, store=store, clock=clock, random_bytes=random_bytes)
    middleware.install(app, metrics, settings.request_bytes, settings.request_seconds)
    problems.install(app, errors.page)
    return app


def _routers() -> list[APIRouter]:
    """Return all routers, those with most requests first: routes are tried in order."""
    modules = [importlib.import_module(name) for domain in DOMAINS for name in domain.web]
    first = [router for module in modules for router in getattr(module, "FIRST_ROUTERS", ())]
    shared = [module.router for module in (health, sign_in, docs, documents, overview, pipeline)]
    shared += [search.api, search.pages, *cases.ROUTERS, *case_pages.ROUTERS]
    return [*first, *shared, *(router for module in modules for router in module.ROUTERS)]
