"""The command line of scoring models: each command works, or reports why it failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from quintet.lending.__main__ import main
from quintet.lending.models import Promotion, registry_of
from quintet.lending.policy import DEFAULT_POLICY
from quintet.ml.model_registry import ModelRegistry

Run = tuple[duckdb.DuckDBPyConnection, Promotion]


@pytest.fixture
def home(run: Run, registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the trained models and a published training set."""
    assert run[1].model is not None
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    shutil.copytree(registry.folder, registry_of(tmp_path / "models").folder)
    (tmp_path / "serving").mkdir()
    path = tmp_path / "serving" / "one.duckdb"
    run[0].execute(f"attach '{path}' as published")
    run[0].execute("create schema published.ml")
    run[0].execute("create table published.ml.lending_training_set as from ml.lending_training_set")
    run[0].execute("detach published")
    (tmp_path / "serving" / "current.duckdb").symlink_to(path)
    return tmp_path


def _models(home: Path) -> ModelRegistry:
    return registry_of(home / "models")


def test_the_list_shows_the_active_model_and_the_challenger(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for version in _models(home).versions():
        assert version.version[:12] in shown
    assert "active" in shown
    assert "in shadow" in shown


def test_rollback_activates_the_previous_model(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = _models(home)
    first, challenger = models.current(), models.challenger()
    assert first is not None
    assert challenger is not None
    assert main(["use", challenger.version]) == 0
    assert main(["rollback"]) == 0
    current = models.current()
    assert current is not None
    assert current.version == first.version
    assert f"{first.version} is active again" in capsys.readouterr().out
    assert main(["rollback"]) == 2
    assert "no model was active before this one" in capsys.readouterr().err


def test_a_challenger_is_set_and_removed(home: Path) -> None:
    version = _models(home).versions()[-1].version
    assert main(["challenge", version]) == 0
    challenger = _models(home).challenger()
    assert challenger is not None
    assert challenger.version == version
    assert main(["challenge", "none"]) == 0
    assert _models(home).challenger() is None


@pytest.mark.parametrize("command", ["use", "challenge"])
def test_an_unknown_model_is_refused_with_the_known_ones(
    home: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "scorecard-0"]) == 2
    error = capsys.readouterr().err
    assert "there is no model scorecard-0" in error
    assert _models(home).versions()[0].version in error


def test_another_policy_is_tried_on_past_applications(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    changed = home / "changed.toml"
    changed.write_text(
        DEFAULT_POLICY.read_text("utf-8").replace("approve_below = 0.20", "approve_below = 0.35"), "utf-8"
    )
    assert main(["what-if", str(changed)]) == 0
    shown = capsys.readouterr().out
    assert "are new" in shown
    assert "realised defaults" in shown


def test_a_broken_policy_is_refused_with_its_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = home / "broken.toml"
    broken.write_text(DEFAULT_POLICY.read_text("utf-8").replace("overdue_loans_count", "shoe_size"), "utf-8")
    assert main(["what-if", str(broken)]) == 2
    error = capsys.readouterr().err
    assert "broken.toml, line" in error
    assert "shoe_size" in error


def test_without_a_model_it_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    assert main(["what-if", str(DEFAULT_POLICY)]) == 2
    assert "make run SELECT=lending" in capsys.readouterr().err
