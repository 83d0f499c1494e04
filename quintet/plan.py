"""Plan a run: find the files that the current snapshot does not contain, and whether the code has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from quintet.code_version import code_files, digest_of, imported_modules
from quintet.ingest.contract import Dataset
from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.ingest.load import examine
from quintet.settings import Settings
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
    reason: why, in words.
    """

    new_files: Mapping[str, tuple[InboxFile, ...]]
    is_full: bool
    reason: str
    also: Mapping[tuple[str, str], str] = field(default_factory=dict)
    code_has_changed: bool = False

    @property
    def has_work(self) -> bool:
        """Whether a run would change anything."""
        return self.is_full or self.code_has_changed or bool(self.also) or bool(self.new_files)


def model_variables(settings: Settings) -> dict[str, str]:
    """Return the settings that shape the models, as dbt variables."""
    return {"transactions_anchor_day": settings.transactions_anchor_day.isoformat()}


def files_digest(folder: Path, patterns: Iterable[str]) -> str:
    """Return a hash over the names and contents of the files below `folder` that match any of the glob patterns."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def project_code_version(project: Path, settings: Settings) -> str:
    """Return a hash over all code and settings that shape the published tables and reports."""
    modules = imported_modules(sorted((project / "assets").glob("**/*.py")))
    product = digest_of(code_files(*modules, project=project), project)
    variables = repr(sorted(model_variables(settings).items()))
    return hashlib.sha256(f"{variables}\0{product}\0{files_digest(project, _SHAPING)}".encode()).hexdigest()[:16]


def make_plan(
    raw: Path,
    datasets: Iterable[Dataset],
    serving: Path,
    code: str,
    also: Mapping[tuple[str, str], str] | None = None,
    checked: str | None = None,
) -> Plan:
    """Compare the inboxes below `raw` with the snapshot in `serving`.

    code: the current code version. also: as in `Plan`, changes without a file, such as in an application's database.
    checked: the code version for which an earlier run found nothing to rebuild.
    """
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        return Plan({}, is_full=True, reason="nothing is published yet")
    with open_snapshot(path) as snapshot:
        code_has_changed = code not in (_code_version_of(snapshot), checked)
        done = _done_batches(snapshot)
    listed = {dataset.name: _not_done(dataset, list_inbox(raw, dataset.name), done) for dataset in datasets}
    new_files = {name: files for name, files in listed.items() if files}
    count = sum(len(files) for files in new_files.values())
    files = f"{count} new files" if count else "nothing new"
    changed = ["code or settings have changed since the last publication"] if code_has_changed else []
    files = files + (" in the inboxes" if also or changed else "")
    return Plan(new_files, False, "; ".join([files, *changed, *(also or {}).values()]), also or {}, code_has_changed)


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


def files_not_done(dataset: Dataset, files: Iterable[InboxFile], serving: Path) -> tuple[InboxFile, ...]:
    """Return the files whose content the current snapshot does not contain; all files if there is no snapshot."""
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        return tuple(files)
    with open_snapshot(path) as snapshot:
        return _not_done(dataset, files, _done_batches(snapshot))


def _not_done(
    dataset: Dataset, files: Iterable[InboxFile], done: Mapping[tuple[str, str], str]
) -> tuple[InboxFile, ...]:
    fresh = []
    for examined in (examine(file, dataset) for file in files):
        status = done.get((dataset.name, examined.batch_id))
        # a rejected file may be readable now, for example if it was renamed so that the name has the day
        if status is None or (status == "rejected" and examined.layout is not None):
            fresh.append(examined.file)
    return tuple(fresh)


def _done_batches(snapshot: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Return the status of every batch that was rejected or has reached all models, by (dataset, batch)."""
    done = snapshot.execute(
        "select dataset, batch_id, status from marts.ops_batches where status = 'rejected' or modelled_at is not null"
    ).fetchall()
    return {(dataset, batch_id): status for dataset, batch_id, status in done}


def _code_version_of(snapshot: duckdb.DuckDBPyConnection) -> str | None:
    row = snapshot.execute("select fingerprint from marts.snapshot").fetchone()
    return None if row is None else str(row[0])
