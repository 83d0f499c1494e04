"""Open the ZIP archive of a workbook without trusting what its directory says."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

MOST_DIRECTORY_BYTES = 1_000_000
"""About ten thousand members; a workbook has a few dozen."""


class WorkbookTooLargeError(Exception):
    """A workbook is beyond a limit; the text completes "<file> …"."""


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Yield the archive of a workbook.

    Raises WorkbookTooLargeError for a directory of members beyond `MOST_DIRECTORY_BYTES`, before it is read; ValueError
    where two members have one name, since programs disagree on which of them is the sheet.
    """
    with _BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
        named = Counter(name.casefold() for name in archive.namelist())
        if repeated := sorted(name for name, count in named.items() if count > 1):
            raise ValueError(f"it has more than one part {repeated[0]}")
        yield archive


def open_part(archive: zipfile.ZipFile, name: str, most_bytes: int) -> BinaryIO:
    """Open a part for reading. It ends at its declared size, and more or fewer bytes than that are an error.

    Raises WorkbookTooLargeError for a part beyond `most_bytes`.
    """
    if archive.getinfo(name).file_size > most_bytes:
        raise WorkbookTooLargeError(f"unpacks to more than {most_bytes:,} bytes ({name})")
    return archive.open(name)  # type: ignore[return-value]  # it reads like any binary file


class _BoundedFile(io.FileIO):
    """A file that refuses long reads: `zipfile` reads the directory at once, whatever size that claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to `size` bytes, or all. Raises WorkbookTooLargeError for more than the limit."""
        most = MOST_DIRECTORY_BYTES + 1
        data = super().read(most if size is None or size < 0 else min(size, most)) or b""
        if len(data) == most:
            raise WorkbookTooLargeError(f"has a directory of parts larger than {MOST_DIRECTORY_BYTES:,} bytes")
        return data
