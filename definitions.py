"""Wire assets, checks, jobs, sensors, schedules and resources into Dagster's Definitions.

`build_defs` returns fresh Definitions, so that tests can override a resource without patching.
"""

import importlib
import json
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from assets.check_names import with_short_names
from assets.checks import CHECKS
from assets.ingest import INBOXES, INGEST_ASSETS, LEDGER
from assets.jobs import build_jobs
from assets.marts import build_marts, build_results
from assets.publish import build_snapshot
from assets.records import RECORDED_ASSETS
from assets.reports import REPORT_ASSETS
from assets.tables import with_column_descriptions
from quintet.domains import DOMAINS
from quintet.payments.channels import channels_of, payments_page_url
from quintet.plan import project_code_version
from quintet.private_files import write_for_owner_only
from quintet.settings import Settings, load_settings
from resources.clock import Clock
from resources.dbt import Dbt, prepare_manifest
from resources.fixed import fixed
from resources.inboxes import Inboxes
from resources.notifier import Notifier
from resources.paths import Paths
from resources.postgres_extract import PostgresExtract
from resources.warehouse import Warehouse
from resources.warm_dbt import CALL_DBT
from sensors.failures import build_failure_sensor, build_publishing_sensor
from sensors.inboxes import INBOX_SENSORS
from sensors.lineage import build_lineage_sensors
from sensors.schedules import build_schedules
from sensors.shared_files import build_sharing_sensors

PROJECT = Path(__file__).parent


def build_resources(settings: Settings) -> dict[str, Any]:
    """Return the resources for the settings, by name."""
    return {
        "warehouse": Warehouse(
            database=str(settings.warehouse),
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            lock_wait_seconds=settings.lock_wait_seconds,
            snapshots_kept=settings.snapshots_kept,
            online=str(settings.online),
        ),
        "inboxes": Inboxes(
            raw=str(settings.raw),
            settle_seconds=settings.settle_seconds,
            limits=asdict(settings.inbox_limits),
            online=str(settings.online),
        ),
        "postgres_extract": PostgresExtract(settings.postgres_url, settings.home / "landing"),
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
        "code": project_code_version(PROJECT, settings),
        "paths": Paths(home=str(settings.home), report_page=settings.report_page),
        "notifier": Notifier(settings.state, channels_of(settings), payments_page_url(settings)),
        "settings": settings,
    }


def build_defs(settings: Settings | None = None, **overrides: Any) -> dg.Definitions:
    """Return the project's definitions; `overrides` replace resources by name."""
    settings = settings or load_settings()
    resources = build_resources(settings) | overrides
    manifest, variables = json.loads(prepare_manifest(resources["dbt"]).read_text("utf-8")), settings.dbt_variables
    project = with_short_names(manifest)
    of_domains = {domain.name: [importlib.import_module(name) for name in domain.assets] for domain in DOMAINS}
    modules = [module for imported in of_domains.values() for module in imported]
    staged = {
        name: [asset for module in imported for asset in getattr(module, "STAGED", ())]
        for name, imported in of_domains.items()
    }
    models = [*build_marts(project, variables, staged), *build_results(project, variables)]
    own = with_column_descriptions([asset for module in modules for asset in module.ASSETS], manifest)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        *INBOXES,
        *LEDGER,
        *INGEST_ASSETS,
        *RECORDED_ASSETS,
        *own,
        *models,
        *REPORT_ASSETS,
    ]
    built = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
    snapshot = build_snapshot(built)
    specs = [spec for asset in [*built, snapshot] for spec in asset.specs]
    jobs = build_jobs({spec.group_name for model in models for spec in model.specs if spec.group_name})
    return dg.Definitions(
        assets=[*assets, snapshot],
        asset_checks=CHECKS,
        jobs=jobs,
        sensors=[
            *INBOX_SENSORS,
            *(sensor for domain in DOMAINS for name in domain.sensors for sensor in _sensors_of(name)),
            build_failure_sensor(),
            build_publishing_sensor(specs, jobs[0]),
            *build_lineage_sensors(specs, settings),
            *build_sharing_sensors(settings),
        ],
        schedules=build_schedules({job.name: job for job in jobs}),
        resources=fixed(resources),
        executor=dg.in_process_executor,
    )


def _sensors_of(module: str) -> list[dg.SensorDefinition]:
    sensors: list[dg.SensorDefinition] = importlib.import_module(module).SENSORS
    return sensors


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """Return the Definitions that Dagster loads: one object for a process and its forks."""
    write_for_owner_only()
    return build_defs()
