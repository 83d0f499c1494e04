"""Find the assets whose last build was not finished, and the state of each domain's tables.

An asset is unfinished if the last run that planned it is not the run that built it last: that run failed before it,
was killed, or is at work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

import dagster as dg

from assets.facts import DOMAIN_TAG, REPORTS
from quintet.domains import DOMAINS
from quintet.warehouse.database import PUBLISHED_SCHEMAS
from quintet.warehouse.domain_states import DomainBuild

RESULTS = "results"
"""The tag of the models that read results of the Python packages. Their number of rows may fall for good reasons."""

KEEPS_ROWS = "keeps_rows"
"""The tag of such a model whose rows only an accident removes."""

_SNAPSHOT = "serving"
_BOOKKEEPING = "ops"
_MOST_NAMED = 3
_MOST_QUEUED = 100
"""Runs of one asset that may wait in the queue."""


def unfinished_assets(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[dg.AssetKey, str]:
    """Return the assets that were planned and not built, with the id of the run that planned them last.

    A run that waits in the queue, or was canceled there, has changed nothing: the run before it decides.
    """
    unfinished = {}
    begun: dict[str, bool] = {}
    for record in instance.get_asset_records(list(keys)):
        entry = record.asset_entry
        built_by = entry.last_materialization.run_id if entry.last_materialization is not None else None
        if entry.last_run_id is not None and entry.last_run_id != built_by:
            planned_by = _last_begun(instance, entry.asset_key, entry.last_run_id, begun)
            if planned_by not in (None, built_by):
                unfinished[entry.asset_key] = str(planned_by)
    return unfinished


def _last_begun(instance: dg.DagsterInstance, key: dg.AssetKey, latest: str, begun: dict[str, bool]) -> str | None:
    """Return the last run that planned an asset and has begun. latest: the last one. begun: what is known of runs."""
    if _has_begun(instance, latest, begun):
        return latest
    planned = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=key)
    runs = (record.run_id for record in instance.get_event_records(planned, limit=_MOST_QUEUED))
    return next((run_id for run_id in runs if _has_begun(instance, run_id, begun)), None)


def _has_begun(instance: dg.DagsterInstance, run_id: str, begun: dict[str, bool]) -> bool:
    if run_id not in begun:
        record = instance.get_run_record_by_id(run_id)
        begun[run_id] = record is None or record.start_time is not None
    return begun[run_id]


def assets_to_retry(
    instance: dg.DagsterInstance, specs: Sequence[dg.AssetSpec], retried: Collection[str]
) -> set[dg.AssetKey]:
    """Return all assets of the domains that have an unfinished table, and the unfinished assets beside the domains.

    A domain is built as a whole: which of its files have reached which table is known only after a complete build.
    retried: domains to build in any case.
    """
    groups = {spec.key: spec.group_name for spec in specs}
    unfinished = {key for key in unfinished_assets(instance, groups) if key in groups}
    domains = {groups[key] for key in unfinished} & {domain.name for domain in DOMAINS} | set(retried)
    return {key for key, group in groups.items() if group in domains} | unfinished


def left_to_publish(
    instance: dg.DagsterInstance,
    specs: Sequence[dg.AssetSpec],
    selected: Iterable[dg.AssetKey],
    failed: Collection[str],
) -> list[dg.AssetKey]:
    """Return the assets to build after a run in which a domain failed: the snapshot, and the others' reports.

    Empty if the run has published, or was not to publish, or publishing is what failed.
    specs: all assets. selected: the assets of the run. failed: its steps that failed.
    """
    chosen = set(selected)
    of_run = {spec.key: spec for spec in specs if spec.key in chosen}
    unfinished = unfinished_assets(instance, of_run)
    snapshot = next((key for key in unfinished if key.path[0] == _SNAPSHOT), None)
    if snapshot is None or "__".join(snapshot.path) in failed:
        return []
    broken = {of_run[key].group_name for key in unfinished}
    views_failed = any(step.startswith(_BOOKKEEPING) for step in failed)
    return sorted(
        key
        for key in unfinished
        if key == snapshot
        or (of_run[key].group_name == _BOOKKEEPING and not views_failed)
        or (of_run[key].group_name == REPORTS and of_run[key].tags.get(DOMAIN_TAG) not in broken)
    )


def domain_builds(instance: dg.DagsterInstance, specs: Sequence[dg.AssetSpec]) -> list[DomainBuild]:
    """Return the state of each domain's tables in the warehouse.

    specs: all assets. The reports of a domain are no tables, and are not counted.
    """
    unfinished = unfinished_assets(instance, [spec.key for spec in specs if spec.group_name != REPORTS])
    at_work = {run_id for run_id in set(unfinished.values()) if _is_at_work(instance, run_id)}
    return [
        _domain_build(
            instance,
            domain.name,
            frozenset(domain.inboxes),
            [spec for spec in specs if spec.group_name == domain.name],
            unfinished,
            at_work,
        )
        for domain in DOMAINS
    ]


def _domain_build(
    instance: dg.DagsterInstance,
    name: str,
    datasets: frozenset[str],
    specs: Sequence[dg.AssetSpec],
    unfinished: Mapping[dg.AssetKey, str],
    at_work: Collection[str],
) -> DomainBuild:
    published = [spec for spec in specs if spec.key.path[0] in PUBLISHED_SCHEMAS]
    missing = {spec.key: unfinished[spec.key] for spec in specs if spec.key in unfinished}
    return DomainBuild(
        name=name,
        tables=frozenset(_table(spec) for spec in published),
        keeping=frozenset(_table(spec) for spec in published if _keeps_rows(spec)),
        datasets=datasets,
        built_at=_last_built(instance, [spec.key for spec in specs]),
        problem=_problem(name, missing, at_work) if missing else "",
        is_building=bool(missing) and set(missing.values()) <= set(at_work),
    )


def _problem(name: str, missing: Mapping[dg.AssetKey, str], at_work: Collection[str]) -> str:
    runs = sorted(set(missing.values()))
    if set(runs) <= set(at_work):
        return f"run {runs[0][:8]} is building it"
    names = sorted(key.to_user_string() for key in missing)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (
        f"the build of {', '.join(names[:_MOST_NAMED])}{more} did not succeed (run {runs[0][:8]}). "
        f"Fix the cause, then `quintet run --select {name}`"
    )


def _is_at_work(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished


def _last_built(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> dt.datetime | None:
    """Return when the last of the assets was built, UTC without zone."""
    built = [
        record.asset_entry.last_materialization.timestamp
        for record in instance.get_asset_records(keys)
        if record.asset_entry.last_materialization is not None
    ]
    return dt.datetime.fromtimestamp(max(built), dt.UTC).replace(tzinfo=None, microsecond=0) if built else None


def _keeps_rows(spec: dg.AssetSpec) -> bool:
    """Return whether a table loses most of its rows only by accident: facts and dimensions built from files."""
    is_from_files = spec.key.path[-1].startswith(("fct_", "dim_")) and RESULTS not in spec.tags
    return spec.key.path[0] == "marts" and (is_from_files or KEEPS_ROWS in spec.tags)


def _table(spec: dg.AssetSpec) -> str:
    return ".".join(spec.key.path)
