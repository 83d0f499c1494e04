"""Back up a home to one file while the service, the stream and builds go on."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from quintet.backup.archive import FORMAT, BackupError, BackupWriter, new_backup
from quintet.backup.contents import OBJECTS, ONLINE, is_sqlite, log_files, plain_files
from quintet.domains import state_files
from quintet.lending.settings import LendingSettings
from quintet.masking import masked
from quintet.replicated import EPOCH
from quintet.settings import Settings
from quintet.state.faults import StateUnavailableError
from quintet.state.features import FILE as FEATURES
from quintet.warehouse.database import PUBLISHED, open_warehouse, published_file
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot

POLICY = "policy/lending.toml"
"""The path of the policy in a backup; in use it is outside the home."""

_TRIES = 5


@dataclass(frozen=True)
class Backup:
    """A finished backup. left_out: what it does not hold, in words."""

    path: Path
    files: int
    bytes: int
    left_out: Sequence[str]


def back_up(settings: Settings, to: Path, now: dt.datetime, report: Callable[[str], None]) -> Backup:
    """Write a backup of the home to the file `to`, readable by its owner only.

    Builds wait while the warehouse is copied, nothing else does. now: UTC. report: called with the progress.
    Raises BackupError if `to` exists or a file cannot be copied, WarehouseBusyError if a build holds the warehouse for
    longer than the setting allows.
    """
    if not settings.home.is_dir():
        raise BackupError(f"there is no home {settings.home}. Set QUINTET_HOME to the folder to back up.")
    if to.exists():
        raise BackupError(f"{to} exists already; a backup is never overwritten. Give another name.")
    if to.resolve().is_relative_to(settings.home.resolve()):
        raise BackupError(f"{to} is in the home, and would be lost with it. Give a path on another disk.")
    to.parent.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "made_at": now.isoformat(), **code_versions()}
    with (
        new_backup(to, about | {"object_store": _place_of_log(settings)}) as writer,
        tempfile.TemporaryDirectory(prefix=".quintet-backup-", dir=to.parent) as scratch,
    ):
        copier = _Copier(settings, writer, Path(scratch), report)
        copier.copy_all()
        writer.close({"stores": copier.stores, "current": copier.current})
    return Backup(to, len(writer.files), to.stat().st_size, _left_out(settings))


def code_versions() -> dict[str, str]:
    """Return the versions that a restore compares."""
    return {"quintet": importlib.metadata.version("quintet"), "duckdb": duckdb.__version__}


class _Copier:
    """Copies a home into a backup. stores: by SQLite file, its applied migrations by owner. current: the snapshot."""

    def __init__(self, settings: Settings, writer: BackupWriter, scratch: Path, report: Callable[[str], None]) -> None:
        self._settings, self._home = settings, settings.home
        self._writer, self._scratch, self._report = writer, scratch, report
        self.stores: dict[str, dict[str, int]] = {}
        self.current: str | None = None
        self._epoch: str | None = None

    def copy_all(self) -> None:
        """Copy everything, in the order that `contents` explains."""
        settings = self._settings
        features = [name for name in self._plain_files() if Path(name).name == FEATURES]
        for name in features:
            self._copy(name)
        self._dump(FEATURES)
        self._report(f"{len(features)} files of features copied")
        self._copy_warehouse()
        for name in self._plain_files():
            if name not in features:
                self._copy(name)
        for file in state_files():
            if file != FEATURES:
                self._dump(file)
        policy = settings.of(LendingSettings).lending_policy
        if policy.is_file():
            self._writer.add(policy, POLICY)
        self._report("keys, decisions, labels, models, reports and Dagster's history copied")
        if settings.object_store_url is None:
            self._copy_log()

    def _plain_files(self) -> list[str]:
        settings = self._settings
        found = plain_files(self._home, settings.warehouse, settings.serving, settings.raw)
        if settings.state.url is None:
            return list(found)
        in_database = {f"{ONLINE}/{file}" for file in state_files()}
        return [name for name in found if name not in in_database]

    def _dump(self, file: str) -> None:
        """Write the tables that are in PostgreSQL instead of a file of the home as this file, at one moment."""
        url = self._settings.state.url
        if url is None:
            return
        from quintet.state.postgres import PostgresDatabase  # noqa: PLC0415  # the driver is slow to load
        from quintet.state.transfer import dump  # noqa: PLC0415

        copy, name = self._scratch / "state", f"{ONLINE}/{file}"
        try:
            with PostgresDatabase(url, file) as database:
                applied = dump(database, copy, state_files()[file])
        except StateUnavailableError as error:
            raise BackupError(
                f"the state of QUINTET_STATE_URL cannot be read: {error}. Start the database, and run the backup again."
            ) from None
        if applied:
            with closing(sqlite3.connect(copy)) as store:
                store.execute("pragma journal_mode = delete")
                self._note_versions(name, store)
            self._writer.add(copy, name)
            copy.unlink()

    def _copy(self, name: str) -> None:
        path = self._home / name
        if not is_sqlite(path):
            self._writer.add(path, name)
            return
        copy = self._scratch / "sqlite"
        try:
            with (
                closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)  # in one step: one in several begins again with each write of others
                target.execute("pragma journal_mode = delete")
                self._note_versions(name, target)
        except sqlite3.Error as error:
            if not path.exists():
                return  # Dagster has removed the log of an old run
            raise BackupError(
                f"{path} cannot be copied: {error}. Repair or remove it, and run the backup again."
            ) from None
        self._writer.add(copy, name)
        copy.unlink()

    def _note_versions(self, name: str, store: sqlite3.Connection) -> None:
        if store.execute("select 1 from sqlite_schema where name = 'migrations'").fetchone():
            self.stores[name] = dict(store.execute("select owner, applied from migrations").fetchall())
        if name == f"{ONLINE}/{FEATURES}":
            found = store.execute("select value from facts where name = ?", (EPOCH,)).fetchone()
            self._epoch = found[0] if found else None

    def _copy_warehouse(self) -> None:
        """Copy the warehouse and its current snapshot while no build can write or publish."""
        settings, copies = self._settings, []
        warehouse = settings.warehouse
        if warehouse.exists():
            self._report("waiting for the warehouse, if a build holds it")
            with open_warehouse(
                warehouse,
                memory_limit=settings.memory_limit,
                threads=settings.threads,
                lock_wait_seconds=settings.lock_wait_seconds,
            ) as connection:
                connection.execute("checkpoint")
                connection.execute(f"checkpoint {PUBLISHED}")
                for path in (warehouse, published_file(warehouse)):
                    copy = self._scratch / path.name
                    # by another process: closing a file here would give up this process's lock on it
                    subprocess.run(["cp", str(path), str(copy)], check=True)
                    copies.append((copy, str(path.relative_to(self._home))))
                self._keep_snapshot(copies)
        else:
            self._keep_snapshot(copies)
        for copy, name in copies:
            self._writer.add(copy, name)
            copy.unlink()
        self._report(f"warehouse and snapshot copied: {self.current or 'nothing is published yet'}")

    def _keep_snapshot(self, copies: list[tuple[Path, str]]) -> None:
        try:
            snapshot = current_snapshot(self._settings.serving)
        except NoSnapshotError:
            return
        self.current = snapshot.name
        copy = self._scratch / f"snapshot-{snapshot.name}"
        try:
            copy.hardlink_to(snapshot)  # it never changes
        except OSError:  # the backup is on another disk
            shutil.copyfile(snapshot, copy)
        copies.append((copy, f"{self._settings.serving.name}/{snapshot.name}"))

    def _copy_log(self) -> None:
        names = list(log_files(self._home, self._epoch))
        for name in names:
            if name.startswith(f"{OBJECTS}/lake/manifest"):
                self._copy_manifest(name)
            else:
                self._writer.add(self._home / name, name)  # a compacted object may be gone: the lake has it
        if names:
            self._report(f"change log copied: {len(names):,} objects")

    def _copy_manifest(self, name: str) -> None:
        """Copy a manifest of the lake with all files that it names; a compaction may replace it meanwhile."""
        copy = self._scratch / "manifest"
        for _ in range(_TRIES):
            text = (self._home / name).read_text("utf-8")
            parts = [f"{OBJECTS}/{part['key']}" for part in json.loads(text)["parts"]]
            if all(part in self._writer.files or self._writer.add(self._home / part, part) for part in parts):
                copy.write_text(text, "utf-8")
                self._writer.add(copy, name)
                copy.unlink()
                return
        raise BackupError(
            f"{self._home / name} names files that do not exist. Wait until the build has ended; run again."
        )


def _place_of_log(settings: Settings) -> str | None:
    url = settings.object_store_url
    return None if url is None else masked(url.get_secret_value(), [])


def _left_out(settings: Settings) -> list[str]:
    left = [f"the inboxes in {settings.raw}"]
    if settings.object_store_url is not None:
        left.append("the change log, which is in the bucket of QUINTET_OBJECT_STORE_URL")
    if settings.embedded_postgres.is_dir():
        left.append("the embedded PostgreSQL, which is loaded again from the dump in its inbox")
    return left


def newer(found: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """Return in words which versions of a backup are newer than the code's."""
    return [
        f"{name} {found.get(name)} (here: {version})"
        for name, version in known.items()
        if _numbers(str(found.get(name, ""))) > _numbers(version)
    ]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
