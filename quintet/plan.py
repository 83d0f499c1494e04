"""Plan a run: find the files that the current snapshot does not contain, and whether the code has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from quintet.code_version import code_files, digest_of, files_digest, imported_modules
from quintet.ingest.contract import Dataset
from quintet.ingest.examine import Examined, examine
from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.ingest.reread import outdated_batches
from quintet.limits import DEFAULT_LIMITS, Limits
from quintet.presentation.wording import counted
from quintet.settings import Settings
from quintet.warehouse.domain_states import domain_states
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

_SHAPING = (
    *("assets/**/*.py", "dbt_project/models/**/*.sql", "dbt_project/models/**/*.yml", "dbt_project/macros/**/*.sql"),
    *("dbt_project/seeds/**/*.csv", "dbt_project/seeds/**/*.yml", "dbt_project/tests/**/*.sql", "dbt_project/*.yml"),
    "requirements.lock",
)
"""The files that shape the tables and reports, besides the `quintet` modules that the assets import."""

_CHECKED = "checked_code.json"


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    new_files: by dataset, the files whose content the snapshot does not contain.
    also: other possible changes in words, by the path of the first asset that each affects.
    is_full: whether to build everything. code_has_changed: whether another code version may have built some tables.
    is_unfinished: whether an earlier run may have left assets unbuilt. retried: the domains to build as a whole,
    because the snapshot does not have their last build. inboxes: the data version of each inbox that was listed.
    reason: why, in words.
    """

    new_files: Mapping[str, tuple[InboxFile, ...]]
    is_full: bool
    reason: str
    also: Mapping[tuple[str, str], str] = field(default_factory=dict)
    code_has_changed: bool = False
    is_unfinished: bool = False
    retried: tuple[str, ...] = ()
    inboxes: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_work(self) -> bool:
        """Whether a run would change anything."""
        return self.is_full or self.must_examine or bool(self.also) or bool(self.new_files) or bool(self.retried)

    @property
    def must_examine(self) -> bool:
        """Whether only Dagster's event log tells which assets to build."""
        return self.code_has_changed or self.is_unfinished


def project_code_version(project: Path, settings: Settings) -> str:
    """Return a hash over all code and settings that shape the published tables and reports."""
    modules = imported_modules(sorted((project / "assets").glob("**/*.py")))
    product = digest_of(code_files(*modules, project=project), project)
    variables = repr(sorted(settings.dbt_variables.items()))
    return hashlib.sha256(f"{variables}\0{product}\0{files_digest(project, _SHAPING)}".encode()).hexdigest()[:16]


def make_plan(
    raw: Path,
    datasets: Iterable[Dataset],
    serving: Path,
    code: str,
    also: Mapping[tuple[str, str], str] | None = None,
    checked: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    *,
    domains: Collection[str] = (),
    is_unfinished: bool = False,
) -> Plan:
    """Compare the inboxes below `raw` with the snapshot in `serving`.

    code: the current code version. also: as in `Plan`, changes without a file, such as in an application's database.
    checked: the code version for which an earlier run found nothing to rebuild. limits: what a file may hold at most.
    domains: the domains to retry if the snapshot has not their last build. is_unfinished: whether an earlier run failed
    or was killed.
    """
    datasets = tuple(datasets)
    examined = {
        dataset.name: [examine(file, dataset) for file in list_inbox(raw, dataset.name, limits)] for dataset in datasets
    }
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        versions = {name: inbox_version(name, files, {}) for name, files in examined.items()}
        return Plan({}, is_full=True, reason="nothing is published yet", inboxes=versions)
    with open_snapshot(path) as snapshot:
        code_has_changed = code not in (_code_version_of(snapshot), checked)
        done, states = _done_batches(snapshot), domain_states(snapshot)
        outdated = {dataset.name: _outdated(snapshot, dataset) for dataset in datasets}
    retried = tuple(name for name in domains if name in states and states[name].status in ("old", "missing"))
    new_files = {name: fresh for name, files in examined.items() if (fresh := _not_done(name, files, done))}
    count = sum(len(files) for files in new_files.values())
    again = {name: _again(files, outdated[name], new_files.get(name, ())) for name, files in examined.items()}
    again = {name: files for name, files in again.items() if files}
    new_files |= {name: (*new_files.get(name, ()), *files) for name, files in again.items()}
    files = f"{count} new files" if count else "nothing new"
    if again:
        reread = counted(sum(len(files) for files in again.values()), "file")
        files = f"{files + ', ' if count else ''}{reread} to read again, as people map them now"
    changed = ["code or settings have changed since the last publication"] if code_has_changed else []
    changed += [f"the last build of {' and '.join(retried)} did not succeed"] if retried else []
    changed += ["an earlier run did not finish"] if is_unfinished and not retried else []
    files = files + (" in the inboxes" if also or changed else "")
    reason = "; ".join([files, *changed, *(also or {}).values()])
    versions = {name: inbox_version(name, files, done) for name, files in examined.items()}
    return Plan(new_files, False, reason, also or {}, code_has_changed, is_unfinished, retried, versions)


def checked_code(home: Path, serving: Path, select: str | None) -> str | None:
    """Return the code version for which a run of a domain, or of all, left nothing to rebuild in the current snapshot.

    None if there is none. What holds for one snapshot says nothing about the next, which other code may have built.
    """
    file = home / _CHECKED
    checked = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if not checked or checked["snapshot"] != _name_of_current(serving):
        return None
    code = checked["codes"].get(select or "")
    return None if code is None else str(code)


def note_checked_code(home: Path, serving: Path, select: str | None, code: str) -> None:
    """Note that nothing of a domain, or of all, is left to rebuild by a code version in the current snapshot."""
    file, snapshot = home / _CHECKED, _name_of_current(serving)
    checked = json.loads(file.read_text("utf-8")) if file.exists() else {}
    codes = checked["codes"] if checked.get("snapshot") == snapshot else {}
    beside = file.with_name(f"{file.name}.tmp")
    beside.write_text(json.dumps({"snapshot": snapshot, "codes": codes | {select or "": code}}), "utf-8")
    beside.replace(file)


def _name_of_current(serving: Path) -> str | None:
    try:
        return current_snapshot(serving).name
    except NoSnapshotError:
        return None


@dataclass(frozen=True)
class Listed:
    """What an inbox holds. version: the inbox's data version.

    fresh: the files that the snapshot does not contain, or that people map otherwise since then.
    """

    fresh: tuple[InboxFile, ...]
    version: str


def compare_inbox(dataset: Dataset, files: Iterable[InboxFile], serving: Path) -> Listed:
    """Compare the files of an inbox with the current snapshot; without a snapshot all files are fresh."""
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        done: Mapping[tuple[str, str], str] = {}
        outdated: Collection[str] = ()
    else:
        with open_snapshot(path) as snapshot:
            done, outdated = _done_batches(snapshot), _outdated(snapshot, dataset)
    examined = [examine(file, dataset) for file in files]
    fresh = _not_done(dataset.name, examined, done)
    return Listed((*fresh, *_again(examined, outdated, fresh)), inbox_version(dataset.name, examined, done))


def inbox_version(dataset: str, files: Iterable[Examined], done: Mapping[tuple[str, str], str]) -> str:
    """Return the data version of an inbox: a hash over all contents that it holds, or that the snapshot has from it.

    So a file that is removed, renamed or sent again changes nothing, as for a run.
    """
    contents = {batch_id: status == "rejected" for (name, batch_id), status in done.items() if name == dataset}
    contents |= {file.batch_id: file.layout is None for file in files}
    listing = "\n".join(f"{batch_id} {is_rejected}" for batch_id, is_rejected in sorted(contents.items()))
    return hashlib.sha256(listing.encode()).hexdigest()[:16]


def _not_done(dataset: str, files: Iterable[Examined], done: Mapping[tuple[str, str], str]) -> tuple[InboxFile, ...]:
    fresh = []
    for examined in files:
        status = done.get((dataset, examined.batch_id))
        # a rejected file may be readable now, for example if it was renamed so that the name has the day
        if status is None or (status == "rejected" and examined.layout is not None):
            fresh.append(examined.file)
    return tuple(fresh)


def _outdated(snapshot: duckdb.DuckDBPyConnection, dataset: Dataset) -> Collection[str]:
    """Return the batches of a snapshot that the mapping of today reads in another way; none of an earlier release."""
    try:
        return outdated_batches(snapshot, dataset, "marts.ops_").keys()
    except (duckdb.CatalogException, duckdb.BinderException):
        return ()


def _again(files: Iterable[Examined], outdated: Collection[str], fresh: Collection[InboxFile]) -> tuple[InboxFile, ...]:
    """Return the files to read again, besides those that are fresh."""
    return tuple(one.file for one in files if one.batch_id in outdated and one.file not in fresh)


def _done_batches(snapshot: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Return the status of every batch that was rejected or has reached all models, by (dataset, batch)."""
    done = snapshot.execute(
        "select dataset, batch_id, status from marts.ops_batches where status = 'rejected' or modelled_at is not null"
    ).fetchall()
    return {(dataset, batch_id): status for dataset, batch_id, status in done}


def _code_version_of(snapshot: duckdb.DuckDBPyConnection) -> str | None:
    row = snapshot.execute("select fingerprint from marts.snapshot").fetchone()
    return None if row is None else str(row[0])
