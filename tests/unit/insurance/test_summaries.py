"""A summary that several figures need is computed once, and another one is not taken for it."""

from __future__ import annotations

from unittest.mock import MagicMock

import pandas as pd
import pytest

from quintet.insurance import summaries
from quintet.insurance.performance import Filters
from quintet.insurance.summaries import Summaries


def test_each_summary_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Filters, tuple[str, ...]]] = []

    def computed(_: object, filters: Filters, group_by: tuple[str, ...]) -> pd.DataFrame:
        made.append((filters, tuple(group_by)))
        return pd.DataFrame({"number": [len(made)]})

    monkeypatch.setattr(summaries, "summary_frame", computed)
    asked = [(Filters(), ("agency",)), (Filters(), ("year",)), (Filters(state=("TX",)), ("agency",))]
    found = Summaries(MagicMock())
    numbers = [int(found.of(*one)["number"].iloc[0]) for one in [*asked, *asked]]

    assert numbers == [1, 2, 3, 1, 2, 3]
    assert made == asked
