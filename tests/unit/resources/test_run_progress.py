"""A run reports its progress for the pages while it is executed, whoever started it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from quintet.builds import Progress, progress_of
from quintet.pipeline import Asset, builds
from resources.event_log import open_instance


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with Dagster's folder in it."""
    (tmp_path / "dagster").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    return tmp_path


def run(home: Path, *, fails: bool = False) -> list[Progress | None]:
    """Execute a run of two assets; return the progress that the second one finds."""
    found: list[Progress | None] = []

    @dg.asset
    def first_table() -> None:
        """Build nothing."""

    @dg.asset(deps=[first_table])
    def second_table() -> None:
        found.append(progress_of(home))
        if fails:
            raise ValueError("the step fails")

    with open_instance() as instance:
        dg.materialize([first_table, second_table], instance=instance, raise_on_error=False)
    return found


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_says_which_step_it_is_at_and_ends_its_report(home: Path, *, fails: bool) -> None:
    [progress] = run(home, fails=fails)

    assert progress is not None
    assert (progress.doing, progress.done, progress.total) == ("second table", 1, 2)
    assert progress_of(home) is None, "a run that ended, however, is at no step"


def test_how_assets_ended_is_recorded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {name: Asset(name, "ops", name, "", ()) for name in ("first_table", "second_table")}
    monkeypatch.setattr("resources.run_progress.lineage", lambda: steps)
    run(home, fails=True)
    found = builds(home)
    assert found["first_table"].built_at
    assert found["second_table"].has_failed
    assert found["second_table"].failure.endswith("the step fails")

    run(home)
    assert not builds(home)["second_table"].has_failed


def test_without_a_home_nothing_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUINTET_HOME")

    assert run(home) == [None]
