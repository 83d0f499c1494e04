"""The service: one FastAPI application over the published snapshot and the online store.

Belongs here: wiring alone. Routes stand in `routes/` (JSON) and `pages/` (HTML), one file a domain; what happens to
every request in `middleware.py`; who may ask in `security.py`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from quintet.lending.decisions import Decisions
from quintet.lending.endpoint import InProcess, Remote, Scorer
from quintet.lending.in_force import FOLDER, Serving
from quintet.lending.online import OnlineFeatures
from quintet.lending.registry import features
from quintet.online.features import FeatureStore
from quintet.online.loan_decisions import DecisionLog
from quintet.online.secrets import secret_of
from quintet.online.store import Store
from quintet.payments.channels import channels_of, payments_page_url
from quintet.payments.live import Live
from quintet.promotions.online_state import OnlineState
from quintet.registry import ModelRegistry
from quintet.settings import Settings
from quintet.web import middleware, problems
from quintet.web.answers import Answers
from quintet.web.pages import conversions as conversions_pages
from quintet.web.pages import errors, files, overview, reports, sign_in
from quintet.web.pages import insurance as insurance_pages
from quintet.web.pages import lending as lending_pages
from quintet.web.pages import lending_decisions as lending_decisions_pages
from quintet.web.pages import lending_model as lending_model_pages
from quintet.web.pages import payments as payments_pages
from quintet.web.pages import promotions as promotions_pages
from quintet.web.paging import PageTokens
from quintet.web.routes import conversions, docs, health, insurance, lending, payments, promotions
from quintet.web.routes.lending import DecisionMetrics
from quintet.web.security import Gate, build_gate
from quintet.web.snapshots import Snapshots

DESCRIPTION = """
What five businesses publish, to ask for. Every answer comes from one snapshot, named in it; lists are paged by key:
hand `next_page_token` back as `page_token` until it is null. Errors are RFC 9457 problem details. Every route needs a
key in the header `Authorization: Bearer …`; `make keys` makes one.
"""


@dataclass(frozen=True)
class Service:
    """What the routes share, at `request.app.state.service`. `clock` gives the time in UTC, with its zone."""

    settings: Settings
    store: Store
    snapshots: Snapshots
    gate: Gate
    answers: Answers
    tokens: PageTokens
    metrics: middleware.Metrics
    files: files.Files
    abuse: OnlineState
    clock: Callable[[], dt.datetime]
    random_bytes: Callable[[int], bytes]
    lending: OnlineFeatures
    payments: Live
    decisions: Decisions
    decision_metrics: DecisionMetrics


def create_app(
    settings: Settings,
    code: str,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> FastAPI:
    """The application. code: a fingerprint of the code, so that answers of other code are told apart."""
    metrics = middleware.Metrics()
    store = Store(settings.online)
    admin_key = settings.admin_key.get_secret_value() if settings.admin_key else None
    gate = build_gate(store, admin_key, clock, settings.requests_per_minute)
    online_features = OnlineFeatures(FeatureStore(settings.online), features())
    service = Service(
        settings=settings,
        store=store,
        snapshots=Snapshots(settings.serving, settings.request_seconds),
        gate=gate,
        answers=Answers(metrics, code),
        tokens=PageTokens(secret_of(store, "page tokens", random_bytes)),
        metrics=metrics,
        files=files.Files(settings.home / "cache"),
        abuse=OnlineState(store, settings.serving, _log_failure),
        clock=clock,
        random_bytes=random_bytes,
        payments=_payments(settings, store, clock),
        lending=online_features,
        decisions=_decisions(settings, online_features, clock),
        decision_metrics=DecisionMetrics(metrics.registry),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.abuse.start()
        await asyncio.to_thread(service.files.load)
        service.payments.start()
        await asyncio.to_thread(service.decisions.start)
        yield
        await service.decisions.close()
        await asyncio.to_thread(service.payments.stop)
        await asyncio.to_thread(service.abuse.close)
        service.snapshots.close()
        service.lending.store.close()
        store.close()

    app = FastAPI(
        title="Quintet",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.gate = gate
    # routes are tried in their order, and these come most often
    first = (lending.deciding, promotions.scoring, payments.writing)
    rest = (lending.router, promotions.reading, promotions.labelling, payments.router, payments.handling)
    for router in (*first, *rest, *payments_pages.ROUTERS):
        app.include_router(router)
    for module in (
        *(health, sign_in, docs, insurance, conversions),
        *(overview, insurance_pages, promotions_pages, conversions_pages, lending_pages, lending_decisions_pages),
        *(lending_model_pages, reports),
    ):
        app.include_router(module.router)
    files.mount(app)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    middleware.install(app, metrics, settings.request_bytes, settings.request_seconds)
    problems.install(app, errors.page)
    return app


def _log_failure(error: Exception) -> None:
    structlog.get_logger().error("the abuse index could not be built", exc_info=error)


def _payments(settings: Settings, store: Store, clock: Callable[[], dt.datetime]) -> Live:
    heartbeat = settings.heartbeat_url.get_secret_value() if settings.heartbeat_url else None
    return Live(store, channels_of(settings), clock, payments_page_url(settings), heartbeat)


def _decisions(settings: Settings, online: OnlineFeatures, clock: Callable[[], dt.datetime]) -> Decisions:
    log = DecisionLog(settings.online)
    registry = ModelRegistry(settings.models / FOLDER)
    serving = Serving(registry, settings.lending_policy, log, clock, _log_refusal)
    scorer: Scorer = InProcess(serving)
    if settings.lending_score_url is not None:
        key = settings.lending_score_key.get_secret_value() if settings.lending_score_key else None
        scorer = Remote(settings.lending_score_url, key, settings.lending_score_seconds)
    return Decisions(online, log, serving, scorer, clock, settings.decision_seconds)


def _log_refusal(fault: str) -> None:
    structlog.get_logger().error("lending refuses a file", fault=fault)
