"""`quintet models`: the same commands for the models of every business, or a message that says what to do."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cli.models import main
from quintet.change_log.log import open_store
from quintet.domains import MODELS
from quintet.ml.life_cycle import Candidate, promote
from quintet.ml.model_registry import ModelRegistry, Verdict
from quintet.settings import Settings
from quintet.shared_files import latest
from quintet.shared_serving import sha256_of

NOW = dt.datetime(2026, 1, 1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home in which each business has an active model, one that was active before, and one that was refused."""
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    for name, spec in MODELS.items():
        module = importlib.import_module(spec.module)
        monkeypatch.setattr(module, "read_model", lambda text: text)
        monkeypatch.setattr(module, "compare_models", compare)
        for version, verdict in (("one", True), ("two", True), ("three", False)):
            model = Candidate(f"{name}-{version}", f"text of {version}", {spec.trained_on: 1_234})
            promote(registry(tmp_path, name), model, Verdict(verdict, "as measured"), "a test", NOW)
    return tmp_path


def compare(_: Settings, one: str, other: str) -> pd.DataFrame:
    return pd.DataFrame([("the text", one, other)], columns=["figure", "one", "other"])


def registry(home: Path, name: str) -> ModelRegistry:
    return MODELS[name].registry(home / "models")


def test_the_businesses_that_train_have_a_model_each() -> None:
    assert set(MODELS) == {"conversions", "promotions", "lending"}
    for spec in MODELS.values():
        module = importlib.import_module(spec.module)
        assert callable(module.read_model)
        assert callable(module.compare_models)


@pytest.mark.usefixtures("home")
def test_the_list_shows_every_model_with_its_state_and_the_verdict_of_the_gate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main("list", None) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, spec in MODELS.items():
        for version, state, verdict in (
            ("one", "was active", "passed"),
            ("two", "active", "passed"),
            ("three", "refused", "refused"),
        ):
            (line,) = [line for line in lines if f"{name}-{version}" in line]
            assert f" {state} " in line
            assert f"{verdict}: as measured" in line
            assert f"1,234 {spec.trained_on}" in line
    assert main("list", "lending") == 0
    assert "promotions" not in capsys.readouterr().out


def test_a_model_that_is_activated_is_shared_with_services_elsewhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUINTET_SERVING_URL", f"file://{tmp_path}/bucket")
    assert main("rollback", "lending") == 0
    release = latest(open_store(f"file://{tmp_path}/bucket"))
    index = home / "models" / "lending_scoring" / "index.json"
    assert release is not None
    assert release.files["models/lending_scoring/index.json"].sha256 == sha256_of(index)
    monkeypatch.setenv("QUINTET_SERVING_URL", "http://key:secret-word@127.0.0.1:1/bucket")
    assert main("activate", "lending", "lending-two") == 2
    printed = capsys.readouterr().err
    assert "QUINTET_SERVING_URL cannot be written" in printed
    assert "secret-word" not in printed


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_rolled_back_and_activated_again(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("rollback", name) == 0
    assert registry(home, name).active().version == f"{name}-one"
    assert f"quintet run --select {name}" in capsys.readouterr().out
    assert main("rollback", name) == 2
    assert "no model was active before this one" in capsys.readouterr().err
    assert main("activate", name, f"{name}-two") == 0
    assert registry(home, name).active().version == f"{name}-two"


@pytest.mark.parametrize("name", MODELS)
def test_a_challenger_is_compared_with_the_active_model(
    home: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("compare", name, None) == 0
    assert "text of one" in capsys.readouterr().out
    assert main("challenge", name, f"{name}-three") == 0
    capsys.readouterr()
    assert main("compare", name, None) == 0
    shown = capsys.readouterr().out
    assert "text of two" in shown
    assert "text of three" in shown
    assert main("challenge", name, "none") == 0
    assert registry(home, name).challenger() is None


@pytest.mark.parametrize("action", ["activate", "challenge", "compare"])
def test_an_unknown_version_is_refused_with_the_known_ones(
    home: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(action, "lending", "nothing") == 2
    error = capsys.readouterr().err
    assert "there is no model nothing" in error
    assert "lending-one" in error
    assert registry(home, "lending").active().version == "lending-two"


def test_a_version_that_this_release_cannot_use_is_not_activated(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: str) -> None:
        raise ValueError("of another method")

    monkeypatch.setattr(importlib.import_module(MODELS["promotions"].module), "read_model", refuse)
    assert main("activate", "promotions", "promotions-one") == 2
    assert "promotions-one cannot be used: of another method" in capsys.readouterr().err
    assert registry(home, "promotions").active().version == "promotions-two"


@pytest.mark.usefixtures("home")
def test_a_business_without_a_model_is_refused_with_those_that_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("rollback", "payments"), ("list", "payments")):
        assert main(*arguments) == 2
        assert "payments has no model; there are promotions, conversions, lending" in capsys.readouterr().err
