"""The log of dagster-dbt: no warning for each test of what a Python step writes, and every other line."""

from __future__ import annotations

import logging

import pytest

from resources.dagster_dbt import dbt_cli_event, is_news


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("dagster", logging.WARNING, __file__, 1, text, (), None)


@pytest.mark.parametrize(
    ("text", "is_logged"),
    [
        (
            "Logging an `AssetObservation` instead of an `AssetCheckResult` for dbt test `unique_spelling`.\n\nIt …",
            False,
        ),
        ("dbt test `unique_spelling` took 20 s", True),
    ],
)
def test_only_what_is_no_news_is_left_out(text: str, is_logged: bool) -> None:
    assert is_news(_record(text)) is is_logged
    assert bool(dbt_cli_event.logger.filter(_record(text))) is is_logged
