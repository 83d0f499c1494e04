"""Share published snapshots through an object store, for services that have no disk in common with the build.

serving/snapshots/<name>.duckdb    a snapshot, never changed
serving/pointers/<number>.json     which snapshot is current: the pointer with the highest number

A pointer is put only if there is none of its number: of two builds that publish at once, one is refused. Reports,
models and policies follow in the same way (`quintet.shared_files`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import obstore

from quintet.change_log.log import ObjectStore
from quintet.warehouse.publish import point_current_to, remove_old
from quintet.warehouse.snapshot import CURRENT

SNAPSHOTS, POINTERS, PROBES = "serving/snapshots", "serving/pointers", "serving/probes"

_NAME = re.compile(r"[\w-]{1,100}\.duckdb")
_NUMBERED = re.compile(r"(\d{12})\.json")
_PARTIAL = ".fetched"
_FETCHED = "fetched.json"
"""The file beside the snapshots with the pointer of the one that was fetched last."""

_BLOCK_BYTES = 1 << 20
_LEAST_LEFT = 0.5
"""A table that has fewer of its rows than this is shrunken."""


class SharedServingError(RuntimeError):
    """A snapshot cannot be shared or fetched; the message says why, what is used instead, and what to do."""


@dataclass(frozen=True)
class Pointer:
    """The current snapshot: its file, size, hash, and rows by table. accept_losses: it was published with losses."""

    number: int
    snapshot: str
    bytes: int
    sha256: str
    rows: Mapping[str, int]
    accept_losses: bool = False


def share(store: ObjectStore, path: Path, rows: Mapping[str, int], kept: int, accept_losses: bool = False) -> Pointer:
    """Upload a snapshot and make it current for all services; keep the last `kept` ones.

    Raises SharedServingError if another build has published meanwhile, or the store does not check conditions.
    """
    check_conditional_puts(store)
    number = last_number(store, POINTERS) + 1
    pointer = Pointer(number, path.name, path.stat().st_size, sha256_of(path), dict(rows), accept_losses)
    obstore.put(store, f"{SNAPSHOTS}/{path.name}", path)
    try:
        obstore.put(store, _key(number), json.dumps(asdict(pointer)).encode(), mode="create")
    except obstore.exceptions.AlreadyExistsError:
        raise SharedServingError(
            f"another build has published snapshot number {number} meanwhile; its snapshot is the current one. Run "
            "again, and let only one machine build."
        ) from None
    _remove_unused(store, number, kept)
    return pointer


def check_conditional_puts(store: ObjectStore) -> None:
    """Raise SharedServingError if the store overwrites an object that a condition forbids."""
    probe = f"{PROBES}/{secrets.token_hex(8)}"
    obstore.put(store, probe, b"1", mode="create")
    try:
        obstore.put(store, probe, b"2", mode="create")
    except obstore.exceptions.AlreadyExistsError:
        return
    finally:
        obstore.delete(store, probe)
    raise SharedServingError(
        "the bucket of QUINTET_SERVING_URL overwrites objects although a put requires that there is none "
        "(If-None-Match), so two builds could publish over each other. Use a bucket that checks it, such as Amazon S3, "
        "MinIO or Cloudflare R2, or a folder: file:///path."
    )


def last_number(store: ObjectStore, prefix: str) -> int:
    """Return the highest number of the objects `<number>.json` below a prefix, whatever is in them; 0 without one."""
    names = [one["path"].rpartition("/")[2] for some in obstore.list(store, prefix) for one in some]
    return max((int(found[1]) for name in names if (found := _NUMBERED.fullmatch(name))), default=0)


def latest(store: ObjectStore, after: int = 0) -> Pointer | None:
    """Return the current pointer; None if there is none with a number above `after`."""
    found = [one["path"] for some in obstore.list(store, POINTERS, offset=_key(after)) for one in some]
    if not found:
        return None
    key = max(found)
    try:
        given = json.loads(bytes(obstore.get(store, key).bytes()))
        pointer = Pointer(**given)
        is_usable = _NAME.fullmatch(pointer.snapshot) and _key(pointer.number) == key and pointer.bytes > 0
    except (ValueError, TypeError, AttributeError):
        is_usable = False
    if not is_usable:
        raise SharedServingError(f"{key} in the bucket is no pointer to a snapshot. Publish again: quintet run.")
    return pointer


def fetch(store: ObjectStore, serving: Path, pointer: Pointer, former: Pointer | None, kept: int) -> Path:
    """Download a snapshot, verify it, and make it current in `serving`; return its path.

    former: the pointer of the present one, if it is known. Raises SharedServingError for a snapshot that is damaged, or
    has lost tables or most rows of one without having been published so; the present one stays current.
    """
    _refuse_losses(pointer, former)
    serving.mkdir(parents=True, exist_ok=True)
    path = serving / pointer.snapshot
    if not path.exists():
        partial = serving / f"{pointer.snapshot}.{os.getpid()}{_PARTIAL}"
        try:
            _download(store, pointer, partial)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)
    point_current_to(path)
    remove_old(serving, kept)
    note = serving / f"{_FETCHED}.{os.getpid()}{_PARTIAL}"
    note.write_text(json.dumps(asdict(pointer)), "utf-8")
    note.rename(serving / _FETCHED)
    return path


class Following:
    """Fetches what a build shares whenever it is new. on_error: called when it cannot, once for each cause."""

    what: ClassVar[str]

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error, self._last_error = on_error, ""
        self._lock = threading.Lock()

    def fetch_new(self) -> bool:
        """Fetch what is new; return whether there was something. Raises what `look` reports."""
        raise NotImplementedError

    def look(self) -> bool:
        """Fetch what is new, and return whether there was something; report a failure, after which the former stays."""
        with self._lock:
            try:
                is_new = self.fetch_new()
                self._last_error = ""
            except (SharedServingError, obstore.exceptions.BaseError, OSError) as error:
                cause = type(error).__name__ if isinstance(error, obstore.exceptions.BaseError) else str(error)
                if cause != self._last_error:
                    self._last_error = cause
                    self._on_error(error)
                return False
            return is_new


class Follower(Following):
    """Fetches each new snapshot; the present one stays when it cannot."""

    what = "snapshot"

    def __init__(self, store: ObjectStore, serving: Path, kept: int, on_error: Callable[[Exception], None]) -> None:
        super().__init__(on_error)
        self._store, self._serving, self._kept = store, serving, kept
        self._pointer, self._refused = _fetched(serving), 0

    def fetch_new(self) -> bool:
        """Fetch the current snapshot if it is a new one; return whether it was."""
        known = max(self._refused, self._pointer.number if self._pointer else 0)
        pointer = latest(self._store, known)
        if pointer is None:
            return False
        try:
            fetch(self._store, self._serving, pointer, self._pointer, self._kept)
        except SharedServingError:
            self._refused = pointer.number
            raise
        self._pointer = pointer
        return True


def _fetched(serving: Path) -> Pointer | None:
    """Return the pointer of the present snapshot; None if it was not fetched, or is not known."""
    try:
        pointer = Pointer(**json.loads((serving / _FETCHED).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return pointer if (serving / CURRENT).resolve().name == pointer.snapshot else None


def _download(store: ObjectStore, pointer: Pointer, to: Path) -> None:
    if not download(store, f"{SNAPSHOTS}/{pointer.snapshot}", to, pointer.bytes, pointer.sha256):
        raise SharedServingError(
            f"snapshot {pointer.snapshot} of the bucket is damaged: its size or hash is not the published one. The "
            "former snapshot stays; publish again: quintet run."
        )


def download(store: ObjectStore, key: str, to: Path, size: int, sha256: str) -> bool:
    """Download an object to a file; return whether it has the given size and SHA-256."""
    found, found_bytes = hashlib.sha256(), 0
    with to.open("wb") as file:
        for block in obstore.get(store, key).stream(min_chunk_size=_BLOCK_BYTES):
            found.update(block)
            found_bytes += len(block)
            if found_bytes > size:
                break
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return (found_bytes, found.hexdigest()) == (size, sha256)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_losses(pointer: Pointer, former: Pointer | None) -> None:
    if former is None or pointer.accept_losses:
        return
    lost = sorted(
        table for table, rows in former.rows.items() if pointer.rows.get(table, -1) < min(rows * _LEAST_LEFT, rows)
    )
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise SharedServingError(
            f"snapshot {pointer.snapshot} of the bucket has lost {lost[0]}{more}, or most of its rows. The former "
            "snapshot stays; if the loss is meant, publish with: quintet run --accept-losses."
        )


def _remove_unused(store: ObjectStore, number: int, kept: int) -> None:
    found = [one["path"] for some in obstore.list(store, POINTERS) for one in some]
    old = [key for key in sorted(found) if key <= _key(number - kept)]
    used = {_snapshot_of(store, key) for key in found if key not in old}
    for key in old:
        name = _snapshot_of(store, key)
        if name and name not in used:
            obstore.delete(store, f"{SNAPSHOTS}/{name}")
        obstore.delete(store, key)


def _snapshot_of(store: ObjectStore, key: str) -> str:
    """Return the file that a pointer names; "" for a pointer that is damaged."""
    try:
        given: Any = json.loads(bytes(obstore.get(store, key).bytes()))
    except ValueError:
        return ""
    name = str(given.get("snapshot", "")) if isinstance(given, dict) else ""
    return name if _NAME.fullmatch(name) else ""


def _key(number: int) -> str:
    return f"{POINTERS}/{number:012}.json"
