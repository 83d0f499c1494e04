"""`quintet dev` keeps one warm dbt for its runs from its start to its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cli import dagster_dev
from resources.warm_dbt import SERVER


@pytest.mark.skipif(sys.platform != "linux", reason="dbt is kept warm on Linux alone")
def test_runs_find_a_warm_dbt_while_it_is_up_and_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv(SERVER, raising=False)  # set by other tests in this process
    monkeypatch.setattr(dagster_dev, "step_back", lambda: None)  # the rest of the suite keeps its priority
    found: list[bool] = []

    def dev_command(arguments: list[str]) -> None:
        found.append(Path(os.environ[SERVER]).is_socket())
        raise KeyboardInterrupt(arguments)

    monkeypatch.setattr(dagster_dev, "dev_command", dev_command)
    with pytest.raises(KeyboardInterrupt):
        dagster_dev.main("3000")
    assert found == [True]
    assert SERVER not in os.environ
