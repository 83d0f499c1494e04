"""A warehouse that is not the one behind the current snapshot is noticed."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from quintet.warehouse.database import open_warehouse, published_file
from quintet.warehouse.origin import Origin, origin_of, put_aside
from quintet.warehouse.publish import publish

AT = dt.datetime(2024, 6, 1, 12)


def publish_from(home: Path, run: str) -> None:
    with open_warehouse(home / "warehouse.duckdb", memory_limit="200MB", threads=1, lock_wait_seconds=0) as connection:
        connection.execute("create table if not exists marts.numbers as select 1 as n")
        publish(connection, home / "serving", snapshot_id=run, fingerprint="code", published_at=AT, kept=3)


def origin(home: Path) -> Origin:
    return origin_of(home / "warehouse.duckdb", home / "serving")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with two publications, a copy of the warehouse between them, and a warehouse of another home."""
    home, other = tmp_path / "home", tmp_path / "other"
    publish_from(home, "run1")
    shutil.copytree(home, tmp_path / "older")
    publish_from(home, "run2")
    publish_from(other, "run of another home")
    return home


def copy_from(folder: str, *names: str) -> Callable[[Path], None]:
    def copy(home: Path) -> None:
        for name in names:
            shutil.copy(home.parent / folder / name, home / name)

    return copy


def remove(*names: str) -> Callable[[Path], None]:
    def do(home: Path) -> None:
        for name in names:
            (home / name).unlink()

    return do


def make_empty(home: Path) -> None:
    (home / "warehouse.duckdb").unlink()
    duckdb.connect(str(home / "warehouse.duckdb")).close()


def damage(home: Path) -> None:
    (home / "warehouse.duckdb").write_bytes(b"no database" * 1000)


MAIN, PUBLISHED = "warehouse.duckdb", "warehouse.duckdb.published"
UNCHANGED: tuple[str, ...] = ()


def test_the_warehouse_behind_the_snapshot_is_recognised(home: Path) -> None:
    assert origin(home) == Origin()


@pytest.mark.parametrize(
    ("change", "problem", "unusable"),
    [
        (remove(MAIN), "is lost", UNCHANGED),
        (remove(PUBLISHED), "is lost", UNCHANGED),
        (remove(MAIN, PUBLISHED), "is lost", UNCHANGED),
        (make_empty, "empty or an older copy", UNCHANGED),
        (copy_from("older", MAIN, PUBLISHED), "empty or an older copy", UNCHANGED),
        (copy_from("older", MAIN), "empty or an older copy", UNCHANGED),
        (copy_from("older", PUBLISHED), "empty or an older copy", UNCHANGED),
        (copy_from("other", MAIN, PUBLISHED), "belongs to another home", (MAIN, PUBLISHED)),
        (copy_from("other", PUBLISHED), "belongs to another home", (PUBLISHED,)),
        (damage, "is damaged", (MAIN,)),
    ],
)
def test_any_other_warehouse_is_noticed(
    home: Path, change: Callable[[Path], None], problem: str, unusable: tuple[str, ...]
) -> None:
    change(home)
    found = origin(home)
    assert problem in found.problem
    assert [file.name for file in found.unusable] == list(unusable)


def test_without_a_snapshot_any_warehouse_is_used(home: Path) -> None:
    shutil.rmtree(home / "serving")
    assert origin(home) == Origin()


def test_a_newer_warehouse_than_the_snapshot_is_used(home: Path) -> None:
    current = home / "serving" / "current.duckdb"
    current.unlink()
    current.symlink_to("run1.duckdb")
    assert origin(home) == Origin()


def test_a_warehouse_that_is_in_use_is_left_alone(home: Path) -> None:
    script = f"import duckdb, sys; duckdb.connect({str(home / MAIN)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        assert origin(home) == Origin()
        assert holder.stdin is not None
        holder.stdin.close()


def test_files_that_cannot_be_used_are_renamed_and_not_removed(home: Path) -> None:
    copy_from("other", MAIN)(home)
    content = (home / MAIN).read_bytes()
    [renamed] = put_aside(origin(home), AT)
    assert renamed.read_bytes() == content
    assert renamed.name == "warehouse.duckdb.20240601T120000.unused"
    assert not (home / MAIN).exists()
    assert published_file(home / MAIN).exists()
