"""A fault of the environment is one line with what to do; a fault of the program keeps its traceback."""

from __future__ import annotations

import errno
import sqlite3

import duckdb
import pytest

from cli.faults import in_one_line, without_traceback
from quintet.settings import SettingsError
from quintet.warehouse.database import WarehouseBusyError


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "Make room"),
        (sqlite3.OperationalError("database or disk is full"), 1, "Make room"),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), 1, "Make room"),
        (PermissionError(errno.EACCES, "Permission denied", "/home/x"), 1, "/home/x"),
        (sqlite3.OperationalError("attempt to write a readonly database"), 1, "QUINTET_HOME"),
        (OSError(errno.EADDRINUSE, "Address already in use"), 2, "port"),
        (WarehouseBusyError("warehouse.duckdb is in use by process 7"), 1, "process 7"),
        (SettingsError("QUINTET_PORT is x"), 2, "QUINTET_PORT"),
    ],
)
def test_a_fault_outside_is_one_line(
    error: Exception, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise RuntimeError("around it") from error

    assert without_traceback(fail) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_fault_of_the_program_is_raised() -> None:
    assert in_one_line(ValueError("a slip")) is None
    with pytest.raises(ZeroDivisionError):
        without_traceback(lambda: 1 // 0)
