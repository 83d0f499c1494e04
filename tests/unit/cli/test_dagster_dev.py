"""`quintet dev` keeps one warm dbt and one warm process for its runs from its start to its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cli import dagster_dev
from resources.run_launcher import RUN_SERVER
from resources.warm_dbt import SERVER


@pytest.mark.skipif(sys.platform != "linux", reason="forks are safe on Linux alone")
def test_runs_find_warm_processes_while_it_is_up_and_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv(SERVER, raising=False)  # set by other tests in this process
    monkeypatch.setattr(dagster_dev, "step_back", lambda: None)  # the rest of the suite keeps its priority
    found: list[bool] = []

    def run_side_by_side(programs: dict[str, list[str]]) -> None:
        found.extend(Path(os.environ[name]).is_socket() for name in (SERVER, RUN_SERVER))
        assert "cli.dagster_ui" in programs["the UI"]

    monkeypatch.setattr(dagster_dev, "run_side_by_side", run_side_by_side)
    dagster_dev.main(3000)
    assert found == [True, True]
    assert not {SERVER, RUN_SERVER} & os.environ.keys()


def test_a_part_that_ends_by_itself_ends_the_others() -> None:
    python = [sys.executable, "-c"]
    with pytest.raises(dagster_dev.PartEndedError, match="the UI of Dagster has ended with status 3"):
        dagster_dev.run_side_by_side(
            {"the daemon": [*python, "import time; time.sleep(3600)"], "the UI": [*python, "raise SystemExit(3)"]}
        )
