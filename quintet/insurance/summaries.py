"""Summaries of one request: several figures of a page need the same one, and it is computed once."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pandas as pd

from quintet.insurance.performance import Filters, summary_frame


class Summaries:
    """The summaries of a snapshot; each is computed when it is first needed. Callers must not change a frame."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor
        self._found: dict[tuple[Filters, tuple[str, ...]], pd.DataFrame] = {}

    def of(self, filters: Filters, group_by: Sequence[str]) -> pd.DataFrame:
        """Return `performance.summary_frame` of the filters and pivots."""
        asked = (filters, tuple(group_by))
        if asked not in self._found:
            self._found[asked] = summary_frame(self.cursor, filters, group_by)
        return self._found[asked]
