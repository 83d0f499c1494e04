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


def unknown_dumps(files: Sequence[InboxFile], serving: Path) -> list[str]:
    """Return the hashes of the files that the current snapshot does not know."""
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        return [read_dump(file).sha256 for file in files]
    with open_snapshot(path) as snapshot:
        rows = snapshot.execute("select content_sha256 from marts.ops_batches where dataset = ?", [INBOX]).fetchall()
    known = {row[0] for row in rows}
    return [dump.sha256 for dump in map(read_dump, files) if dump.sha256 not in known]
