"""Logging of the services: one JSON object per line on standard error."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial

import structlog
from structlog.typing import Processor

from quintet.redaction import mask_secrets


class LogFile:
    """A file for log lines that never raises: a full disk or a dead reader of the log must not end what logs.

    write: writes bytes and returns how many. Lost lines are counted, and the count is written before the next line that
    can be written. Thread-safe.
    """

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write, self._lock, self._lost = write, threading.Lock(), 0

    def write(self, text: str) -> int:
        """Write a line; return its length."""
        with self._lock:
            try:
                if self._lost:
                    self._write_all(f'\n{{"event": "{self._lost} log lines could not be written", "level": "error"}}\n')
                    self._lost = 0
                self._write_all(text)
            except OSError:
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: lines are not buffered."""

    def _write_all(self, text: str) -> None:
        left = text.encode(errors="backslashreplace")
        while left:
            left = left[self._write(left) :]


def log_as_json(*processors: Processor) -> None:
    """Configure structlog; `processors` come before the level, the time and the masking of secrets."""
    structlog.configure(
        processors=[
            *processors,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # without local variables: keys are among them
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            mask_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(LogFile(partial(os.write, sys.stderr.fileno()))),  # type: ignore[arg-type]  # writes and flushes
        cache_logger_on_first_use=True,
    )
