"""The lake: the change log compacted to Parquet, for any tool to query.

In the bucket:

    lake/changes/epoch=<epoch>/day=<day of commit>/<from>-<to>.parquet
    lake/manifest-<epoch>.json       the valid files, and the position up to which objects are compacted

A file is written before the manifest names it, and one put replaces the manifest: an interrupted compaction changes
nothing, and the next one removes its files. A day's file is rewritten while it is small. Dagster runs one compaction at
a time.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import obstore
import pyarrow as pa
import pyarrow.parquet as pq

from quintet.change_log.change import Change, Position
from quintet.change_log.log import (
    DamagedObjectError,
    Epoch,
    ObjectStore,
    Stretch,
    covered_until,
    covering,
    read_stretch,
    stretches,
)

SCHEMA = pa.schema(
    [
        ("commit_lsn", pa.uint64()),
        ("sequence", pa.uint32()),
        ("committed_at", pa.string()),
        ("table", pa.string()),
        ("operation", pa.string()),
        ("schema", pa.string()),
        ("row", pa.string()),
        ("old", pa.string()),
        ("unchanged", pa.list_(pa.string())),
        ("namespace", pa.string()),
    ]
)
"""Columns of a file: the fields of `Change`, with rows as JSON text."""

_SMALL_ROWS = 200_000
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Part:
    """A Parquet file: changes committed on one day, at or after `start` and before `end`."""

    key: str
    day: str
    start: Position
    end: Position
    rows: int


@dataclass(frozen=True)
class Manifest:
    """The valid files in order, and the position up to which they hold the log."""

    epoch: str
    compacted_to: Position
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Compaction:
    """The result of a compaction. days: days with a new file."""

    changes: int
    objects: int
    days: tuple[str, ...] = field(default=())


def read_manifest(store: ObjectStore, epoch: Epoch) -> Manifest:
    """Read the manifest of an epoch; it is empty before the first compaction."""
    key = _manifest_key(epoch.name)
    if not any(entry["path"] == key for page in obstore.list(store, "lake/") for entry in page):
        return Manifest(epoch.name, epoch.start)
    fields = json.loads(bytes(obstore.get(store, key).bytes()))
    parts = tuple(
        Part(part["key"], part["day"], Position.parse(part["start"]), Position.parse(part["end"]), part["rows"])
        for part in fields["parts"]
    )
    return Manifest(epoch.name, Position.parse(fields["compacted_to"]), parts)


def compact(store: ObjectStore, epoch: Epoch, most_changes: int = 500_000) -> Compaction:
    """Compact the log's new objects to Parquet, about `most_changes` at a time."""
    manifest, changes_total, objects_total = read_manifest(store, epoch), 0, 0
    days: set[str] = set()
    _remove_strangers(store, manifest)
    while True:
        batch, objects = _next_objects(store, manifest, most_changes)
        if not objects:
            return Compaction(changes_total, objects_total, tuple(sorted(days)))
        parts = list(manifest.parts)
        for day, changes in _runs_by_day(batch):
            _add(store, epoch.name, parts, day, changes)
            days.add(day)
        replaced = [part for part in manifest.parts if part not in parts]
        manifest = Manifest(epoch.name, objects[-1].end, tuple(parts))
        _write_manifest(store, manifest)
        for part in replaced:
            obstore.delete(store, part.key)
        changes_total, objects_total = changes_total + len(batch), objects_total + len(objects)


def expire(store: ObjectStore, epoch: Epoch, before: dt.datetime) -> int:
    """Remove the log's objects that are compacted and were written before a time; return their number."""
    compacted_to = read_manifest(store, epoch).compacted_to
    done = {stretch.key for stretch in stretches(store, epoch.name) if stretch.end <= compacted_to}
    old = [
        entry["path"]
        for page in obstore.list(store, f"changes/{epoch.name}/")
        for entry in page
        if entry["path"] in done and entry["last_modified"] < before
    ]
    if old:
        obstore.delete(store, old)
    return len(old)


def read_history(
    store: ObjectStore, epoch: Epoch, after: Position | None = None
) -> Iterator[tuple[list[Change], Position]]:
    """Yield the changes of an epoch from `after` on, each once and in order, in lists with the position of their end.

    Compacted changes are read from Parquet, later ones from the log's objects. A list may be empty: an object without
    changes, such as the last one of a snapshot, still moves the position.
    """
    manifest, place = read_manifest(store, epoch), after or epoch.start
    for part in manifest.parts:
        if part.end > place:
            changes = [change for change in read_part(store, part) if change.position >= place]
            place = part.end
            yield changes, place
    if epoch.start <= place < manifest.compacted_to:
        place = manifest.compacted_to  # beyond the last row in Parquet if the last compacted objects were empty
        yield [], place
    for stretch, begin in covering(stretches(store, epoch.name), place):
        yield [change for change in read_stretch(store, stretch) if change.position >= begin], stretch.end


def covered(store: ObjectStore, epoch: Epoch) -> Position:
    """Return how far Parquet and objects reach without a gap."""
    return covered_until(stretches(store, epoch.name), read_manifest(store, epoch).compacted_to)


def remove_changes(store: ObjectStore, epoch: Epoch, is_removed: Callable[[Change], bool]) -> int:
    """Rewrite the files of an epoch without some changes; return the number of removed ones. Not during a compaction.

    A file keeps its name and stretch of the log, also if nothing is left in it.
    """
    manifest, removed = read_manifest(store, epoch), 0
    parts = []
    for part in manifest.parts:
        changes = read_part(store, part)
        kept = [change for change in changes if not is_removed(change)]
        if len(kept) < len(changes):
            _write_table(store, part.key, _table(kept))
            removed += len(changes) - len(kept)
        parts.append(replace(part, rows=len(kept)))
    if removed:
        _write_manifest(store, replace(manifest, parts=tuple(parts)))
    return removed


def read_part(store: ObjectStore, part: Part) -> list[Change]:
    """Return the changes of a file, in order."""
    table = pq.read_table(io.BytesIO(bytes(obstore.get(store, part.key).bytes())))
    return [_change(row) for row in table.to_pylist()]


def _next_objects(store: ObjectStore, manifest: Manifest, most_changes: int) -> tuple[list[Change], list[Stretch]]:
    changes: list[Change] = []
    objects: list[Stretch] = []
    for stretch, begin in covering(stretches(store, manifest.epoch), manifest.compacted_to):
        if len(changes) >= most_changes:
            break
        try:
            found = read_stretch(store, stretch)
        except DamagedObjectError:  # left by a crash of the store; the stream writes it again
            break
        changes += [change for change in found if change.position >= begin]
        objects.append(stretch)
    return changes, objects


def _runs_by_day(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    """Yield runs of consecutive changes committed on one day; a clock that is set back starts another run."""
    for day, run in groupby(changes, key=lambda change: change.committed_at[:10]):
        yield day, list(run)


def _add(store: ObjectStore, epoch: str, parts: list[Part], day: str, changes: Sequence[Change]) -> None:
    """Write changes after the last part, to a new file, or by rewriting the last one if it is of that day and small."""
    table = _table(changes)
    start, last = changes[0].position, changes[-1].position
    if parts and parts[-1].day == day and parts[-1].rows < _SMALL_ROWS:
        before = pq.read_table(io.BytesIO(bytes(obstore.get(store, parts[-1].key).bytes())), schema=SCHEMA)
        table, start = pa.concat_tables([before, table]), parts[-1].start
        parts.pop()
    end = Position(last.lsn, last.sequence + 1)
    key = f"lake/changes/epoch={epoch}/day={day}/{start}-{end}.parquet"
    _write_table(store, key, table)
    parts.append(Part(key, day, start, end, table.num_rows))


def _write_table(store: ObjectStore, key: str, table: pa.Table) -> None:
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    obstore.put(store, key, content.getvalue(), use_multipart=False)


def _table(changes: Iterable[Change]) -> pa.Table:
    rows = [
        change._replace(
            row=None if change.row is None else _ENCODE(change.row),  # type: ignore[arg-type]  # JSON in a file
            old=None if change.old is None else _ENCODE(change.old),  # type: ignore[arg-type]  # as above
        )._asdict()
        for change in changes
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _change(row: dict[str, Any]) -> Change:
    values = {name: None if row[name] is None else json.loads(row[name]) for name in ("row", "old")}
    namespace = row.get("namespace") or "public"  # null in files written before tables were known by schema
    return Change(**(row | values | {"unchanged": tuple(row["unchanged"]), "namespace": namespace}))


def _write_manifest(store: ObjectStore, manifest: Manifest) -> None:
    fields = {
        "compacted_to": str(manifest.compacted_to),
        "parts": [
            {"key": part.key, "day": part.day, "start": str(part.start), "end": str(part.end), "rows": part.rows}
            for part in manifest.parts
        ],
    }
    obstore.put(store, _manifest_key(manifest.epoch), json.dumps(fields).encode(), use_multipart=False)


def _remove_strangers(store: ObjectStore, manifest: Manifest) -> None:
    """Remove files that no manifest names, left by an interrupted compaction."""
    known = {part.key for part in manifest.parts}
    prefix = f"lake/changes/epoch={manifest.epoch}/"
    left = [entry["path"] for page in obstore.list(store, prefix) for entry in page if entry["path"] not in known]
    if left:
        obstore.delete(store, left)


def _manifest_key(epoch: str) -> str:
    return f"lake/manifest-{epoch}.json"
