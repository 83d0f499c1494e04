"""Inspect an inbox file before it is loaded: its content hash, and its layout or why it is rejected."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from quintet.ingest.content import format_of, read_content
from quintet.ingest.contract import Dataset
from quintet.ingest.files import Layout, read_layout
from quintet.ingest.inbox import InboxFile
from quintet.ingest.rejection import FileRejectedError, MissingColumnsError


@dataclass(frozen=True)
class Examined:
    """A file with the hash of its content, and either its layout or the message that rejects it.

    text_bytes: the number of bytes of the file's cells and delimiters, header included.
    titles, lacking: of a file that is rejected for its header, as in `MissingColumnsError`.
    """

    file: InboxFile
    batch_id: str
    content_sha256: str | None
    layout: Layout | None
    message: str | None
    text_bytes: int = 0
    titles: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def examine(file: InboxFile, dataset: Dataset) -> Examined:
    """Hash the file and check its layout against the contract; the result has the message if it is rejected."""
    try:
        format_of(file)
        content = read_content(file)
    except FileRejectedError as error:
        identity = hashlib.sha256(f"{file.name}\0{error}".encode()).hexdigest()
        return Examined(file, identity[:16], None, None, str(error))
    batch_id = content.sha256[:16]
    try:
        layout = read_layout(file, content, dataset)
        return Examined(file, batch_id, content.sha256, layout, None, content.text_bytes)
    except MissingColumnsError as error:
        return Examined(file, batch_id, content.sha256, None, str(error), titles=error.titles, lacking=error.lacking)
    except FileRejectedError as error:
        return Examined(file, batch_id, content.sha256, None, str(error))


def layout_of(examined: Examined) -> Layout:
    """Return the layout of a file that is not rejected. Raises ValueError for a rejected one."""
    if examined.layout is None:
        raise ValueError(f"{examined.file.name} was rejected and has no layout")
    return examined.layout


def path_of(examined: Examined) -> str:
    """Return the absolute path of the file."""
    return str(examined.file.path.absolute())
