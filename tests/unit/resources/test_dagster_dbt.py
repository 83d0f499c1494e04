"""dagster-dbt selects all models of a manifest, also where another program has imported it, and logs what is new."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from resources.dagster_dbt import dbt_cli_event, is_news
from tests.waiting import LONG_SECONDS

PROJECT = Path(__file__).parents[3]
SELECTED = """
import sys
import dagster_dbt
assert "dbt.version" in sys.modules
{ours}
from dagster_dbt.utils import select_unique_ids
print(sorted(select_unique_ids("", "", "", None, {{"nodes": {{"model.a.b": {{}}}}}})))
"""


def _select(ours: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SELECTED.format(ours=ours)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )


@pytest.mark.parametrize(("ours", "is_selected"), [("import resources.dagster_dbt", True), ("", False)])
def test_all_models_are_selected_after_our_import_and_not_without_it(ours: str, is_selected: bool) -> None:
    done = _select(ours)
    assert (done.stdout.strip() == "['model.a.b']") is is_selected, done.stderr


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
