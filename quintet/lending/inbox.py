"""The inbox of loan books: which dumps lie there, in which order they count, and which are new."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from quintet.settings import Settings
from quintet.warehouse.inbox import InboxFile, list_inbox
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

INBOX = "loan_book"
"""The inbox of dumps: `data/raw/loan_book`."""


def newest_first(files: Sequence[InboxFile]) -> list[InboxFile]:
    """The dumps, the one that counts first: by the date in the name, else the day of arrival, then by arrival."""
    return sorted(
        files, key=lambda file: (file.date_in_name or file.arrived_at.date(), file.arrived_at, file.name), reverse=True
    )


def dumps_of(settings: Settings) -> list[InboxFile]:
    """The files of the inbox, the newest first."""
    return newest_first(list_inbox(settings.raw, INBOX))


def sha256_of(file: InboxFile) -> str:
    """The hash of a file's content. Raises OSError where it cannot be read."""
    with file.path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unknown_dumps(files: Sequence[InboxFile], serving: Path) -> list[str]:
    """The hashes of the files that the current snapshot does not know."""
    try:
        path = current_snapshot(serving)
    except NoSnapshotError:
        return [sha256_of(file) for file in files]
    with open_snapshot(path) as snapshot:
        rows = snapshot.execute("select content_sha256 from marts.ops_batches where dataset = ?", [INBOX]).fetchall()
    known = {row[0] for row in rows}
    return [sha256 for sha256 in map(sha256_of, files) if sha256 not in known]
