import gzip
from pathlib import Path

import pytest

from quintet.web import vega


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Build a small bundle and count the builds."""
    calls: list[str] = []

    def make() -> str:
        calls.append("made")
        return "globalThis.vegaEmbed = 1;"

    monkeypatch.setattr(vega, "_made", make)
    return calls


def test_a_bundle_is_built_once_and_then_cached(tmp_path: Path, made: list[str]) -> None:
    cache = tmp_path / "not there yet"
    first, second = vega.bundle(cache), vega.bundle(cache)
    assert first == second
    assert made == ["made"]
    assert gzip.decompress(first) == b"globalThis.vegaEmbed = 1;"


def test_another_version_is_another_bundle(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    vega.bundle(tmp_path)
    before = vega.version()
    monkeypatch.setattr(vega, "_SNIPPET", "globalThis.other = vegaEmbed;")
    assert vega.version() != before
    vega.bundle(tmp_path)
    assert made == ["made", "made"]


def test_a_bundle_has_the_same_bytes_in_every_folder(tmp_path: Path, made: list[str]) -> None:
    assert vega.bundle(tmp_path / "one") == vega.bundle(tmp_path / "other")
    assert len(made) == 2


@pytest.mark.usefixtures("made")
def test_no_unfinished_file_is_left_beside_the_bundle(tmp_path: Path) -> None:
    vega.bundle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"vega-{vega.version()}.js.gz"]


def test_the_real_bundle_has_vega_embed_and_is_small_enough_for_a_page(tmp_path: Path) -> None:
    packed = vega.bundle(tmp_path)
    text = gzip.decompress(packed).decode()
    assert "vegaEmbed" in text
    assert len(packed) < 350_000
