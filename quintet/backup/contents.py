"""The files of a home that belong into a backup, in the order in which they can be copied while they are written.

Each store is copied after what it must not be ahead of, so that a restored home never claims to know changes that it
has not got:

1. features, with their position in the change log, before the log: catching up closes the distance;
2. warehouse and snapshot, together and under the warehouse's lock;
3. what the service wrote, after the warehouse that has ingested it;
4. the change log, its objects before the lake's files, and those before the manifests that name them;
5. everything else: models, reports, Dagster's history.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from quintet.embedded.object_store import BUCKET
from quintet.state.features import FILE as FEATURES
from quintet.warehouse.database import published_file

ONLINE, OBJECTS = "online", f"objects/buckets/{BUCKET}"

_LEFT_OUT = frozenset(
    {
        "postgres",
        "restore",
        "logs",
        "cache",
        "fetched",
        "policy",
        "dagster/running",
        "dagster/ui-token",
        "objects/port",
        "objects/pid",
    }
)
"""What a home makes again, or is of one start; the policy that a restore left is added if it is in use."""

_TEMPORARY = re.compile(r"(\.lock|\.partial|\.tmp|\.pid|-wal|-shm|-journal|\.adopted|\.wal|\.unused|rclone\.log)$")
_SQLITE = b"SQLite format 3\x00"


def is_sqlite(path: Path) -> bool:
    """Return whether a file is an SQLite database; False if it is gone."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def plain_files(home: Path, warehouse: Path, serving: Path, raw: Path) -> Iterator[str]:
    """Yield the paths of all files but warehouse, snapshots and change log, the features first.

    Links are left out, and so are the inboxes where they are in the home.
    """
    special = {warehouse, published_file(warehouse)}
    skipped = {home / name for name in _LEFT_OUT} | {home / OBJECTS, serving, raw}
    found = [path for path in _below(home, skipped) if path not in special and not _TEMPORARY.search(path.name)]
    yield from (str(path.relative_to(home)) for path in sorted(found, key=lambda path: (path.name != FEATURES, path)))


def log_files(home: Path, epoch: str | None) -> Iterator[str]:
    """Yield the files of the change log, each before what refers to it, without the epochs after `epoch`.

    epoch: the one that the copied features are from. The slot and the features of a later one are not in the backup:
    with it, the stream would go on from a position that nothing has recorded.
    """
    found = [str(path.relative_to(home)) for path in _below(home / OBJECTS, set())]
    for name in sorted(found, key=lambda name: (_rank(name), name)):
        key = name.removeprefix(f"{OBJECTS}/")
        is_later = key.startswith("epochs/") and (epoch is None or Path(key).stem > epoch)
        if not is_later and not key.startswith("snapshots/"):
            yield name


def _rank(name: str) -> int:
    key = name.removeprefix(f"{OBJECTS}/")
    return 2 if key.startswith("lake/manifest") else 1 if key.startswith("lake/") else 0


def _below(folder: Path, skipped: set[Path]) -> Iterator[Path]:
    """Yield the plain files below a folder; nothing of a folder that is gone."""
    if folder in skipped:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = Path(entry.path)
        if path in skipped:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path, skipped)
        elif entry.is_file(follow_symlinks=False):
            yield path
