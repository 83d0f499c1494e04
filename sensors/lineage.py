"""After each run, where `QUINTET_OPENLINEAGE_URL` is set: send which tables it built from which, as OpenLineage."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from quintet.lineage import Built, events_of, send_events
from quintet.settings import Settings


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
    built: dict[dg.AssetKey, Built] = {}
    planned: dict[str | None, list[dg.AssetKey]] = {}
    for entry in entries:
        event, made = entry.dagster_event, entry.asset_materialization
        at = dt.datetime.fromtimestamp(entry.timestamp, dt.UTC)
        if made is not None:
            built[made.asset_key] = _built(made, upstream, at)
        elif event and event.is_asset_materialization_planned and event.asset_key:
            planned.setdefault(entry.step_key, []).append(event.asset_key)
        elif event and event.is_step_failure:
            for key in planned.get(entry.step_key, ()):
                built.setdefault(key, Built(key.to_user_string(), _names(upstream.get(key, ())), at, is_complete=False))
    return list(built.values())


def _built(
    made: dg.AssetMaterialization, upstream: Mapping[dg.AssetKey, Sequence[dg.AssetKey]], at: dt.datetime
) -> Built:
    schema, rows = made.metadata.get("dagster/column_schema"), made.metadata.get("dagster/row_count")
    described = schema.schema.columns if isinstance(schema, dg.TableSchemaMetadataValue) else []
    traced = made.metadata.get("dagster/column_lineage")
    deps = traced.column_lineage.deps_by_column if isinstance(traced, dg.TableColumnLineageMetadataValue) else {}
    return Built(
        name=made.asset_key.to_user_string(),
        inputs=_names(upstream.get(made.asset_key, ())),
        at=at,
        columns={column.name: column.type for column in described},
        sources={
            name: [(dep.asset_key.to_user_string(), dep.column_name) for dep in sources]
            for name, sources in deps.items()
        },
        rows=rows.value if isinstance(rows, dg.IntMetadataValue) else None,
    )


def _names(keys: Iterable[dg.AssetKey]) -> list[str]:
    return [key.to_user_string() for key in keys]
