"""The environments of comparators: where they are, and why one is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import __main__ as command
from bench.comparators import COMPARATORS, DEBIAN, INSTALL, ON_DEMAND, comparator
from bench.measure import FAILED, MissingError


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty environment in place of the project's own."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    return tmp_path / "venv"


@pytest.mark.parametrize("name", [*COMPARATORS, *DEBIAN])
def test_one_that_must_not_be_installed_names_its_package_and_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INSTALL, "never")
    package = (COMPARATORS.get(name) or (DEBIAN[name],))[0]
    with pytest.raises(MissingError, match=f"{package} is not installed: `python -m bench install` gets it"):
        comparator(name)


@pytest.mark.parametrize("name", ON_DEMAND)
def test_a_large_one_is_got_by_its_benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INSTALL, "never")
    with pytest.raises(MissingError, match="is not installed: a full run of its benchmark gets it"):
        comparator(name)


@pytest.mark.parametrize(("name", "programs"), [("splink", "bin"), ("alertmanager", "usr/bin")])
def test_one_that_is_there_is_not_installed_again(
    name: str, programs: str, prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(INSTALL, "never")
    folder = prefix / "comparators" / name
    folder.mkdir(parents=True)
    (folder / "installed").write_text("\n".join(COMPARATORS.get(name) or (DEBIAN[name],)), "utf-8")
    assert comparator(name) == folder / programs
    (folder / "installed").write_text("another==0.1", "utf-8")
    with pytest.raises(MissingError):
        comparator(name)


def test_a_machine_without_apt_lacks_a_debian_package_alone(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INSTALL, raising=False)
    monkeypatch.setenv("PATH", str(prefix))
    with pytest.raises(MissingError, match="prometheus-alertmanager cannot be unpacked: apt-get"):
        comparator("alertmanager")


def test_one_that_cannot_be_installed_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def refuse(name: str) -> Path:
        asked.append(name)
        raise MissingError(f"there is no {name}")

    monkeypatch.setattr(command, "comparator", refuse)
    assert command.main(["install"]) == FAILED
    assert asked == [*COMPARATORS, *DEBIAN]
    assert "there is no alertmanager" in capsys.readouterr().err
