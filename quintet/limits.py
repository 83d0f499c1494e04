"""The limits on an inbox file, so that no single file can fill the memory or the disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The most that a file may hold; a file beyond a limit is rejected with its reason.

    unpacked_bytes: of its content once unpacked.
    rows: data rows, blank ones included.
    columns: of its header, or of any row of a workbook.
    line_bytes: from one line end to the next. cell_bytes: of a cell; in a CSV or Parquet file only its row is
        quarantined.
    shared_text_bytes: of the texts that the cells of a workbook refer to, in memory.
    """

    unpacked_bytes: int = 4_000_000_000
    rows: int = 20_000_000
    columns: int = 1_000
    line_bytes: int = 16_000_000
    cell_bytes: int = 2_000_000
    shared_text_bytes: int = 200_000_000


DEFAULT_LIMITS = Limits()
