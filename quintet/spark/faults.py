"""Say what to do about a fault of a Spark cluster, from what it reports."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_RAISED = re.compile(r"^(\w*(?:Error|Exception)): (.*)$", re.MULTILINE)
"""A line of a traceback with the exception."""
_MISSING = re.compile(r"No module named '(\w+)")
_CONNECT_SECONDS = 5.0
_PORT = 15_002

_ADVICE = {
    (
        "No module named 'quintet",
    ): "its workers lack the package; install this version of Quintet for their Python {own}",
    ("No module named '",): "its workers lack {missing}; install Quintet with what it needs for their Python {own}",
    ("PYTHON_VERSION_MISMATCH",): "its workers run another Python; they need {own}, with this version of Quintet",
    ("Cannot run program",): "its workers have no such Python; install {own} with this version of Quintet, and name it "
    "in their PYSPARK_PYTHON",
    (
        "MemoryError",
        "OutOfMemory",
        "Cannot allocate memory",
        "Python worker exited unexpectedly",
        "ExecutorLostFailure",
        "Resources exhausted",
    ): "a worker ran out of memory or was killed. Lower QUINTET_SPARK_GROUP_ROWS (now {group_rows:,}), or give the "
    "workers more memory (spark.executor.memory and spark.executor.memoryOverhead)",
    ("Permission denied", "AccessControlException", "Mkdirs failed"): "its workers may not use QUINTET_SPARK_FOLDER, "
    "which only the account of Quintet may read; run the workers under that account",
    ("PATH_NOT_FOUND", "does not exist", "No such file or directory"): "its workers do not see the folder; share it "
    "with them, and name it in QUINTET_SPARK_FOLDER",
    (
        "StatusCode.UNAVAILABLE",
        "failed to connect",
        "Connection refused",
        "Connection reset",
        "Socket closed",
    ): "its server went away in the middle of the step; nothing was changed. Start it and run again",
}
"""What to do, by signs in the text of a report; the first that fits."""


class SparkError(RuntimeError):
    """A step cannot run on the cluster; the message says why and what to do."""


def need_answer(remote: str) -> None:
    """Raise SparkError if nothing listens at the address: the client itself would try for minutes."""
    address = urlsplit(remote)
    try:
        socket.create_connection((address.hostname or "", address.port or _PORT), _CONNECT_SECONDS).close()
    except OSError as error:
        place = f"{address.hostname}:{address.port or _PORT}"
        raise SparkError(
            f"no Spark Connect server answers at {place} ({error.strerror or error}); start it, correct "
            "QUINTET_SPARK_REMOTE, or run with --engine duckdb"
        ) from error


@contextmanager
def explained(remote: str, group_rows: int) -> Iterator[None]:
    """Turn what the cluster reports into a SparkError that says what to do. group_rows: the most rows of a group."""
    try:
        yield
    except Exception as error:
        place = urlsplit(remote).hostname
        why = _why(str(error), type(error).__name__, group_rows)
        raise SparkError(f"the Spark cluster at {place} could not run the step: {why}") from error


def _why(text: str, kind: str, group_rows: int) -> str:
    advice = next((what for signs, what in _ADVICE.items() if any(sign in text for sign in signs)), None)
    if advice is None:
        raised = _RAISED.findall(text)
        return ": ".join(raised[-1] if raised else (kind, text.strip()))
    missing = _MISSING.search(text)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return advice.format(own=own, group_rows=group_rows, missing=missing[1] if missing else "")
