"""The result of a generator: inbox files and the truth behind them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class SampleFile:
    """One inbox file.

    rows: its columns in order, named as in the header; nulls are written as empty cells.
    delimiter, line_end: as in the original files; ends_with_line_end: whether the last line has a line end.
    timestamp_format: how timestamp columns are written, for `strftime`.
    """

    dataset: str
    name: str
    rows: pd.DataFrame
    delimiter: str = ","
    line_end: str = "\n"
    ends_with_line_end: bool = True
    timestamp_format: str = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class SampleText:
    """One inbox file that is not a table: its text and its number of data rows."""

    dataset: str
    name: str
    text: str
    rows: int


@dataclass(frozen=True)
class Sample:
    """The files of a world and its truth tables by name. texts: files that are not tables."""

    files: tuple[SampleFile, ...]
    truth: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    texts: tuple[SampleText, ...] = ()
