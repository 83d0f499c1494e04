"""Restore a home from a backup: verify all of it first, then put it in the place of the home that is there."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quintet.backup.archive import BackupError, extract
from quintet.backup.create import POLICY, code_versions, newer
from quintet.backup.in_use import unused
from quintet.lending.settings import LendingSettings
from quintet.settings import Settings
from quintet.state.faults import StateUnavailableError
from quintet.state.migrations import TABLE as MIGRATIONS
from quintet.warehouse.snapshot import CURRENT


@dataclass(frozen=True)
class Restored:
    """A restored home.

    made_at: when the backup was made, ISO, UTC. aside: the folder with the former home, None if there was none.
    policy: the backup's policy, if it differs from the one in use. object_store: where the change log is, if not in
    the home.
    """

    made_at: str
    files: int
    aside: Path | None
    policy: Path | None
    object_store: str | None


def restore(
    settings: Settings, source: Path, migrations: Mapping[str, int], now: dt.datetime, report: Callable[[str], None]
) -> Restored:
    """Restore the home from the backup `source`. Nothing of the present home is changed before all is verified.

    The present home is moved aside, never deleted; inboxes in it stay where they are. migrations: by owner, the number
    of scripts that this release knows. now: UTC. report: called with the progress. Raises BackupError for a backup
    that is damaged, incomplete or of a newer release, HomeInUseError while something uses the home.
    """
    home = settings.home
    staging = home.with_name(f".{home.name}.restoring")
    with unused(home):
        _check_database_is_empty(settings)
        if staging.exists():
            shutil.rmtree(staging)  # of a restore that was killed before it changed the home
        staging.mkdir(mode=0o700, parents=True)
        try:
            head, manifest = _verified(source, staging, migrations)
            report(f"{len(manifest['files']):,} files verified")
            _link_current(staging / settings.serving.name, manifest.get("current"))
            aside = _swap(home, staging, settings.raw, now)
        finally:
            if staging.exists():
                shutil.rmtree(staging)
    policy, used = home / POLICY, settings.of(LendingSettings).lending_policy
    is_other = policy.is_file() and (not used.is_file() or policy.read_bytes() != used.read_bytes())
    return Restored(
        str(head.get("made_at")), len(manifest["files"]), aside, policy if is_other else None, head.get("object_store")
    )


def _check_database_is_empty(settings: Settings) -> None:
    """Raise BackupError if the database of the settings has a state: only an empty one takes over restored files."""
    url = settings.state.url
    if url is None:
        return
    from quintet.state.postgres import PostgresDatabase  # noqa: PLC0415  # the driver is slow to load

    with PostgresDatabase(url, "restore") as database:
        try:
            has_state = database.has_table(MIGRATIONS)
        except StateUnavailableError as error:
            raise BackupError(
                f"the database of QUINTET_STATE_URL cannot be read: {error}. Start it, and restore again."
            ) from None
        if has_state:
            raise BackupError(
                f"the state store {database.place} is not empty, and is not overwritten. Set QUINTET_STATE_URL to an "
                "empty database, or to another schema of this one (?options=-csearch_path%3Dname); the first start of "
                "the service fills it from the restored home."
            )


def _verified(source: Path, staging: Path, migrations: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with source.open("rb") as file:
            head, manifest = extract(file, staging)
        problems = newer(head, code_versions()) + _newer_stores(manifest, migrations)
        if problems:
            raise BackupError(f"a newer release wrote it: {', '.join(problems)}. Install that release first")
    except BackupError as fault:
        raise BackupError(f"{source} is not restored: {fault}. The home is unchanged.") from None
    except OSError as error:
        if error.filename != str(source):
            raise
        raise BackupError(f"{source} cannot be read: {error.strerror}. The home is unchanged.") from None
    return head, manifest


def _newer_stores(manifest: Mapping[str, Any], migrations: Mapping[str, int]) -> list[str]:
    """Return the owners of tables that have more scripts applied than this release has, in words."""
    stores = manifest.get("stores")
    if not isinstance(stores, dict):
        raise BackupError("its manifest lists no stores")
    return [
        f"tables of {owner} in {name}"
        for name, applied in sorted(stores.items())
        for owner, number in sorted(applied.items())
        if number > migrations.get(owner, 0)
    ]


def _link_current(serving: Path, current: object) -> None:
    if current is None:
        return
    if not isinstance(current, str) or Path(current).name != current or not (serving / current).is_file():
        raise BackupError(f"the current snapshot {current!r} is missing in the backup. The home is unchanged.")
    (serving / CURRENT).symlink_to(current)


def _swap(home: Path, staging: Path, raw: Path, now: dt.datetime) -> Path | None:
    """Move what is in the home aside, but for the inboxes, and the restored files into it; return where it is now."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    former = [entry for entry in sorted(home.iterdir()) if not raw.resolve().is_relative_to(entry.resolve())]
    aside = home.with_name(f"{home.name}.{now:%Y%m%dT%H%M%S}.replaced") if former else None
    if aside is not None:
        aside.mkdir(mode=0o700)
        for entry in former:
            _move(entry, aside / entry.name)
    for entry in sorted(staging.iterdir()):
        _move(entry, home / entry.name)
    return aside


def _move(entry: Path, to: Path) -> None:
    try:
        entry.rename(to)
    except OSError:  # a home that is a disk of its own
        shutil.move(entry, to)
