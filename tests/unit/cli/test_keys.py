"""`quintet keys`: bound keys are made, listed and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.keys import main


def test_a_key_is_bound_by_the_command_and_shown_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    assert main(["create", "--name", "Ana", "--scopes", "insurance:read", "--agency", "3,470", "--agency", "5"]) == 0
    assert "bound to agency 3, 470, 5" in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list"]) == 0
    assert "agency 3, 470, 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scopes", "admin", "--agency", "3"], "cannot have the scope admin"),
        (["--scopes", "insurance:read,cases:read", "--agency", "3"], "cannot have the scope cases:read"),
        (["--scopes", "insurance:read", "--agency", "three"], "'three' is not a whole number"),
        (["--scopes", "insurance:read", "--agency", ""], "none is empty"),
    ],
)
def test_the_command_refuses_a_binding_that_would_show_more(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    assert main(["create", "--name", "Ana", *options]) == 2
    assert message in capsys.readouterr().err
