"""All lines go to files; the terminal shows warnings, and one line for the start and the end of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cli.quiet_log import QuietLog, summary_of

RUN = "0a1b2c3d-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"2026-11-29 10:00:00 +0000 - dagster - DEBUG - everything - {RUN} - 7 - RUN_START - Started",
            "run 0a1b2c3d began",
        ),
        (
            f"2026-11-29 10:00:00 +0000 - dagster - DEBUG - everything - {RUN} - 7 - RUN_SUCCESS - x",
            "run 0a1b2c3d succeeded",
        ),
        (
            f"2026-11-29 10:00:00 +0000 - dagster - ERROR - everything - {RUN} - 7 - RUN_FAILURE - x",
            "run 0a1b2c3d failed",
        ),
        (f"2026-11-29 10:00:00 +0000 - dagster - DEBUG - everything - {RUN} - 7 - STEP_START - x", None),
        ("2026-11-29 10:00:00 +0000 - dagster - INFO - Serving the webserver", None),
        ("2026-11-29 10:00:00 +0000 - dagster.daemon - WARNING - a tick was late", "warning: a tick was late"),
        (
            "\x1b[32m2026-11-29 10:00:00 +0000\x1b[0m - dagster - \x1b[34mERROR\x1b[0m - no disk",
            "error: no disk",
        ),
        ("2026-11-29 10:00:00 +0000 - dagster - WARNING - Found a dagster instance configuration value (x)", None),
        ('{"level": "info", "event": "request"}', None),
        ('{"level": "info", "event": "the snapshot is complete"}', "the snapshot is complete"),
        ('{"level": "error", "event": "unavailable", "error": "no disk"}', "error: unavailable (error=no disk)"),
        ("{not json", "{not json"),
    ],
)
def test_only_important_lines_are_shown(text: str, shown: str | None) -> None:
    assert summary_of(text) == shown


def test_the_files_have_every_line(tmp_path: Path) -> None:
    terminal = io.StringIO()
    with QuietLog(tmp_path, terminal, frozenset({"crm"})) as log:
        log('serve   | {"level": "info", "event": "request é"}\n')
        log("crm     | 5 decided\n")
    assert terminal.getvalue() == "crm | 5 decided\n"
    assert (tmp_path / "serve.log").read_text("utf-8") == '{"level": "info", "event": "request é"}\n'
    assert (tmp_path / "crm.log").read_text("utf-8") == "5 decided\n"
