"""A run starts dbt before its own imports, behind everything else on the machine."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cli import early_dbt
from resources.warm_dbt import SERVER


@pytest.mark.skipif(sys.platform != "linux", reason="dbt is kept warm on Linux alone")
def test_dbt_runs_when_the_processor_is_idle_and_ends_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.delenv(SERVER, raising=False)  # the suite keeps one for all tests
    groups: list[int] = []
    monkeypatch.setattr(early_dbt, "name_group", groups.append)
    with closing(early_dbt.start_dbt()) as warm:
        assert warm.process is not None
        assert groups == [warm.process] == [os.getpgid(warm.process)]
        assert os.sched_getscheduler(warm.process) == os.SCHED_IDLE
        assert os.sched_getscheduler(0) != os.SCHED_IDLE
    with pytest.raises(ProcessLookupError):
        os.kill(warm.process, 0)


def test_a_run_that_has_a_warm_dbt_starts_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setenv(SERVER, str(tmp_path / "socket"))
    with closing(early_dbt.start_dbt()) as warm:
        assert warm.process is None
    assert os.environ[SERVER] == str(tmp_path / "socket")
