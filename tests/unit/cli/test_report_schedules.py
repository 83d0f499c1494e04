"""`quintet reports`: schedules are listed and ended."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import pytest

from cli import report_schedules
from quintet.domains import open_state_store
from quintet.insurance.report_schedules import add_schedule
from quintet.settings import load_settings
from tests.unit.insurance.schedules import wanted


def test_a_schedule_is_listed_ended_and_then_no_more_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    with closing(open_state_store(load_settings().state)) as store:
        add_schedule(store, "0a1b2c3d", "Ana", wanted(), dt.datetime.now(dt.UTC))

    assert report_schedules.list_schedules() == 0
    assert "ana@example.org" in capsys.readouterr().out
    assert report_schedules.end(1) == 0
    capsys.readouterr()
    assert report_schedules.list_schedules() == 0
    assert "ana@example.org" not in capsys.readouterr().out
    assert report_schedules.end(1) == 2
    assert "there is no active schedule 1" in capsys.readouterr().err
