"""A log that cannot be written ends nothing, and says later what is missing."""

from __future__ import annotations

import errno
import os
from functools import partial

from quintet.logs import LogFile


class _Disk:
    """Takes at most five bytes at a time, and none while it is full."""

    def __init__(self) -> None:
        self.is_full, self.content = False, b""

    def write(self, data: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += data[:5]
        return len(data[:5])


def test_lines_that_cannot_be_written_are_counted_and_the_count_is_written() -> None:
    disk = _Disk()
    log = LogFile(disk.write)
    log.write("a line\n")
    disk.is_full = True
    log.write("b\n")
    log.write("c\n")
    disk.is_full = False
    log.write("d\n")
    log.write("\ud800\n")
    assert disk.content.decode().splitlines() == [
        "a line",
        "",
        '{"event": "2 log lines could not be written", "level": "error"}',
        "d",
        "\\ud800",
    ]


def test_a_reader_that_has_gone_raises_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    assert LogFile(partial(os.write, writes)).write("a\n") == 2
    os.close(writes)
