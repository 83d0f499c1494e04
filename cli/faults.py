"""Report faults of the environment in one line without a traceback: what happened, where, and what to do."""

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
    "SparkError": 2,
    "HomeError": 2,
    "HomeInUseError": 2,
    "BackupError": 1,
    "ForgetError": 2,
    "PortError": 2,
    "ExtractError": 1,
    "PublisherError": 1,
    "EmbeddedServerError": 1,
    "WarehouseBusyError": 1,
    "StateError": 1,
    "StateUnavailableError": 1,
    "SharedServingError": 1,
    "ImageError": 1,
    "DagsterStorageError": 1,
}


def in_one_line(error: BaseException) -> tuple[int, str] | None:
    """Return the exit status and the message of an environment fault; None for a fault of the program itself."""
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
        return 1, f"the disk is full{where}. Make room and run again; the published snapshot is unchanged."
    if number in _CLOSED or any(sign in lowered for sign in _CLOSED_TEXTS):
        return 1, f"a file cannot be opened{where}. Grant access to it, or set QUINTET_HOME to another folder."
    if any(sign in lowered for sign in _BUSY_TEXTS):
        return 1, f"another program has a file of this home open{where}. Close it and run again."
    if number == errno.EADDRINUSE:
        return 2, f"a port is in use{where}. End the program that listens there, or choose another port."
    return None


def _of_cause(error: BaseException) -> tuple[int, str] | None:
    """Return the exit status and message for the cause of a fault."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None if behind is None else in_one_line(behind)


def without_traceback(work: Callable[[], int]) -> int:
    """Run `work`; print an environment fault as one line on standard error and return its exit status."""
    try:
        return work()
    except Exception as error:
        found = in_one_line(error)
        if found is None:
            raise
        status, line = found
    # outside the except block: the traceback's frames are gone, and the files they held open are closed
    from quintet.redaction import without_secrets  # noqa: PLC0415  # most commands have no fault

    print(without_secrets(line), file=sys.stderr)
    return status


def _text_of(error: BaseException) -> str | None:
    """Return the message of a system or database fault in one line; None for other faults."""
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _STORES:
        return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return None
