"""`quintet run`: build what is not up to date, publish it, and print a summary.

`quintet.plan` decides what to do before Dagster is imported, so that a run with nothing new is fast.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import obstore
from rich.console import Console

from cli.audits import note
from cli.home import PROJECT
from cli.loading import loading
from cli.supervisor import step_back
from quintet.cases import file_mappings
from quintet.cases.file_mappings import count_new_mappings, with_mappings
from quintet.cases.published import count_new_verdicts
from quintet.change_log.place import latest_log
from quintet.domains import CASE_KINDS, DATASETS, DOMAIN_NAMES, DOMAINS, MODELS, open_state_store
from quintet.lending.feature_registry import features
from quintet.lending.inbox import INBOX, Listed, compare_dumps, dumps_of
from quintet.lending.settings import feature_folder
from quintet.lending.tables import is_behind
from quintet.plan import Plan, checked_code, make_plan, note_checked_code, project_code_version
from quintet.presentation.wording import counted
from quintet.promotions.feedback import count_new_labels
from quintet.rules.recorded import count_new_changes
from quintet.settings import Settings, load_settings
from quintet.shared_files import share_files
from quintet.shared_serving import SharedServingError
from quintet.state.keys import create_first_key
from quintet.state.store import StateStore
from quintet.summary import render
from quintet.warehouse.built import forget_built
from quintet.warehouse.database import open_warehouse
from quintet.warehouse.origin import origin_of, put_aside
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot
from resources.run_marks import clear_unfinished, is_unfinished, note_unfinished

_CONSOLE = Console(file=sys.stdout, highlight=False, markup=False)
_USAGE = 2


def run(
    select: str | None = None, train: str | None = None, is_brief: bool = False, accept_losses: bool = False
) -> int:
    """Run and return the exit status: 0 only if everything requested was built.

    select: the domain to build. train: the domain whose model to retrain. is_brief: print progress but no summary.
    accept_losses: publish also what has lost tables, rows or files against the snapshot before.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # piped output shows progress at once
    if train not in (None, *MODELS):
        print(f"{train} has no model to train; there are {', '.join(MODELS)}", file=sys.stderr)
        return _USAGE
    select = train or select
    if select not in (None, *DOMAIN_NAMES):
        print(f"no business is called {select}; there are {', '.join(DOMAIN_NAMES)}", file=sys.stderr)
        return _USAGE
    settings = load_settings()
    if settings.engine == "spark":
        from quintet.spark.groups import cluster_of  # noqa: PLC0415

        cluster_of(settings)  # fails now, and not after the build of what comes before
    began = time.monotonic()
    with _alone(settings.home):
        succeeded, select = _build(settings, select, train, accept_losses)
    if is_brief:
        return 0 if succeeded else 1
    try:
        title = f"{'done' if succeeded else 'FAILED'} in {time.monotonic() - began:.0f} s"
        asked = [domain for domain in DOMAINS if select in (None, domain.name)]
        _CONSOLE.print(render(settings, asked, title), soft_wrap=True)
    except NoSnapshotError as error:
        print(f"nothing was published: {error}", file=sys.stderr)
    except duckdb.CatalogException:
        if succeeded:
            raise
        print("the tables of the summary could not be built; the failed steps above say why", file=sys.stderr)
    if succeeded:
        _print_next_steps(settings)
    return 0 if succeeded else 1


def _build(settings: Settings, select: str | None, train: str | None, accept_losses: bool) -> tuple[bool, str | None]:
    """Build what is not up to date; return whether it succeeded, and the domain that was built, None for all."""
    open_state_store(settings.state).close()  # a damaged one is reported before anything is built
    code = project_code_version(PROJECT, settings)
    plan = _replaced_warehouse(settings)
    if plan is not None:
        select = None  # the tables of all domains are gone
    else:
        plan = _plan(settings, code, select, train)
    doing = "everything is up to date"
    if plan.has_work:
        doing = "checking which assets are affected" if plan.must_examine else "building"
    _CONSOLE.print(f"{plan.reason}: {doing}")
    succeeded = _materialise(settings, plan, select, train, accept_losses) if plan.has_work else True
    noted = {"models.train": train, "run.accept_losses": accept_losses and (select or "all")}
    for action, subject in noted.items():
        if subject:
            note(settings, action, subject, "done" if succeeded else "failed")
    if succeeded and plan.has_work:
        note_checked_code(settings.home, settings.serving, select, code)
    try:
        share_files(settings, accept_losses)
    except SharedServingError as error:
        print(f"reports, models and policies are not shared: {error}", file=sys.stderr)
        return False, select
    return succeeded, select


def _plan(settings: Settings, code: str, select: str | None, train: str | None) -> Plan:
    """Return what to do in a domain, or in all."""
    if train:
        return Plan({}, is_full=True, reason=f"retraining the model of {train}")
    datasets = [dataset for dataset in DATASETS.values() if select in (None, dataset.domain)]
    if not datasets:
        return Plan({}, is_full=True, reason=f"{select} follows its change log")
    with closing(open_state_store(settings.state)) as store:
        datasets = with_mappings(datasets, store)
        also = _changes_without_a_file(settings, store) if select in (None, "promotions") else {}
        also |= _changes_of_verdicts(settings, store, select) | _changes_of_mappings(settings, store, select)
    also |= changes_of_models(settings, select)
    dumps = compare_dumps(dumps_of(settings), settings.serving) if select is None else None
    if dumps is not None:
        also |= _changes_of_the_loan_book(settings, dumps)
    plan = make_plan(
        settings.raw,
        datasets,
        settings.serving,
        code,
        also,
        checked_code(settings.home, settings.serving, select),
        settings.inbox_limits,
        domains=[name for name in DOMAIN_NAMES if select in (None, name)],
        is_unfinished=is_unfinished(_dagster_home()),
    )
    return replace(plan, inboxes={**plan.inboxes, INBOX: dumps.version}) if dumps is not None else plan


def _replaced_warehouse(settings: Settings) -> Plan | None:
    """Return the plan to rebuild everything if the warehouse is not the one behind the current snapshot."""
    origin = origin_of(settings.warehouse, settings.serving)
    if not origin.problem:
        return None
    for path in put_aside(origin, dt.datetime.now(dt.UTC)):
        _CONSOLE.print(f"renamed to {path}", soft_wrap=True, markup=False)
    if settings.warehouse.exists():
        with open_warehouse(
            settings.warehouse,
            memory_limit=settings.memory_limit,
            threads=settings.threads,
            lock_wait_seconds=settings.lock_wait_seconds,
        ) as connection:
            forget_built(connection)
    return Plan({}, is_full=True, reason=f"{origin.problem}; everything is built again from the inboxes")


def _dagster_home() -> Path:
    return Path(os.environ["DAGSTER_HOME"])


def _changes_without_a_file(settings: Settings, store: StateStore) -> dict[tuple[str, str], str]:
    """Return possible changes outside the inboxes, by the path of the asset that loads them."""
    changes = {}
    if settings.postgres_url is not None:
        changes["source", "promotions"] = "the source database may have changed"
    new, of_rules = count_new_labels(store, settings.serving), count_new_changes(store, settings.serving)
    if new:
        changes["ops", "abuse_labels"] = f"{new} new labels of users"
    if of_rules:
        changes["ops", "rule_changes"] = changes["ops", "rule_list_entries"] = f"{of_rules} new changes of rules"
    return changes


def _changes_of_verdicts(settings: Settings, store: StateStore, select: str | None) -> dict[tuple[str, str], str]:
    """Return the tables to ingest because people have decided cases since the last run, with the reason."""
    changes: dict[tuple[str, str], str] = {}
    for key, count in count_new_verdicts(store, settings.serving).items():
        if key in CASE_KINDS and select in (None, key[0]):
            tables = {"case_events", CASE_KINDS[key].table} - {""}
            changes |= {("ops", table): f"{key[0]}: {counted(count, 'new verdict')}" for table in tables}
    return changes


def _changes_of_mappings(settings: Settings, store: StateStore, select: str | None) -> dict[tuple[str, str], str]:
    """Return the raw tables to load because people have mapped what their files say, or taken it back."""
    changes = {}
    for name, count in count_new_mappings(store, settings.serving).items():
        if name in DATASETS and select in (None, DATASETS[name].domain):
            changes["raw", name] = f"{name}: {counted(count, 'new mapping')} of files"
            changes["ops", file_mappings.TABLE] = "mappings of files have changed"
    return changes


def changes_of_models(settings: Settings, select: str | None) -> dict[tuple[str, str], str]:
    """Return the assets to rebuild because a person activated another version of their model, with the reason."""
    changes = {}
    try:
        with open_snapshot(current_snapshot(settings.serving)) as snapshot:
            for domain, model in MODELS.items():
                if select in (None, domain) and (reason := model.rebuild_reason(settings.models, snapshot)):
                    changes[model.asset] = f"{domain}: {reason}"
    except NoSnapshotError:
        return {}
    return changes


def _changes_of_the_loan_book(settings: Settings, dumps: Listed) -> dict[tuple[str, str], str]:
    """Return lending's first asset with the reason to build it: new dumps, or possibly new rows in PostgreSQL."""
    if count := len(dumps.unknown):
        return {("change_log", "lending"): f"{count} new files in the inbox {INBOX}"}
    if settings.postgres_url is not None or _embedded_postgres_runs(settings):
        return {("change_log", "lending"): "the lender's database may have changed"}
    return changes_of_the_log(settings)


def _embedded_postgres_runs(settings: Settings) -> bool:
    if not (settings.embedded_postgres / "data" / "postmaster.pid").exists():
        return False
    # imported only if a server ran: the driver is slow to load
    from quintet.embedded.postgres import running_url  # noqa: PLC0415

    return running_url(settings.embedded_postgres) is not None


def changes_of_the_log(settings: Settings) -> dict[tuple[str, str], str]:
    """Return the asset that compacts the change log, if the log has more than lending has caught up with."""
    try:
        found = latest_log(settings)
        if found is not None and is_behind(feature_folder(settings.home), *found, features()):
            return {("lake", "lending_changes"): "the change log has grown"}
    except obstore.exceptions.BaseError as error:
        print(f"the change log does not answer, so lending is not updated: {str(error)[:300]}", file=sys.stderr)
    return {}


def first_key(settings: Settings) -> str | None:
    """Create the first admin key of the API; return None if there was one before, or the settings have one."""
    if settings.admin_key is not None:
        return None
    store = StateStore(settings.state)
    try:
        first = create_first_key(store, dt.datetime.now(dt.UTC), os.urandom)
    finally:
        store.close()
    return first[1] if first else None


def _print_next_steps(settings: Settings) -> None:
    """Print what to do next, in at most five lines."""
    key = first_key(settings)
    lines = [
        *([f"first admin key of the pages and the API, shown this once: {key}"] if key else []),
        f"pages and API: `make serve`, then {settings.local_url(settings.port)}",
        "Dagster UI, which watches the inboxes: `make dev`; everything together: `make up`",
        "query the tables: notebooks/query_the_snapshot.ipynb",
    ]
    for line in lines:
        _CONSOLE.print(line, soft_wrap=True)


def _materialise(settings: Settings, plan: Plan, select: str | None, train: str | None, accept_losses: bool) -> bool:
    step_back()
    # what one domain's run leaves says nothing about the others, unless there was nothing left before
    was_finished = select is None or not is_unfinished(_dagster_home())
    note_unfinished(_dagster_home())  # a kill leaves it
    with loading():
        # imported only if there is work: Dagster takes seconds to load
        from cli.materialise import load_assets, materialise  # noqa: PLC0415

        assets = load_assets(settings, plan, select)
    if not assets.selected:
        _CONSOLE.print("no table or report depends on the change: everything is up to date")
        _clear_unfinished(was_finished)
        return True
    if assets.stale:
        _CONSOLE.print(f"{assets.stale} tables and reports were built by another code version")
    succeeded = materialise(assets, _CONSOLE, train, accept_losses=accept_losses)
    if succeeded:
        _clear_unfinished(was_finished)
    return succeeded


def _clear_unfinished(is_all_done: bool) -> None:
    """Note that nothing is left to build, if that is so."""
    if is_all_done:
        clear_unfinished(_dagster_home())


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the run lock: a second run waits for the first and then finds its work done."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _CONSOLE.print("another run is in progress; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    # start over as the command: the guard must fork before threads start, and the imports above start some
    os.execv(sys.executable, [sys.executable, "-m", "cli", "run", *sys.argv[1:]])
