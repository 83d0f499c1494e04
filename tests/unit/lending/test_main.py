"""`quintet models what-if`: it decides past applications with another policy, or reports why it cannot."""

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


def test_another_policy_is_tried_on_past_applications(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    changed = home / "changed.toml"
    changed.write_text(
        DEFAULT_POLICY.read_text("utf-8").replace("approve_below = 0.20", "approve_below = 0.35"), "utf-8"
    )
    assert main([str(changed)]) == 0
    shown = capsys.readouterr().out
    assert "are new" in shown
    assert "realised defaults" in shown


def test_a_broken_policy_is_refused_with_its_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = home / "broken.toml"
    broken.write_text(DEFAULT_POLICY.read_text("utf-8").replace("overdue_loans_count", "shoe_size"), "utf-8")
    assert main([str(broken)]) == 2
    error = capsys.readouterr().err
    assert "broken.toml, line" in error
    assert "shoe_size" in error


def test_without_a_model_it_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    assert main([str(DEFAULT_POLICY)]) == 2
    assert "make run SELECT=lending" in capsys.readouterr().err
