"""Rows of the state store as frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from quintet.state.store import StateStore


def frame_of(store: StateStore, statement: str, values: Sequence[Any] = ()) -> pd.DataFrame:
    """Return the rows of a statement."""
    found = store.read().execute(statement, values)
    names = [column[0] for column in found.description]
    return pd.DataFrame.from_records([tuple(row) for row in found.fetchall()], columns=names, coerce_float=True)
