"""The part of lending that runs in the web service: features, decisions and their metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from quintet.delivery.outbox_worker import OutboxWorker
from quintet.delivery.webhook import Send, to_webhook
from quintet.domain import ServiceContext
from quintet.lending.active import Serving
from quintet.lending.decision_log import DecisionLog
from quintet.lending.decisions import Decisions
from quintet.lending.endpoint import InProcess, Remote, Scorer
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.lending.served import served_models, served_policy
from quintet.lending.settings import LendingSettings
from quintet.lending.verdicts import CRM
from quintet.ml.model_registry import ModelRegistry
from quintet.state.audit import Entry, record, utc_text
from quintet.state.features import FeatureStore


class DecisionMetrics:
    """Prometheus metrics of the decisions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "quintet_decisions", "New loan decisions.", ["decision", "is_complete"], registry=registry
        )
        self.seconds = Histogram(
            "quintet_decision_seconds",
            "Seconds from an application's arrival until its decision is on the disk.",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2),
            registry=registry,
        )


@dataclass(frozen=True)
class LendingService:
    """The current features, and the decisions made with them."""

    features: OnlineFeatures
    decisions: Decisions
    metrics: DecisionMetrics
    to_crm: OutboxWorker

    async def start(self) -> None:
        """Open the decision log, watch policy and models, and send final decisions to the CRM."""
        await asyncio.to_thread(self.decisions.start)
        self.to_crm.start()

    async def close(self) -> None:
        """Write pending decisions, and close the files."""
        await asyncio.to_thread(self.to_crm.stop)
        await self.decisions.close()
        self.features.store.close()

    def faults(self) -> Sequence[str]:
        """Return the refused policy and models."""
        return self.decisions.serving.now.faults


def build_service(context: ServiceContext) -> LendingService:
    """Build features and decisions from the settings; nothing runs before `start`."""
    settings = context.settings
    own = settings.of(LendingSettings)
    online = OnlineFeatures(FeatureStore(settings.state), features())
    log = DecisionLog(settings.state)
    registry = ModelRegistry(served_models(settings))

    def record_use(versions: str) -> None:
        at = utc_text(context.clock())
        record(context.store, Entry(at, "service", "", "lending.use", versions, "done"))

    serving = Serving(registry, lambda: served_policy(settings), log, context.clock, _log_refusal, record_use)
    scorer = _scorer(own, serving)
    decisions = Decisions(online, log, serving, scorer, context.clock, own.decision_seconds)
    worker = OutboxWorker(context.store, _crm(own), context.clock)
    return LendingService(online, decisions, DecisionMetrics(context.metrics), worker)


def _crm(own: LendingSettings) -> dict[str, Send]:
    """Return the channel to the CRM, if the settings have one."""
    if own.crm_webhook_url is None:
        return {}
    url = own.crm_webhook_url.get_secret_value()
    secret = own.crm_webhook_secret.get_secret_value() if own.crm_webhook_secret else ""
    return {CRM: lambda delivery: to_webhook(url, secret, delivery)}


def _scorer(settings: LendingSettings, serving: Serving) -> Scorer:
    if settings.lending_score_url is None:
        return InProcess(serving)
    key = settings.lending_score_key.get_secret_value() if settings.lending_score_key else None
    return Remote(settings.lending_score_url, key, settings.lending_score_seconds)


def _log_refusal(fault: str) -> None:
    structlog.get_logger().error("lending refuses a file", fault=fault)
