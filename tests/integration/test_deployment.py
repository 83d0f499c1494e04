"""What is installed elsewhere: the locks, the wheel, the container image and the composition of containers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from quintet.code_version import PROJECT
from tests.machine import require_program

_LOCKED = re.compile(r"^(\S+==\S+)", re.MULTILINE)
_HASH = re.compile(r"sha256:\w+")


def _locked(name: str) -> set[str]:
    return set(_LOCKED.findall((PROJECT / name).read_text("utf-8")))


@pytest.mark.parametrize("name", ["requirements-run.lock", "requirements-build.lock"])
def test_a_partial_lock_has_the_versions_and_hashes_of_the_whole(name: str) -> None:
    whole, part = (PROJECT / "requirements.lock").read_text("utf-8"), (PROJECT / name).read_text("utf-8")
    only_in_part = {entry.split("==")[0] for entry in _locked(name) - _locked("requirements.lock")}
    assert only_in_part <= {"uv", "tomlkit"}  # with them the build begins
    if not only_in_part:
        assert set(_HASH.findall(part)) <= set(_HASH.findall(whole))


def test_the_lock_of_runs_has_nothing_of_development_alone() -> None:
    names = {entry.split("==")[0] for entry in _locked("requirements-run.lock")}
    assert {"dagster", "duckdb", "dbt-core", "fastapi"} <= names
    assert not names & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "hatchling"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installation has it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=PROJECT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_has_every_file_that_a_run_reads(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "quintet", "assets", "resources", "sensors", "cli", "dbt_project", "policy"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    wanted = {*listed, "definitions.py", "dagster.yaml", "workspace.yaml", "requirements.lock"}
    assert {name for name in wanted if not (wheel / name).is_file()} == set()


def test_an_installed_package_builds_and_publishes_and_writes_nothing_beside_itself(
    wheel: Path, tmp_path: Path
) -> None:
    before = _files(wheel)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
    environment |= {
        "PYTHONPATH": str(wheel),
        "PYTHONDONTWRITEBYTECODE": "1",
        "QUINTET_RAW": str(PROJECT / "data" / "raw"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli", "run", "--select", "insurance"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "data" / "serving" / "current.duckdb").exists()
    assert _files(wheel) == before


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_the_composition_is_valid(tmp_path: Path) -> None:
    program = require_program("docker-compose")
    done = subprocess.run(
        [program, "--file", str(PROJECT / "compose.yaml"), "config", "--quiet"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
