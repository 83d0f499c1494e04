"""Materialise a plan in this process, with a line of progress for each step."""

from __future__ import annotations

import io
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from rich.console import Console

from assets.ingest import inbox_event, raw_key
from assets.jobs import changes_selection, domain_selection
from assets.publish import SNAPSHOT
from assets.unfinished import assets_to_retry, left_to_publish
from assets.versions import stale_assets, versions_of
from cli import guard
from cli.daemon_lock import is_daemon_alive
from cli.dead_runs import release_dead_runs
from definitions import build_defs
from quintet.domains import MODELS
from quintet.plan import Plan
from quintet.settings import Settings
from resources.event_log import open_instance
from resources.run_marks import STARTED_BY, hold_mark, marks_folder, release_mark


@dataclass(frozen=True)
class PlannedAssets:
    """The job over all assets, and the assets that a plan selects.

    specs: all assets. inboxes: the data version of each inbox that the plan is
    based on. stale: how many selected assets another code version built.
    """

    job: dg.JobDefinition
    specs: Sequence[dg.AssetSpec]
    selected: Sequence[dg.AssetKey]
    inboxes: Mapping[str, str]
    stale: int = 0


def load_assets(settings: Settings, plan: Plan, select: str | None) -> PlannedAssets:
    """Return the assets that the plan selects, in one domain or all; none if the code change affects no asset."""
    definitions = build_defs(settings)
    graph, job = definitions.resolve_asset_graph(), definitions.resolve_implicit_global_asset_job_def()
    specs = definitions.resolve_all_asset_specs()
    if plan.is_full:
        selection = domain_selection(select) if select else dg.AssetSelection.all().materializable()
        return PlannedAssets(job, specs, sorted(selection.resolve(graph)), plan.inboxes)
    asked = (domain_selection(select) if select else dg.AssetSelection.all()).materializable().resolve(graph)
    stale, unfinished = set(), set()
    with open_instance() as instance:
        if plan.code_has_changed:
            stale = stale_assets(versions_of(specs), instance) & asked
        if plan.is_unfinished or plan.retried:
            release_dead_runs(instance, is_daemon_alive(Path(instance.root_directory)))
            unfinished = assets_to_retry(instance, specs, plan.retried) & asked
    begun = {
        *stale,
        *unfinished,
        *(raw_key(name) for name in plan.new_files),
        *(dg.AssetKey(path) for path in plan.also),
    }
    groups = {spec.key: spec.group_name for spec in specs}
    selected = changes_selection(groups, begun).required_multi_asset_neighbors().resolve(graph) if begun else set()
    return PlannedAssets(job, specs, sorted(selected & asked), plan.inboxes, len(stale))


def materialise(
    assets: PlannedAssets, console: Console, train: str | None = None, *, accept_losses: bool = False
) -> bool:
    """Build the assets and return whether all of them succeeded. Where a domain fails, publish the others.

    train: the domain whose model to retrain even if the active one could be used. accept_losses: publish also what has
    lost tables, rows or files.
    """
    config: dict[str, dict[str, bool]] = {MODELS[train].step: {"retrain": True}} if train else {}
    with open_instance() as instance:
        for name, version in assets.inboxes.items():
            instance.report_runless_asset_event(inbox_event(name, version))
        outcome = _execute(assets, assets.selected, instance, console, config, accept_losses)
        if outcome.succeeded:
            return True
        if outcome.was_interrupted:
            return False  # whoever stops a run wants nothing published
        rest = left_to_publish(instance, assets.specs, assets.selected, outcome.failed)
        if rest:
            console.print("  publishing what was built", markup=False)
            _execute(assets, rest, instance, console, {}, accept_losses)
        return False


@dataclass(frozen=True)
class _Outcome:
    """How a run ended. failed: its failed steps; a failed check of severity error fails a run without a failed step."""

    succeeded: bool
    failed: frozenset[str] = frozenset()
    was_interrupted: bool = False


def _execute(
    assets: PlannedAssets,
    selected: Sequence[dg.AssetKey],
    instance: dg.DagsterInstance,
    console: Console,
    config: Mapping[str, Mapping[str, bool]],
    accept_losses: bool,
) -> _Outcome:
    """Build some assets in this process; return how that ended."""
    if SNAPSHOT in selected:
        config = {**config, "__".join(SNAPSHOT.path): {"accept_losses": accept_losses}}
    with _marked_run(instance) as run_id, redirect_stdout(io.StringIO()):
        # the redirected output is dbt's log; dbt's target folder keeps it, and a failure quotes it
        instance.add_event_listener(run_id, lambda entry: _print_progress(entry, console))
        result = assets.job.execute_in_process(
            asset_selection=selected,
            instance=instance,
            run_id=run_id,
            tags=STARTED_BY,
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "ops": {step: {"config": dict(options)} for step, options in config.items()},
            },
            raise_on_error=False,
        )
        if result.success and not any(
            check.severity == dg.AssetCheckSeverity.ERROR and not check.passed
            for check in result.get_asset_check_evaluations()
        ):
            return _Outcome(succeeded=True)
        failures = [event for event in result.all_events if event.is_step_failure]
        errors = {error.cls_name for event in failures if (error := event.step_failure_data.error) is not None}
        failed = frozenset(str(event.step_key) for event in failures)
        return _Outcome(succeeded=False, failed=failed, was_interrupted=bool(errors & _INTERRUPTED))


_INTERRUPTED = frozenset({dg.DagsterExecutionInterruptedError.__name__, "KeyboardInterrupt"})


@contextmanager
def _marked_run(instance: dg.DagsterInstance) -> Iterator[str]:
    """Yield the id of a run for this process; it is marked as alive, and recorded as canceled if it gets stuck."""
    home, run_id = Path(instance.root_directory), str(uuid.uuid4())
    release_dead_runs(instance, is_daemon_alive(home))
    hold_mark(marks_folder(home), run_id)
    guard.when_stuck(lambda: _record_as_canceled(instance, run_id))
    try:
        yield run_id
    finally:
        guard.when_stuck(None)
        release_mark(marks_folder(home), run_id)


def _record_as_canceled(instance: dg.DagsterInstance, run_id: str) -> None:
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, "the run was interrupted in the middle of a step")


_UNSAID = (
    "Dependencies for step ",
    "Copying `",
    "Finished dbt command",
    "A dbt subsetted execution",
    "Running dbt command",
    "Logging an `AssetObservation`",
)
"""The beginnings of messages about steps that are skipped after a failure, and of dagster-dbt about calls of dbt."""


def _print_progress(entry: dg.EventLogEntry, console: Console) -> None:
    """Print one line for each step that ends, each failed check and each warning, instead of Dagster's log."""
    event = entry.dagster_event
    if event is None:
        if entry.user_message.startswith(_UNSAID):
            return
        if int(entry.level) >= logging.WARNING:
            console.print(f"  ! {entry.user_message}", style="yellow", markup=False)
        elif int(entry.level) >= logging.INFO:
            console.print(f"    {entry.user_message}", style="dim", markup=False)
    elif event.is_step_success:
        console.print(f"  {event.step_key} ({event.step_success_data.duration_ms / 1000:.1f} s)", markup=False)
    elif event.is_step_failure:
        error = event.step_failure_data.error
        cause = (error.cause or error).message.strip() if error else event.message
        console.print(f"  x {event.step_key} failed: {cause}", style="red", markup=False)
    elif (
        event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION and not event.asset_check_evaluation_data.passed
    ):
        check = event.asset_check_evaluation_data
        console.print(
            f"  ! check {check.check_name} of {check.asset_key.to_user_string()}: {check.description or 'failed'}",
            style="yellow",
            markup=False,
        )
