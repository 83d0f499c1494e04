"""Cleaning removes what can be built again; keys, decisions, labels and models need a confirmation."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import clean as module
from cli.__main__ import app
from cli.clean import KEPT, clean
from cli.daemon_lock import daemon_lock
from cli.home import HomeError
from quintet.domains import open_state_store
from quintet.state.audit import last_entries


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with what each part writes, and inboxes in it."""
    home = tmp_path / "data"
    for folder in ("online", "models", "objects", "postgres", "serving", "dagster", "logs", "lending", "raw"):
        (home / folder).mkdir(parents=True)
        (home / folder / "file").write_text("x")
    for file in ("warehouse.duckdb", "failures.jsonl", "postgres.lock"):
        (home / file).write_text("x")
    (tmp_path / "dbt_project" / "target").mkdir(parents=True)
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    return home


def _names(home: Path) -> set[str]:
    return {entry.name for entry in home.iterdir()}


def _never(question: str) -> str:
    raise AssertionError(question)


def test_what_nothing_builds_again_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clean(home, home / "raw", everything=False, ask=_never, is_terminal=True) == 0
    assert _names(home) == {*KEPT, "postgres.lock", "raw"}
    assert (home / "online" / "file").exists()
    assert not (home.parent / "dbt_project" / "target").exists()
    assert "API keys, decisions, labels" in capsys.readouterr().out


def test_everything_goes_after_a_confirmation_and_the_inboxes_stay(home: Path) -> None:
    assert clean(home, home / "raw", everything=True, ask=lambda _: " delete\n", is_terminal=True) == 0
    assert _names(home) == {"raw"}
    assert (home / "raw" / "file").exists()


@pytest.mark.parametrize("answer", ["", "y", "no", "DELETE"])
def test_without_the_word_nothing_is_deleted(home: Path, answer: str) -> None:
    before = _names(home)
    assert clean(home, home / "raw", everything=True, ask=lambda _: answer, is_terminal=True) == 2
    assert _names(home) == before


def test_without_a_terminal_nothing_is_deleted(home: Path) -> None:
    before = _names(home)
    assert clean(home, home / "raw", everything=True, ask=_never, is_terminal=False) == 2
    assert _names(home) == before


def test_a_home_in_use_is_left_alone(home: Path) -> None:
    before = _names(home)
    with daemon_lock(home / "dagster"), pytest.raises(HomeError, match="is in use"):
        clean(home, home / "raw", everything=False, ask=_never, is_terminal=True)
    assert _names(home) == before


def test_inboxes_deep_in_the_home_stay(home: Path) -> None:
    (home / "serving" / "raw").mkdir()
    clean(home, home / "serving" / "raw", everything=False, ask=_never, is_terminal=True)
    assert (home / "serving" / "raw").is_dir()


@pytest.mark.parametrize("has_state", [True, False])
def test_the_audit_log_has_it_if_it_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_state: bool
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setattr("cli.__main__.enter_project", lambda _: None)
    monkeypatch.setenv("QUINTET_RAW", str(tmp_path / "raw"))
    monkeypatch.setattr(module, "clean", lambda *_: 0)
    if has_state:
        (tmp_path / "online").mkdir()
    assert CliRunner().invoke(app, ["clean"]).exit_code == 0
    assert (tmp_path / "online").is_dir() is has_state
    if has_state:
        with closing(open_state_store(tmp_path / "online")) as store:
            assert [(one.action, one.outcome) for one in last_entries(store, 9)] == [("clean", "done")]
