"""`make run`: build what is not up to date, publish it, and print a summary.

Belongs here: the command line. What there is to do is decided in `quintet.plan` before Dagster is even imported, so
that a run with nothing new is quick; how it is done is the assets' own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import fcntl
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import obstore
from rich.console import Console

from cli.supervisor import step_back
from quintet.ahead import computed_ahead
from quintet.changelog.place import latest_log
from quintet.datasets import DATASETS, DOMAINS
from quintet.lending.inbox import INBOX, dumps_of, unknown_dumps
from quintet.lending.registry import features
from quintet.lending.tables import is_behind
from quintet.online.abuse_records import last_label
from quintet.online.keys import create_first_key
from quintet.online.store import Store
from quintet.plan import LEARNING, Plan, code_fingerprint, make_plan
from quintet.promotions.feedback import labels_in_snapshot
from quintet.settings import Settings, SettingsError, load_settings
from quintet.summary import render
from quintet.warehouse.snapshot import NoSnapshotError
from resources.warm_dbt import WarmDbt, warehouse_variables

_PROJECT = Path(__file__).parents[1]
_CONSOLE = Console(file=sys.stdout, highlight=False)


def main(arguments: Sequence[str]) -> int:
    """Run; 0 only if everything that was asked for is built."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # progress shows at once where output is piped
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--select", choices=DOMAINS, help="one domain with all that it needs upstream")
    parser.add_argument("--learn", choices=sorted(LEARNING), help="learn the models of this domain anew, as a version")
    given = parser.parse_args(arguments)
    select = given.learn or given.select
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    datasets = [dataset for dataset in DATASETS.values() if select in (None, dataset.domain)]
    began = time.monotonic()
    with _alone(settings.home):
        also = _changes_without_a_file(settings) if select in (None, "promotions") else {}
        if select is None:
            also |= changes_of_the_loan_book(settings)
        if given.learn:
            plan = Plan({}, is_full=True, reason=f"new models of {given.learn} are asked for")
        elif datasets:
            plan = make_plan(settings.raw, datasets, settings.serving, code_fingerprint(_PROJECT, settings), also)
        else:
            plan = Plan({}, is_full=True, reason=f"{select} follows its change log")
        _CONSOLE.print(f"{plan.reason}: {'building' if plan.has_work else 'everything is up to date'}")
        succeeded = _materialise(settings, plan, select, given.learn) if plan.has_work else True
    try:
        title = f"{'done' if succeeded else 'FAILED'} in {time.monotonic() - began:.0f} s"
        _CONSOLE.print(render(settings, datasets, title), soft_wrap=True)
    except NoSnapshotError as error:
        print(f"nothing was published: {error}", file=sys.stderr)
    if succeeded and not settings.admin_key:
        _show_first_key(settings)
    return 0 if succeeded else 1


def _changes_without_a_file(settings: Settings) -> dict[tuple[str, str], str]:
    """What may have changed beside the inboxes, by the path of the asset that takes it in."""
    changes = {}
    if settings.postgres_url is not None:
        changes["source", "promotions"] = "the source database may have changed"
    store = Store(settings.online)
    known, given = labels_in_snapshot(settings.serving), last_label(store)
    store.close()
    if known is not None and given > known:
        changes["ops", "abuse_labels"] = f"{given - known} new labels of users"
    return changes


def changes_of_the_loan_book(settings: Settings) -> dict[tuple[str, str], str]:
    """The asset that lending begins with, where there are new dumps or may be new rows in PostgreSQL."""
    if count := len(unknown_dumps(dumps_of(settings), settings.serving)):
        return {("change_log", "lending"): f"{count} new files in the inbox {INBOX}"}
    if settings.postgres_url is not None or _embedded_postgres_runs(settings):
        return {("change_log", "lending"): "the lender's database may have changed"}
    return changes_of_the_log(settings)


def _embedded_postgres_runs(settings: Settings) -> bool:
    if not (settings.embedded_postgres / "data" / "postmaster.pid").exists():
        return False
    # imported only where a server ran: the driver takes a while to load
    from quintet.embedded.postgres import running_url  # noqa: PLC0415

    return running_url(settings.embedded_postgres) is not None


def changes_of_the_log(settings: Settings) -> dict[tuple[str, str], str]:
    """The asset that compacts the change log, where the log has more than was replayed."""
    try:
        found = latest_log(settings)
        if found is not None and is_behind(settings.lending, *found, features()):
            return {("lake", "lending_changes"): "the change log has grown"}
    except obstore.exceptions.BaseError as error:
        print(f"the change log does not answer, so lending stays as it is: {str(error)[:300]}", file=sys.stderr)
    return {}


def _show_first_key(settings: Settings) -> None:
    """Make the first key of the API and show it, this once."""
    store = Store(settings.online)
    first = create_first_key(store, dt.datetime.now(dt.UTC), os.urandom)
    store.close()
    if first:
        _CONSOLE.print(f"first admin key of `make serve`, shown this once: {first[1]}", soft_wrap=True)


def _materialise(settings: Settings, plan: Plan, select: str | None, learn: str | None) -> bool:
    step_back()
    project = _PROJECT / "dbt_project"
    # begun first: it imports dbt, and parses the project where need be, beside the imports of Dagster
    variables = warehouse_variables(project, settings.warehouse, settings.memory_limit, settings.threads)
    with ExitStack() as beside:
        beside.enter_context(closing(WarmDbt(project, variables)))
        if plan.is_full:
            code = code_fingerprint(_PROJECT, settings)
            beside.enter_context(computed_ahead(settings.models, code, [select] if select else DOMAINS))
        # imported only where there is work: Dagster takes seconds to load
        from cli.materialise import materialise  # noqa: PLC0415

        return materialise(settings, plan, select, _CONSOLE, learn)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One run at a time; a second one waits for the first and then finds its work done."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _CONSOLE.print("another run is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
