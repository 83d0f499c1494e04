"""Faults of the outside world in one line: what happened, where, and what to do; no traceback."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL_TEXTS = ("no space left", "disk is full", "disk full", "disk i/o error", "file too large", "disk quota exceeded")
_CLOSED_TEXTS = ("permission denied", "readonly database", "read-only", "unable to open database file")
_BUSY_TEXTS = ("could not set lock", "database is locked")
_STORES = ("duckdb", "_duckdb", "sqlite3", "sqlalchemy")
_OWN = {  # by name, since their modules may not be loaded yet when the fault occurs
    "SettingsError": 2,
    "HomeError": 2,
    "PortError": 2,
    "SourceError": 1,
    "EmbeddedServerError": 1,
    "WarehouseBusyError": 1,
    "StateError": 1,
}


def in_one_line(error: BaseException) -> tuple[int, str] | None:
    """The exit status and the line for a fault; None where it is a fault of the program's own."""
    if type(error).__name__ in _OWN:
        return _OWN[type(error).__name__], str(error)
    text = _text_of(error)
    found = None if text is None else _of_system(error, text)
    return found or _of_cause(error)


def _of_system(error: BaseException, text: str) -> tuple[int, str] | None:
    lowered = text.lower()
    number = error.errno if isinstance(error, OSError) else None
    where = f" ({text})"
    if number in _FULL or any(sign in lowered for sign in _FULL_TEXTS):
        return 1, f"the disk is full{where}. Make room and run again; what is published stays as it is."
    if number in _CLOSED or any(sign in lowered for sign in _CLOSED_TEXTS):
        return 1, f"a file cannot be opened{where}. Allow it, or name another folder in QUINTET_HOME."
    if any(sign in lowered for sign in _BUSY_TEXTS):
        return 1, f"another program has a file of this home open{where}. Close it and run again."
    if number == errno.EADDRINUSE:
        return 2, f"a port is in use{where}. End the program that listens there, or choose another port."
    return None


def _of_cause(error: BaseException) -> tuple[int, str] | None:
    """What the fault behind a fault says."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None if behind is None else in_one_line(behind)


def without_traceback(work: Callable[[], int]) -> int:
    """Run `work`; a fault of the outside world becomes a line on standard error and an exit status."""
    try:
        return work()
    except Exception as error:
        found = in_one_line(error)
        if found is None:
            raise
        status, line = found
    # outside of the except: frames that the traceback held are gone, and with them what they had open
    print(line, file=sys.stderr)
    return status


def _text_of(error: BaseException) -> str | None:
    """What a fault of the system or of a store says, in one line; None for other faults."""
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _STORES:
        return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return None
