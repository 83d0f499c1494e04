"""An installation keeps pip's settings, is repeated if incomplete, and reports what is missing in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli import install


def test_the_settings_of_pip_become_those_of_uv() -> None:
    config = ":env:.timeout='9'\nglobal.cert='/etc/my ca.pem'\nglobal.extra-index-url='file:///a\\nfile:///b'\nglobal.user='no'\n"
    assert install.uv_settings(config) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_HTTP_TIMEOUT": "9",
        "SSL_CERT_FILE": "/etc/my ca.pem",
        "UV_INDEX": "file:///a file:///b",
    }


def test_an_older_python_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "_OLDEST", (9, 0))
    assert install.main(tmp_path / "venv") == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_python_without_venv_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    assert install.main(tmp_path / "venv") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "python3-venv" in line


def test_an_install_that_fails_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "installed").write_text("of an earlier lock", "utf-8")
    monkeypatch.setattr(install, "_make_environment", lambda *_: None)
    monkeypatch.setattr(
        install.subprocess, "run", lambda *given, **_: subprocess.CompletedProcess(given, 1, "", "no index")
    )
    assert install.main(tmp_path) == 1
    assert "no index" in capsys.readouterr().err
    assert not (tmp_path / "installed").exists()


def test_the_environment_names_the_project_in_letters_that_every_locale_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "my quintet é"
    packages = project / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "project.pth").write_text(f"{project}\n{project}", "utf-8")
    (packages / "other.pth").write_text("import other", "utf-8")
    monkeypatch.setattr(install, "_PROJECT", project)
    install._name_project_relatively(project / ".venv")
    assert (packages / "project.pth").read_text("ascii") == "../../../..\n"
    assert (packages / "other.pth").read_text("ascii") == "import other"
