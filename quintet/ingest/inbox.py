"""List the files of an inbox folder."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path

from quintet.limits import DEFAULT_LIMITS, Limits

_DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})(?!\d)")
_NUMBER_IN_NAME = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_NOT_YET_A_FILE = re.compile(r"^(\.|~\$)|\.(part|partial|tmp|crdownload|swp)$|~$", re.IGNORECASE)


@dataclass(frozen=True)
class InboxFile:
    """One entry of an inbox folder.

    name: the file's name, with escapes for bytes that are not UTF-8 and for control characters.
    arrived_at: when it arrived in the folder (change time of its inode, UTC without zone). It does not depend on the
        order in which files are loaded, and copying with old times does not change it.
    version: size and times; if they differ later, the file was written to in between.
    limits: what the file may hold at most.
    """

    dataset: str
    path: Path
    name: str
    bytes: int
    arrived_at: dt.datetime
    version: tuple[int, int]
    limits: Limits = DEFAULT_LIMITS

    @property
    def date_in_name(self) -> dt.date | None:
        """As `date_in_name` finds it."""
        return date_in_name(self.name)

    @property
    def number_in_name(self) -> int | None:
        """As `number_in_name` finds it."""
        return number_in_name(self.name)


def date_in_name(name: str) -> dt.date | None:
    """Return the last valid date in a file's name, written as 2024-05-01, 2024_05_01 or 20240501."""
    for year, month, day in reversed(_DATE_IN_NAME.findall(name)):
        try:
            return dt.date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None


def number_in_name(name: str) -> int | None:
    """Return the last number of up to five digits in a file's name: 2 for `transactions_2.csv`.

    It counts days, so longer numbers (a time, a key) and the parts of a date are ignored.
    """
    numbers = _NUMBER_IN_NAME.findall(_DATE_IN_NAME.sub("", name))
    return int(numbers[-1]) if numbers else None


def list_inbox(raw: Path, dataset: str, limits: Limits = DEFAULT_LIMITS) -> list[InboxFile]:
    """Return the entries of `raw/<dataset>` by name, without hidden and temporary ones; none for a missing folder."""
    folder = raw / dataset
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        found = [
            _describe(dataset, Path(entry.path), limits) for entry in entries if not _NOT_YET_A_FILE.search(entry.name)
        ]
    return sorted(found, key=lambda file: file.name)


def _describe(dataset: str, path: Path, limits: Limits) -> InboxFile:
    status = _status(path)
    arrived_at = dt.datetime.fromtimestamp(status.st_ctime_ns / 1e9, tz=dt.UTC).replace(tzinfo=None)
    return InboxFile(
        dataset=dataset,
        path=path,
        name=_printable(path.name),
        bytes=status.st_size,
        arrived_at=arrived_at,
        version=(status.st_size, status.st_mtime_ns),
        limits=limits,
    )


def _printable(name: str) -> str:
    """Return the name with escapes for bytes that are not UTF-8 and for control characters."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError:  # a broken symlink: `examine` reports it
        return path.lstat()


def is_settled(file: InboxFile, now: dt.datetime, settle_seconds: float) -> bool:
    """Return whether the file is unchanged for `settle_seconds` before `now` (UTC, without zone)."""
    return unsettled_seconds(file, now, settle_seconds) <= 0


def unsettled_seconds(file: InboxFile, now: dt.datetime, settle_seconds: float) -> float:
    """Return the seconds after `now` until the file is settled if it stays unchanged; 0 or less if it is settled."""
    modified_at = dt.datetime.fromtimestamp(file.version[1] / 1e9, tz=dt.UTC).replace(tzinfo=None)
    return settle_seconds - (now - max(modified_at, file.arrived_at)).total_seconds()


def still_as_listed(file: InboxFile) -> bool:
    """Return whether the file is unchanged since it was listed."""
    try:
        status = _status(file.path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == file.version
