"""A backup is complete or refused: damage, truncation, newer formats, and members that lead out of the home."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from quintet.backup.archive import FORMAT, HEAD, MANIFEST, BackupError, extract, new_backup, safe_name


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return a backup of two files."""
    source = tmp_path / "source"
    source.write_bytes(b"decisions" * 1_000)
    with new_backup(tmp_path / "b.tar", {"format": FORMAT}) as writer:
        writer.add(source, "online/a.sqlite")
        writer.add(source, "models/b.json")
        writer.close({"stores": {}})
    return tmp_path / "b.tar"


def _extract(path: Path, to: Path) -> None:
    with path.open("rb") as file:
        extract(file, to)


def _changed(path: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> Path:
    """Return a copy in which `change` replaces each member."""
    changed = path.with_name("changed.tar")
    with tarfile.open(path) as source, tarfile.open(changed, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            for new, text in change(member, content.read()):
                new.size = len(text) if new.isfile() else 0
                target.addfile(new, io.BytesIO(text))
    return changed


def test_what_was_added_is_extracted_for_its_owner_only(backup: Path, tmp_path: Path) -> None:
    _extract(backup, tmp_path / "home")
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "home").as_posix() for path in files} == {"online/a.sqlite", "models/b.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in [*files, backup]} == {0o600}


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_written(backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(BackupError, match="never overwritten"), new_backup(backup, {"format": FORMAT}) as writer:
        writer.close({})
    with pytest.raises(OSError, match="stop"), new_backup(tmp_path / "c.tar", {"format": FORMAT}):
        raise OSError("stop")
    assert backup.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"source", "b.tar"}


def test_every_truncation_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    content = whole.rstrip(b"\0")
    for length in range(0, len(content), 777):
        backup.write_bytes(whole[:length])
        with pytest.raises(BackupError, match=r"cut short|damaged"):
            _extract(backup, tmp_path / f"home{length}")


def test_a_changed_byte_is_found(backup: Path, tmp_path: Path) -> None:
    whole = bytearray(backup.read_bytes())
    whole[whole.index(b"decisions") + 3] ^= 1
    backup.write_bytes(whole)
    with pytest.raises(BackupError, match=r"online/a\.sqlite in it is damaged"):
        _extract(backup, tmp_path / "home")


def test_a_file_that_the_manifest_does_not_list_or_that_is_missing_is_refused(backup: Path, tmp_path: Path) -> None:
    def without(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [] if member.name == "home/models/b.json" else [(member, content)]

    def unlisted(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        extra = [(tarfile.TarInfo("home/models/stranger"), b"x")] if member.name == MANIFEST else []
        return [*extra, (member, content)]

    with pytest.raises(BackupError, match=r"models/b\.json is missing"):
        _extract(_changed(backup, without), tmp_path / "one")
    with pytest.raises(BackupError, match="does not list"):
        _extract(_changed(backup, unlisted), tmp_path / "two")


@pytest.mark.parametrize("fields", [{"format": FORMAT + 1}, {"format": None}, {}])
def test_a_newer_format_is_refused(backup: Path, tmp_path: Path, fields: dict[str, object]) -> None:
    def newer(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(member, json.dumps(fields).encode() if member.name == HEAD else content)]

    with pytest.raises(BackupError, match="newer release"):
        _extract(_changed(backup, newer), tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_refused(backup: Path, tmp_path: Path, kind: bytes) -> None:
    def linked(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        link = tarfile.TarInfo("home/serving")
        link.type, link.linkname = kind, "/etc"
        return [(member, content), (link, b"")] if member.name == HEAD else [(member, content)]

    with pytest.raises(BackupError, match="no file of a backup"):
        _extract(_changed(backup, linked), tmp_path / "home")
    assert not (tmp_path / "home" / "serving").exists()


@pytest.mark.parametrize(
    "name",
    [
        "home/../x",
        "home/a/../../x",
        "home//etc/x",
        "/etc/x",
        "x",
        "home/",
        "home/./x",
        "home/a\nb",
        "home\\x",
        "../home/x",
    ],
)
def test_a_name_that_leads_out_of_the_home_is_refused(backup: Path, tmp_path: Path, name: str) -> None:
    def renamed(member: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == "home/models/b.json":
            member.name = name
        return [(member, content)]

    with pytest.raises(BackupError, match="out of the home"):
        _extract(_changed(backup, renamed), tmp_path / "deep" / "home")
    assert not (tmp_path / "x").exists()


def test_usual_names_are_accepted() -> None:
    assert safe_name("home/online/a b.sqlite") == "online/a b.sqlite"


def test_any_other_file_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("agency_id,year\n1,2\n", "utf-8")
    with pytest.raises(BackupError):
        _extract(tmp_path / "other", tmp_path / "home")
