"""Write and read the change log in an object store.

In the bucket:

    epochs/<epoch>.json                          an epoch is a snapshot and all changes after it; written when the
                                                 snapshot is complete
    changes/<epoch>/<from>-<to>.jsonl.gz         the changes at or after <from> and before <to>, without a gap
    quarantine/<epoch>/<from>-<to>.jsonl.gz      changes of tables whose columns changed in a way that breaks readers
    schemas/<schema.table>/<version>.json        the columns behind a version of a table
    incomplete/<epoch>/<schema.table>.json       a table whose changes are missing from a position on, and why

An object covers a stretch of the log without a gap, and a restarted writer starts inside the covered part. To get every
change once, read objects in the order of their names and skip changes that were read before. Do not read an object that
starts beyond the covered part: the objects before it are not written yet.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, MemoryStore, S3Store

from quintet.change_log.change import Change, Position, decode_lines, encode_lines
from quintet.setting_fields import is_bucket_url

ObjectStore = S3Store | LocalStore | MemoryStore

_OBJECT = re.compile(r"(?P<start>[0-9A-F]{16}\.\d{8})-(?P<end>[0-9A-F]{16}\.\d{8})\.jsonl\.gz")
_REFUSAL = re.compile(r"status code: 4(?!08|29)\d\d")  # 408 and 429 ask for a retry
_UNDER_WAY = "snapshots/under-way.json"
_GZIP = 16 + zlib.MAX_WBITS


class LogUrlError(ValueError):
    """The URL of the object store cannot be used; the message says why, without its secret."""


class DamagedObjectError(ValueError):
    """An object of the log is damaged; the message names it."""


def open_store(url: str, seconds: float = 10.0) -> ObjectStore:
    """Open `http://key:secret@host:port/bucket`, `s3://bucket` with the usual AWS variables, or `file:///folder`.

    seconds: limit of a request; there are no retries. Raises LogUrlError for another URL.
    """
    parts = urlsplit(url if is_bucket_url(url) else "")
    limits: Any = {
        "client_options": {"timeout": f"{seconds}s", "connect_timeout": f"{seconds}s", "allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    bucket = parts.path.strip("/")
    if parts.scheme in ("http", "https") and parts.hostname and bucket and "/" not in bucket:
        port = f":{parts.port}" if parts.port else ""
        keys: Any = {}
        if parts.username:
            keys = {"access_key_id": unquote(parts.username), "secret_access_key": unquote(parts.password or "")}
        return S3Store(
            bucket, endpoint=f"{parts.scheme}://{parts.hostname}{port}", region="us-east-1", **keys, **limits
        )
    if parts.scheme == "s3" and parts.netloc and not bucket:
        return S3Store(parts.netloc, **limits)
    if parts.scheme == "file":
        return LocalStore(parts.path, mkdir=True)
    raise LogUrlError(
        "the address of the object store names no bucket; give http://key:secret@host:port/bucket, s3://bucket or "
        "file:///folder, with special characters of key and secret percent-encoded (%2F for /)"
    )


def is_refusal(error: Exception) -> bool:
    """Return whether a store refused a request for good (wrong keys, no such bucket), so retries are of no use.

    obstore has classes for some statuses only; the others are in the message.
    """
    return _REFUSAL.search(str(error)) is not None


@dataclass(frozen=True)
class Stretch:
    """An object of the log: the changes at or after `start` and before `end`, in `epoch`."""

    epoch: str
    start: Position
    end: Position
    prefix: str = "changes"

    @property
    def key(self) -> str:
        """Its name in the bucket."""
        return f"{self.prefix}/{self.epoch}/{self.start}-{self.end}.jsonl.gz"


@dataclass(frozen=True)
class Epoch:
    """A snapshot and the changes after it. start: position of its first row. snapshot_end: position after its last.

    dump: the SHA-256 of the dump that the tables were loaded from, None without one. last_day: the last day on which
    the book of that dump changed, ISO.
    """

    name: str
    start: Position
    snapshot_end: Position
    completed_at: str
    source: str
    dump: str | None = None
    last_day: str | None = None


def epoch_name(consistent_point: int) -> str:
    """Return the name of the epoch whose slot starts at an LSN; names sort in order."""
    return f"{consistent_point:016X}"


def write_stretch(store: ObjectStore, stretch: Stretch, changes: Iterable[Change]) -> int:
    """Write an object and return its size in bytes. Writing it again changes nothing."""
    packer = zlib.compressobj(level=1, wbits=_GZIP)
    content = packer.compress(encode_lines(changes)) + packer.flush()
    obstore.put(store, stretch.key, content, use_multipart=False)
    return len(content)


def read_stretch(store: ObjectStore, stretch: Stretch) -> list[Change]:
    """Return the changes of an object. Raises DamagedObjectError if it is damaged."""
    content = bytes(obstore.get(store, stretch.key).bytes())
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        lines = unpacker.decompress(content)
    except zlib.error as error:
        raise DamagedObjectError(f"{stretch.key} is damaged: {error}") from None
    if not unpacker.eof:
        raise DamagedObjectError(f"{stretch.key} is cut short after {len(content)} bytes")
    return list(decode_lines(lines))


def stretches(store: ObjectStore, epoch: str, prefix: str = "changes") -> list[Stretch]:
    """Return the objects of an epoch by their start; skip other names below the prefix."""
    found = []
    for page in obstore.list(store, f"{prefix}/{epoch}/"):
        for entry in page:
            match = _OBJECT.fullmatch(entry["path"].rsplit("/", 1)[-1])
            if match:
                found.append(Stretch(epoch, Position.parse(match["start"]), Position.parse(match["end"]), prefix))
    return sorted(found, key=lambda stretch: (stretch.start, stretch.end))


def covering(found: Iterable[Stretch], covered: Position) -> Iterator[tuple[Stretch, Position]]:
    """Yield the objects that continue from `covered` without a gap, each with the position to read it from."""
    for stretch in found:
        if stretch.start > covered:
            return
        if stretch.end > covered:
            yield stretch, covered
            covered = stretch.end


def covered_until(found: Iterable[Stretch], start: Position) -> Position:
    """Return how far the objects reach from `start` without a gap."""
    for stretch, _ in covering(found, start):
        start = stretch.end
    return start


def write_epoch(store: ObjectStore, epoch: Epoch) -> None:
    """Record that the snapshot of an epoch is complete."""
    fields = {
        "name": epoch.name,
        "start": str(epoch.start),
        "snapshot_end": str(epoch.snapshot_end),
        "completed_at": epoch.completed_at,
        "source": epoch.source,
        "dump": epoch.dump,
        "last_day": epoch.last_day,
    }
    obstore.put(store, f"epochs/{epoch.name}.json", json.dumps(fields).encode(), use_multipart=False)


def epochs(store: ObjectStore) -> list[Epoch]:
    """Return the epochs whose snapshot is complete, the oldest first."""
    keys = sorted(entry["path"] for page in obstore.list(store, "epochs/") for entry in page)
    return [_epoch(json.loads(bytes(obstore.get(store, key).bytes()))) for key in keys]


def mark_snapshot(store: ObjectStore) -> None:
    """Record that a snapshot is under way; if it never ends, its objects are not used."""
    obstore.put(store, _UNDER_WAY, b"{}", use_multipart=False)


def unmark_snapshot(store: ObjectStore) -> None:
    """Record that the snapshot is complete."""
    obstore.delete(store, _UNDER_WAY)


def snapshot_is_under_way(store: ObjectStore) -> bool:
    """Return whether a snapshot was started and is not complete."""
    return any(entry["path"] == _UNDER_WAY for page in obstore.list(store, "snapshots/") for entry in page)


def write_schema(store: ObjectStore, table: str, schema: str, columns: list[dict[str, Any]]) -> None:
    """Record the columns behind a version of a table."""
    obstore.put(store, f"schemas/{table}/{schema}.json", json.dumps(columns).encode(), use_multipart=False)


def remove_damaged(store: ObjectStore, epoch: str, after: Position) -> list[str]:
    """Remove damaged objects that reach beyond `after` (the store was killed during a write); return their names.

    Only for the writer, before it starts: it then writes their changes again.
    """
    removed = []
    for prefix in ("changes", "quarantine"):
        for stretch in stretches(store, epoch, prefix):
            if stretch.end > after:
                try:
                    read_stretch(store, stretch)
                except (DamagedObjectError, ValueError):
                    obstore.delete(store, stretch.key)
                    removed.append(stretch.key)
    return removed


def written_epochs(store: ObjectStore) -> list[str]:
    """Return the names of all epochs with objects, also of those whose snapshot was never completed."""
    prefixes = ("changes/", "quarantine/")
    keys = (entry["path"] for prefix in prefixes for page in obstore.list(store, prefix) for entry in page)
    return sorted({key.split("/")[1] for key in keys})


def remove_changes(store: ObjectStore, epoch: str, is_removed: Callable[[Change], bool]) -> int:
    """Rewrite the objects of an epoch without some changes; return the number of removed ones. Not beside a stream."""
    removed = 0
    for prefix in ("changes", "quarantine"):
        for stretch in stretches(store, epoch, prefix):
            changes = read_stretch(store, stretch)
            kept = [change for change in changes if not is_removed(change)]
            if len(kept) < len(changes):
                write_stretch(store, stretch, kept)
                removed += len(changes) - len(kept)
    return removed


def utc_text(at: dt.datetime) -> str:
    """Format a time as the log writes it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _epoch(fields: dict[str, Any]) -> Epoch:
    return Epoch(
        name=fields["name"],
        start=Position.parse(fields["start"]),
        snapshot_end=Position.parse(fields["snapshot_end"]),
        completed_at=fields["completed_at"],
        source=fields["source"],
        dump=fields.get("dump"),
        last_day=fields.get("last_day"),
    )
