"""`quintet image` builds without a registry or a package index, and says what it lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.image import ImageError, build_arguments, image


def test_without_an_engine_and_without_buildah_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ImageError, match="apt-get install buildah debootstrap"):
        image("quintet", tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_build_without_an_engine_reaches_no_index(tmp_path: Path) -> None:
    given = build_arguments("quintet:1", tmp_path)
    assert {"PIP_NO_INDEX=1", "UV_OFFLINE=1", f"{tmp_path}:/wheels:ro"} <= set(given)
