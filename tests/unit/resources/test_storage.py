"""Dagster's files are in the home, whoever starts Dagster."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.storage import folder_of


@pytest.mark.parametrize(("home", "folder"), [("", "data"), ("elsewhere", "elsewhere")])
def test_without_dagster_home_the_files_are_in_the_home(
    home: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("QUINTET_HOME", home)
    assert folder_of({"base_dir": "history"}) == str(tmp_path / folder / "dagster" / "history")


def test_a_folder_of_the_configuration_starts_at_dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "history of dagster"))
    assert folder_of({"base_dir": "history"}) == str(tmp_path / "history of dagster" / "history")
    assert folder_of({"base_dir": str(tmp_path)}) == str(tmp_path)
