"""Read a PostgreSQL dump of any format as a stream of SQL statements, without running them.

Plain dumps (`.sql`, `.sql.gz`) are split into statements; the archives of `pg_dump` (custom and tar format) are turned
into SQL by `pg_restore` first. psql is not used: its meta-commands can start programs.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from quintet.embedded.postgres import programs

_CHUNK_BYTES = 1 << 18
_LONGEST_STATEMENT_BYTES = 64 << 20
_GZIP, _ARCHIVE, _TAR, _TAR_OFFSET = b"\x1f\x8b", b"PGDMP", b"ustar", 257
_HEADER, _TRAILER = b"-- PostgreSQL database dump\n", b"-- PostgreSQL database dump complete"

_COPY = re.compile(rb"\s*copy\s.*\sfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_DATA_END = re.compile(rb"\n\\\.\r?\n")
_LONGEST_DATA_END = 5
_COMMENT_MARK = re.compile(rb"/\*|\*/")
_ELEMENT = re.compile(
    rb"""
      (?P<end>;)
    | (?P<comment>--[^\n]*\n?)
    | (?P<block>/\*)
    | (?P<command>\\[^\n]*\n?)
    | (?P<blank>\s+)
    | (?P<text>
          (?: (?![eE]')[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*+ | [0-9(),.:=<>\[\]+*|&!@#%^~`?{}\ ] )+
        | [eE]'(?:[^'\\]|\\.|'')*'
        | '[^']*'
        | "[^"]*"
        | \$(?P<tag>(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?)\$.*?\$(?P=tag)\$
      )
    | (?P<open>[eE]?'|"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?(?:\$|\Z))
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""One element of SQL text; `open` is one whose end has not arrived yet."""
_HARMLESS_COMMANDS = ("\\restrict", "\\unrestrict")  # pg_dump writes them for psql


class DumpError(ValueError):
    """A dump cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Statement:
    """One SQL statement without its semicolon; for `copy … from stdin` with the data that follows it.

    data: read it to its end before the next statement; None if none follows.
    """

    sql: bytes
    data: Iterator[bytes] | None = None


@contextmanager
def open_dump(path: Path, report: Callable[[int], None]) -> Iterator[Iterator[bytes]]:
    """Yield the dump's SQL in pieces.

    report: called with the bytes of the file read so far. Raises DumpError while reading if the file is damaged, cut
    off, or no dump.
    """
    with path.open("rb") as file:
        head = file.read(_TAR_OFFSET + len(_TAR))
    if not head:
        raise DumpError("the file is empty. Make the dump again with pg_dump.")
    if head.startswith(_ARCHIVE) or head[_TAR_OFFSET:] == _TAR:
        pieces = _archive(path, report)
    else:
        pieces = _plain(path, head.startswith(_GZIP), report)
    with closing(pieces):
        yield pieces


def _plain(path: Path, is_packed: bool, report: Callable[[int], None]) -> Generator[bytes]:
    begin, tail = b"", b""
    with path.open("rb") as file:
        source = gzip.GzipFile(fileobj=file) if is_packed else file
        try:
            while piece := source.read(_CHUNK_BYTES):
                if b"\0" in piece:
                    raise DumpError(
                        "the file is not SQL text. Use a dump as pg_dump writes it: .sql, .sql.gz or .dump."
                    )
                begin = begin or piece[:4096]
                tail = (tail + piece)[-4096:]
                report(file.tell())
                yield piece
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DumpError(f"the file is cut off or damaged ({error}). Copy or make the dump again.") from None
    if _HEADER in begin and _TRAILER not in tail:
        raise DumpError("the dump is cut off: the last line that pg_dump writes is missing. Copy or make it again.")


def _archive(path: Path, report: Callable[[int], None]) -> Generator[bytes]:
    command = [
        str(programs() / "pg_restore"), "--file=-", "--no-owner", "--no-privileges", "--no-comments",
        "--no-publications", "--no-subscriptions", "--no-security-labels", "--", str(path),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    size = path.stat().st_size
    try:
        read = 0
        while piece := process.stdout.read(_CHUNK_BYTES):
            read += len(piece)
            report(min(read, size))
            yield piece
        message = process.stderr.read(4096).decode(errors="replace").strip().splitlines()
        if process.wait() != 0:
            reason = message[0] if message else f"status {process.returncode}"
            raise DumpError(f"the archive is cut off or damaged ({reason}). Copy or make the dump again.")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def statements(pieces: Iterator[bytes]) -> Iterator[Statement]:
    """Split SQL text into statements; comments before a statement are left out.

    Raises DumpError for text that ends within a statement or within the data of a COPY, and for commands of psql.
    """
    text, is_first = _Text(pieces), True
    while (sql := _statement(text, is_first)) is not None:
        is_first = False
        if _COPY.match(sql) is None:
            yield Statement(sql)
            continue
        data = _copy_data(text)
        yield Statement(sql, data)
        for _ in data:
            pass  # skip the data that the caller did not read


class _Text:
    """SQL text as it arrives; `buffer` before `start` is consumed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.buffer = b""
        self.start = 0

    def more(self) -> bool:
        """Drop consumed text and at least double the rest, to keep rescanning cheap; return False at the end."""
        self.buffer, self.start = self.buffer[self.start :], 0
        if len(self.buffer) > _LONGEST_STATEMENT_BYTES:
            raise DumpError(
                f"a statement is longer than {_LONGEST_STATEMENT_BYTES >> 20} MB. Make the dump without --inserts, "
                "or with --rows-per-insert=1000."
            )
        added, count = [], 0
        while count <= len(self.buffer) and (piece := next(self._pieces, None)) is not None:
            added.append(piece)
            count += len(piece)
        self.buffer = b"".join([self.buffer, *added])
        return count > 0

    def use(self, end: int) -> bytes:
        """Consume and return the text before `end`."""
        begin, self.start = self.start, end
        return self.buffer[begin:end]


def _statement(text: _Text, is_first: bool) -> bytes | None:
    """Return the next statement without its semicolon; None if only blanks and comments are left."""
    place, is_blank = text.start, True
    while (found := _element(text, place)) is not None:
        place, kind = found.end(), found.lastgroup
        if kind == "end" and not is_blank:
            return text.use(place)[:-1]
        if kind == "block":
            place = _end_of_comment(text, place)
        elif kind == "command":
            _refuse_command(found.group(), is_blank)
        elif kind not in ("end", "comment", "blank"):
            is_blank = False
        if is_blank:
            text.use(place)
    if not is_blank and is_first:
        raise DumpError("it is no PostgreSQL dump: it holds no complete statement. Use a dump as pg_dump writes it.")
    if not is_blank:
        raise DumpError("the dump is cut off within a statement. Copy or make it again.")
    return None


def _element(text: _Text, place: int) -> re.Match[bytes] | None:
    """Return the whole element at a place, None at the end of the text. The buffer may move to the front."""
    while True:
        found = _ELEMENT.match(text.buffer, place)
        is_whole = found is not None and found.lastgroup != "open"
        if found is not None and is_whole and (found.lastgroup == "end" or found.end() < len(text.buffer)):
            return found
        # The element may continue in text that has not arrived.
        place -= text.start
        if text.more():
            continue
        if found is not None and not is_whole:
            raise DumpError("the dump is cut off within a quotation. Copy or make it again.")
        return _ELEMENT.match(text.buffer, place)


def _end_of_comment(text: _Text, place: int) -> int:
    """Return the place after a comment that was opened before `place`; comments may be nested."""
    depth = 1
    while depth:
        found = _COMMENT_MARK.search(text.buffer, place)
        if found is None:
            place = max(place, len(text.buffer) - 1) - text.start
            if not text.more():
                raise DumpError("the dump is cut off within a comment. Copy or make it again.")
            continue
        depth += 1 if found.group() == b"/*" else -1
        place = found.end()
    return place


def _refuse_command(line: bytes, is_at_start: bool) -> None:
    """Raise DumpError for a command of psql, except those that pg_dump writes around each dump."""
    words = line.decode(errors="replace").split()
    if is_at_start and words and words[0] in _HARMLESS_COMMANDS:
        return
    if words and words[0] in ("\\connect", "\\c"):
        raise DumpError(
            f"it changes to another database ({' '.join(words)[:80]}). Dump one database, without --create: "
            "pg_dump --file=loan_book.sql DATABASE."
        )
    raise DumpError(
        f"it holds a command of psql, which is not run: {' '.join(words)[:80]}. Make the dump with pg_dump."
    )


def _copy_data(text: _Text) -> Iterator[bytes]:
    """Yield the data after a COPY statement, without the line that ends it."""
    while (line_end := text.buffer.find(b"\n", text.start)) < 0:
        if not text.more():
            raise DumpError("the dump is cut off before the data of a COPY. Copy or make it again.")
    text.use(line_end)  # keep the line end: the end marker of empty data then matches too
    skipped = 1
    while True:
        found = _DATA_END.search(text.buffer, text.start)
        end = found.start() + 1 if found else len(text.buffer) - _LONGEST_DATA_END
        if end > text.start + skipped:
            yield text.use(end)[skipped:]
            skipped = 0
        if found:
            text.use(found.end())
            return
        if not text.more():
            raise DumpError("the dump is cut off within the data of a COPY. Copy or make it again.")
