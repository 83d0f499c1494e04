"""The inbox of loan books: its dumps, their order, and which of them are new."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quintet.ingest.content import require_own_file
from quintet.ingest.inbox import InboxFile, list_inbox
from quintet.ingest.rejection import FileRejectedError
from quintet.settings import Settings
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

_KNOWN = "select content_sha256 from marts.ops_batches where dataset = ? and content_sha256 is not null"

INBOX = "loan_book"
"""The inbox of dumps: `data/raw/loan_book`."""


def newest_first(files: Sequence[InboxFile]) -> list[InboxFile]:
    """Sort dumps by the date in the name, or else the day of arrival, then by arrival; the newest first."""
    return sorted(
        files, key=lambda file: (file.date_in_name or file.arrived_at.date(), file.arrived_at, file.name), reverse=True
    )


def dumps_of(settings: Settings) -> list[InboxFile]:
    """Return the files of the inbox, the newest first."""
    return newest_first(list_inbox(settings.raw, INBOX))


@dataclass(frozen=True)
class Dump:
    """A file of the inbox with the hash of its content. fault: why it cannot be read; the hash is then of the fault."""

    file: InboxFile
    sha256: str
    fault: str | None = None


def read_dump(file: InboxFile) -> Dump:
    """Hash a file, or return why it cannot be read. What is not a file of the inbox itself is not opened."""
    try:
        require_own_file(file)
        with file.path.open("rb") as content:
            return Dump(file, hashlib.file_digest(content, "sha256").hexdigest())
    except FileRejectedError as error:
        fault = str(error).removeprefix(f"{file.name} ")
    except OSError as error:
        fault = f"cannot be opened ({error.strerror}). Make it readable, or put a copy into the inbox."
    return Dump(file, hashlib.sha256(f"{file.name}\0{fault}".encode()).hexdigest(), fault)


@dataclass(frozen=True)
class Listed:
    """What the inbox holds. unknown: the hashes of the files that the snapshot does not know.

    version: a hash over the contents that the inbox holds or the snapshot knows: its data version.
    """

    unknown: tuple[str, ...]
    version: str


def compare_dumps(files: Sequence[InboxFile], serving: Path) -> Listed:
    """Compare the dumps with the current snapshot; without a snapshot all are unknown."""
    hashes = [read_dump(file).sha256 for file in files]
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        known: set[str] = set()
    else:
        with open_snapshot(path) as snapshot:
            known = {content for (content,) in snapshot.execute(_KNOWN, [INBOX]).fetchall()}
    version = hashlib.sha256("\n".join(sorted({*known, *hashes})).encode()).hexdigest()[:16]
    return Listed(tuple(content for content in hashes if content not in known), version)
