"""Read the bytes of an inbox file once: its hash, its encoding, and whether it is safe to read at all."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from quintet.ingest.inbox import InboxFile
from quintet.ingest.rejection import FileRejectedError

FORMATS = {".csv": "csv", ".csv.gz": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}
BLOCK_BYTES = 1 << 20

_TWO_QUOTED_TEXTS = re.compile(b'" +"')
_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Content:
    """The findings of one pass over the bytes of a file.

    sha256: of the text, unpacked if the file is gzip, so that packing does not make new content.
    is_utf8: whether all of it is UTF-8; has_multibyte: whether some of it is UTF-8 beyond ASCII.
    needs_care: whether it has what DuckDB's reader wrongly accepts: NUL bytes, or two quoted texts in a cell.
    text_bytes: the number of bytes of its cells and delimiters (see `text_bytes`), without a byte order mark.
    head: the first block.
    """

    sha256: str
    is_utf8: bool
    has_multibyte: bool
    needs_care: bool
    text_bytes: int
    head: bytes


def format_of(file: InboxFile) -> str:
    """Return csv, xlsx or parquet, by the file's name. Raises FileRejectedError for any other ending."""
    lowered = file.name.lower()
    for suffix, kind in FORMATS.items():
        if lowered.endswith(suffix):
            return kind
    raise FileRejectedError(
        f"{file.name} has an unsupported format. Save it as one of {', '.join(FORMATS)} and drop it again."
    )


def open_bytes(path: Path) -> BinaryIO:
    """Open the file's bytes for reading, unpacked if the name ends in .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a GzipFile reads like any binary file
    return path.open("rb")


def read_content(file: InboxFile) -> Content:
    """Hash the file and inspect its bytes. Raises FileRejectedError if they cannot be read, or are beyond a limit.

    A file that is not in the inbox itself, such as the target of a link, is rejected unread.
    """
    require_own_file(file)
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_multibyte, needs_care, length, head = True, False, False, 0, b""
    size = _Size(file, format_of(file) == "csv")
    try:
        with open_bytes(file.path) as stream:
            while block := stream.read(BLOCK_BYTES):
                size.add(block)
                digest.update(block)
                head = head or block
                length += text_bytes(block)
                needs_care = needs_care or b"\0" in block or _TWO_QUOTED_TEXTS.search(block) is not None
                if is_utf8 and not block.isascii():
                    is_utf8 = _decodes(decoder, block)
                    has_multibyte = has_multibyte or is_utf8 or _any_line_is_multibyte(block)
        is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
    except PermissionError as error:
        raise FileRejectedError(
            f"{file.name} may not be read by this user. Give read permission (chmod a+r) and run again."
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRejectedError(
            f"{file.name} is a damaged or truncated gzip file ({error}). Copy it again, whole, into the inbox."
        ) from error
    if not head:
        raise FileRejectedError(f"{file.name} is empty (0 bytes). Write it again with a header line.")
    length -= len(codecs.BOM_UTF8) * head.startswith(codecs.BOM_UTF8)
    return Content(digest.hexdigest(), is_utf8, has_multibyte, needs_care, length, head)


class _Size:
    """The size of a file so far; raises FileRejectedError beyond a limit."""

    def __init__(self, file: InboxFile, has_lines: bool) -> None:
        self._name, self._limits, self._has_lines = file.name, file.limits, has_lines
        self._bytes = self._lines = self._open_line = 0

    def add(self, block: bytes) -> None:
        self._bytes += len(block)
        if self._bytes > self._limits.unpacked_bytes:
            raise beyond(self._name, f"has more than {self._limits.unpacked_bytes:,} bytes unpacked", "UNPACKED_BYTES")
        if not self._has_lines:
            return
        ends = max(block.count(b"\n"), block.count(b"\r"))
        self._lines += ends
        if self._lines > self._limits.rows + 1:  # the header is no data row
            raise beyond(self._name, f"has more than {self._limits.rows:,} rows", "ROWS")
        first = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=len(block))
        if self._open_line + first > self._limits.line_bytes:
            raise beyond(self._name, f"has a line longer than {self._limits.line_bytes:,} bytes", "LINE_BYTES")
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._open_line = len(block) - last - 1 if ends else self._open_line + len(block)


def pattern_of(path: Path) -> str:
    """Return the path with `*`, `?` and `[` escaped, which DuckDB's readers would treat as patterns."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in str(path.absolute()))


def beyond(name: str, problem: str, setting: str) -> FileRejectedError:
    """Return the error for a file beyond a limit; `problem` completes "<name> …"."""
    return FileRejectedError(
        f"{name} {problem}. Split it into several files, or raise QUINTET_INBOX_{setting} if it must be so large."
    )


def require_own_file(file: InboxFile) -> None:
    """Raise FileRejectedError unless the entry is a plain file of the inbox itself; nothing is read."""
    name = file.name
    if not is_unicode(str(file.path)):
        raise FileRejectedError(f"{name} has a name that is not UTF-8. Give it another name.")
    if _CONTROL.search(file.path.name):
        raise FileRejectedError(f"{name} has a name with control characters. Give it another name.")
    try:
        entry, status = file.path.lstat(), file.path.stat()
        folder = file.path.parent.resolve()
        is_inside = file.path.resolve().parent == folder
        links = status.st_nlink
        if stat.S_ISREG(status.st_mode) and links > 1:  # other names of the file in the same inbox are no way out
            links -= sum(one.inode() == status.st_ino for one in os.scandir(folder)) - 1
    except (OSError, RuntimeError) as error:
        if file.path.is_symlink():
            raise FileRejectedError(
                f"{name} is a link that points to nothing. Put the file itself into the inbox."
            ) from error
        raise FileRejectedError(f"{name} cannot be opened ({error}). Copy it again into the inbox.") from error
    if stat.S_ISLNK(entry.st_mode) and not is_inside:
        raise FileRejectedError(f"{name} is a link to a file outside the inbox. Put the file itself into the inbox.")
    if stat.S_ISDIR(status.st_mode):
        raise FileRejectedError(f"{name} is a folder. Put the files themselves into the inbox.")
    if not stat.S_ISREG(status.st_mode):
        raise FileRejectedError(f"{name} is not a regular file. Put a plain file into the inbox.")
    if links > 1:
        raise FileRejectedError(
            f"{name} is a hard link: the same file has another name outside the inbox. Put a copy into the inbox."
        )


def is_unicode(text: str) -> bool:
    """Return whether the text can be encoded as UTF-8; text with undecodable bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_bytes(content: bytes) -> int:
    """Return the number of bytes without quotation marks and line ends, in which CSV writers differ."""
    return len(content.translate(None, b'"\r\n'))


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _any_line_is_multibyte(block: bytes) -> bool:
    """Return whether any whole line of a block that is not valid UTF-8 is itself valid UTF-8 beyond ASCII."""
    return any(
        _decodes(codecs.getincrementaldecoder("utf-8")(), line, final=True)
        for line in block.split(b"\n")
        if not line.isascii()
    )
