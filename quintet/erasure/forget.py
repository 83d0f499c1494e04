"""Forget a person: everywhere in a home, and for good."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quintet.backup.in_use import unused
from quintet.change_log import lake, log
from quintet.change_log.change import Position
from quintet.change_log.log import Epoch, ObjectStore, written_epochs
from quintet.change_log.place import find_log
from quintet.domain import Domain
from quintet.erasure.state import empty_features, erase_from_state
from quintet.erasure.warehouse import Person, erase_from_warehouse
from quintet.forgotten import Forgotten
from quintet.ingest.contract import read_values
from quintet.ingest.inbox import list_inbox
from quintet.replicated import Replicated
from quintet.replication.forgotten import PersonFilter
from quintet.settings import Settings
from quintet.state.forgotten import keep_forgotten, open_forgotten
from quintet.state.store import StateStore

RECEIPTS = "receipts"
_TEXT_FILES = ("logs/*", "failures.jsonl", "dagster/storage/*/compute_logs/*")


class ForgetError(RuntimeError):
    """A person cannot be forgotten; the message says why and what to do."""


@dataclass(frozen=True)
class Receipt:
    """What was erased, without the data. person: the keyed hash. places: erased rows by place. left: what is left."""

    path: Path
    kind: str
    person: str
    places: Mapping[str, int]
    left: Sequence[str]


def forget(
    settings: Settings,
    domains: Sequence[Domain],
    kind: str,
    given: str,
    store: StateStore,
    now: dt.datetime,
    random_bytes: Callable[[int], bytes],
    report: Callable[[str], None],
) -> Receipt:
    """Erase a person from the home, keep every copy of its data out from now on, and write a receipt.

    kind: such as `user`. given: the person's id. store: the state store. now: UTC. Running it again completes what was
    interrupted. Raises ForgetError for an empty id, HomeInUseError while the service, a stream or a run uses the home.
    """
    domain = next((one for one in domains if one.persons is not None and one.persons.kind == kind), None)
    if domain is None or domain.persons is None:
        raise ForgetError(f"no business has persons of the kind {kind}")
    person_id = _as_code(given)
    if not person_id:
        raise ForgetError(f"the id of the {kind} is empty. Give the id as the tables have it.")
    with unused(settings.home):
        forgotten = open_forgotten(store, random_bytes)
        digest = forgotten.digest(kind, person_id)
        person = Person(domain.persons, person_id, f"forgotten-{digest[:16]}")
        # first of all: whatever is interrupted, nothing new is loaded
        keep_forgotten(store, [(kind, digest)], now)
        forgotten.persons.setdefault(kind, set()).add(digest)
        places = Counter[str]()
        if domain.replication:
            places += _erase_from_log(settings, domain, forgotten, store, now)
            empty_features(settings.state)
            report("change log, lake and features are done")
        places += erase_from_state(settings.state, person, now)
        report("the service's records are done")
        datasets = [dataset for one in domains for dataset in one.datasets]
        places += erase_from_warehouse(settings, person, datasets, now)
        report("warehouse and snapshots are done")
        for pattern in domain.persons.files:
            for file in settings.home.glob(pattern):
                file.unlink()
                places["files to build again"] += 1
        places += _erase_lines(settings.home, person_id)
    left = _left(settings, domain, person_id)
    return _write_receipt(settings.home, kind, digest, places, left, now)


def _as_code(given: str) -> str:
    """Return the id as the warehouse reads it: without zero-width characters, full-width ones plain."""
    import pandas as pd  # noqa: PLC0415

    read = read_values(pd.DataFrame({"id": [given.strip()]}), {"id": "contract.as_code(id)"})
    return str(read["id"].iloc[0] or "")


def _erase_from_log(
    settings: Settings, domain: Domain, forgotten: Forgotten, store: StateStore, now: dt.datetime
) -> Counter[str]:
    objects: ObjectStore | None = find_log(settings)
    if objects is None:
        return Counter()
    replicated: Replicated = importlib.import_module(domain.replication).REPLICATED
    found: list[tuple[str, str]] = []
    person = PersonFilter(
        replicated.persons, replicated.person_kind, forgotten, lambda kind, digest: found.append((kind, digest))
    )
    epochs = [Epoch(name, Position(0), Position(0), "", "") for name in written_epochs(objects)]
    known = {epoch.name: epoch for epoch in log.epochs(objects)}
    epochs = [known.get(epoch.name, epoch) for epoch in epochs] + [
        epoch for name, epoch in known.items() if name not in {one.name for one in epochs}
    ]
    counts = Counter[str]()
    while True:  # again if a row turned out to be the person's after changes of it were passed
        before = len(found)
        for epoch in epochs:
            counts["change log"] += log.remove_changes(objects, epoch.name, person.holds)
            counts["lake"] += lake.remove_changes(objects, epoch, person.holds)
        if len(found) == before:
            break
    keep_forgotten(store, found, now)
    return counts


def _erase_lines(home: Path, person_id: str) -> Counter[str]:
    """Remove the lines of logs that name the person as a whole word."""
    word = re.compile(rb"(?<![\w.-])" + re.escape(person_id.encode()) + rb"(?![\w.-])")
    counts = Counter[str]()
    for file in (file for pattern in _TEXT_FILES for file in home.glob(pattern) if file.is_file()):
        lines = file.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not word.search(line)]
        if len(kept) < len(lines):
            file.write_bytes(b"".join(kept))
            counts["lines of logs"] += len(lines) - len(kept)
    return counts


def _left(settings: Settings, domain: Domain, person_id: str) -> list[str]:
    """Return what the operator has to do elsewhere."""
    left = ["backups made before: delete them, or run this again after restoring one"]
    inboxes = [dataset.name for dataset in domain.datasets if dataset.persons] + list(domain.other_inboxes)
    files = [file for inbox in inboxes for file in list_inbox(settings.raw, inbox)]
    named = [file for file in files if person_id.encode() in _content(file.path)]
    left += [f"{file.path} names the person: remove its rows; they are not loaded again" for file in named]
    if any(file.path.suffix.lower() not in (".csv", ".sql") for file in files):
        left.append(f"packed files in {settings.raw} were not searched; their rows are loaded without the person")
    if settings.postgres_url is not None or settings.embedded_postgres.is_dir():
        left.append("the business's own database: delete the person there; its changes are not written any more")
    return left


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() and path.suffix.lower() in (".csv", ".sql") else b""


def _write_receipt(
    home: Path, kind: str, digest: str, places: Mapping[str, int], left: Sequence[str], now: dt.datetime
) -> Receipt:
    folder = home / RECEIPTS
    folder.mkdir(mode=0o700, exist_ok=True)
    erased = {place: count for place, count in sorted(places.items()) if count}
    path = folder / f"{now:%Y%m%dT%H%M%S}-{digest[:8]}.json"
    fields = {"at": now.isoformat(), "kind": kind, "person_hmac_sha256": digest, "erased": erased}
    path.write_text(json.dumps(fields, indent=1) + "\n", "utf-8")
    return Receipt(path, kind, digest, erased, left)
