"""After each run, where `QUINTET_OPENLINEAGE_URL` is set: send which tables it built from which, as OpenLineage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from quintet.lineage import Built, events_of, send_events
from quintet.settings import Settings

ROWS = "dagster/row_count"


def build_lineage_sensors(specs: Sequence[dg.AssetSpec], settings: Settings) -> list[dg.SensorDefinition]:
    """Return a sensor for runs that succeed and one for runs that fail; none without the setting.

    A service that does not answer fails the tick, which the Dagster UI shows, and never a run. specs: all assets.
    """
    if settings.openlineage_url is None:
        return []
    url = settings.openlineage_url.get_secret_value()
    upstream = {spec.key: [dependency.asset_key for dependency in spec.deps] for spec in specs}

    def build(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
        @dg.run_status_sensor(
            name=name,
            run_status=status,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Sends the tables of a finished run to QUINTET_OPENLINEAGE_URL as OpenLineage events.",
        )
        def send_lineage(context: dg.RunStatusSensorContext) -> None:
            run = context.dagster_run
            built = built_by(context.instance.all_logs(run.run_id), upstream)
            send_events(url, events_of(run.run_id, run.job_name, built))

        return send_lineage

    return [
        build("send_lineage", dg.DagsterRunStatus.SUCCESS),
        build("send_lineage_of_failed_runs", dg.DagsterRunStatus.FAILURE),
    ]


def built_by(entries: Iterable[dg.EventLogEntry], upstream: Mapping[dg.AssetKey, Sequence[dg.AssetKey]]) -> list[Built]:
    """Return the tables that a run built or failed to build, from its log."""
    built = {}
    for entry in entries:
        event, made = entry.dagster_event, entry.asset_materialization
        key = event.asset_key if event and (made or event.is_asset_failed_to_materialize) else None
        if key is None:
            continue
        metadata = made.metadata if made else {}
        schema, rows = metadata.get("dagster/column_schema"), metadata.get(ROWS)
        built[key] = Built(
            name=key.to_user_string(),
            inputs=[one.to_user_string() for one in upstream.get(key, ())],
            at=dt.datetime.fromtimestamp(entry.timestamp, dt.UTC),
            is_complete=made is not None,
            columns={column.name: column.type for column in schema.value.columns} if schema else {},
            rows=int(rows.value) if rows else None,
        )
    return list(built.values())
