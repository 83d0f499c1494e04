"""The only wiring: which assets, checks, jobs, sensors, schedules and resources make up the project.

`build_defs` gives fresh Definitions, so that tests override a resource and patch nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from assets.conversions import conversion_analysis, country_names, matching
from assets.conversions_reports import conversions_papers, journeys_files
from assets.ingest import INBOXES, INGEST_ASSETS, LEDGER
from assets.insurance import premium_forecast, premium_reports, stg_agency_performance
from assets.jobs import build_jobs
from assets.lending import (
    LOAN_BOOK_INBOX,
    lending_client_features,
    lending_log,
    lending_model,
    lending_replication,
    lending_training_set,
)
from assets.marts import build_marts, build_results
from assets.payments import (
    alert_evaluation,
    checkout_analysis,
    checkout_hours_judged,
    payment_alerts,
    payment_notifications,
)
from assets.promotions import abuse_model, abuse_scores
from assets.publish import build_snapshot
from assets.records import RECORDED_ASSETS
from assets.source import promotions_source
from quintet.payments.channels import channels_of, payments_page_url
from quintet.plan import code_fingerprint, model_variables
from quintet.settings import Settings, load_settings
from quintet.warehouse.database import PUBLISHED_SCHEMAS
from resources.clock import Clock
from resources.dbt import CALL_DBT, Dbt, prepare_manifest
from resources.inboxes import Inboxes
from resources.notifier import Notifier
from resources.source import Source
from resources.warehouse import Warehouse
from sensors.failures import build_failure_sensor
from sensors.inboxes import INBOX_SENSORS
from sensors.lending import watch_change_log, watch_loan_book
from sensors.schedules import build_schedules
from sensors.source import source_sensor

PROJECT = Path(__file__).parent


def build_resources(settings: Settings) -> dict[str, Any]:
    """The outside world as the settings describe it."""
    return {
        "warehouse": Warehouse(
            database=str(settings.warehouse),
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            lock_wait_seconds=settings.lock_wait_seconds,
            serving=str(settings.serving),
            snapshots_kept=settings.snapshots_kept,
        ),
        "inboxes": Inboxes(raw=str(settings.raw), settle_seconds=settings.settle_seconds),
        "source": Source(
            url=settings.postgres_url.get_secret_value() if settings.postgres_url else "",
            landing=str(settings.home / "landing"),
        ),
        "clock": Clock(),
        "dbt": Dbt(
            project_dir=str(PROJECT / "dbt_project"),
            profiles_dir=str(PROJECT / "dbt_project"),
            dbt_executable=sys.executable,
            global_config_flags=CALL_DBT,
            warehouse=str(settings.warehouse),
            memory_limit=settings.memory_limit,
            threads=settings.threads,
        ),
        "code": code_fingerprint(PROJECT, settings),
        "reports": settings.reports,
        "models": settings.models,
        "online": settings.online,
        "notifier": Notifier(settings.online, channels_of(settings), payments_page_url(settings)),
        "settings": settings,
    }


def build_defs(settings: Settings | None = None, **overrides: Any) -> dg.Definitions:
    """The project's definitions; `overrides` replace resources by name."""
    settings = settings or load_settings()
    resources = build_resources(settings) | overrides
    sources = [stg_agency_performance, country_names]
    project, variables = json.loads(prepare_manifest(resources["dbt"]).read_text("utf-8")), model_variables(settings)
    marts = build_marts(project, variables, sources)
    results = build_results(project, variables)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *INBOXES,
        LOAN_BOOK_INBOX,
        *LEDGER,
        promotions_source,
        *INGEST_ASSETS,
        *sources,
        *RECORDED_ASSETS,
        marts,
        premium_forecast,
        payment_alerts,
        checkout_hours_judged,
        alert_evaluation,
        abuse_model,
        abuse_scores,
        matching,
        conversion_analysis,
        lending_replication,
        lending_log,
        lending_client_features,
        lending_training_set,
        lending_model,
        results,
        premium_reports,
        conversions_papers,
        journeys_files,
        checkout_analysis,
        payment_notifications,
    ]
    keys = {key for asset in assets if isinstance(asset, dg.AssetsDefinition) for key in asset.keys}
    assets.append(build_snapshot(sorted(key for key in keys if key.path[0] in PUBLISHED_SCHEMAS)))
    jobs = build_jobs({spec.group_name for spec in [*marts.specs, *results.specs] if spec.group_name})
    return dg.Definitions(
        assets=assets,
        jobs=jobs,
        sensors=[*INBOX_SENSORS, source_sensor, watch_loan_book, watch_change_log, build_failure_sensor(settings.home)],
        schedules=build_schedules({job.name: job for job in jobs}),
        resources=resources,
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads."""
    return build_defs()
