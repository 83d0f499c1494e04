"""What a backup holds, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from quintet.backup.contents import OBJECTS, is_sqlite, log_files, plain_files
from quintet.state.features import FILE as FEATURES


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a file of each kind."""
    for name in (
        f"online/{FEATURES}",
        "online/quintet.sqlite",
        "online/quintet.sqlite-wal",
        "models/lending/m.json",
        "logs/serve.log",
        "postgres/password",
        "run.lock",
        "warehouse.duckdb",
        "warehouse.duckdb.published",
        "serving/a.duckdb",
        "raw/orders/a.csv",
        f"{OBJECTS}/log/1.parquet",
        f"{OBJECTS}/lake/loan/1.parquet",
        f"{OBJECTS}/lake/manifest/1.json",
        f"{OBJECTS}/epochs/1.json",
        f"{OBJECTS}/epochs/2.json",
        f"{OBJECTS}/snapshots/2/loan.parquet",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"SQLite format 3\x00" if name.endswith("sqlite") else b"x")
    return tmp_path


def test_what_nothing_builds_again_is_copied_the_features_first(home: Path) -> None:
    (home / "outside").symlink_to("/etc/passwd")
    found = list(plain_files(home, home / "warehouse.duckdb", home / "serving", home / "raw"))
    assert found == [f"online/{FEATURES}", "models/lending/m.json", "online/quintet.sqlite"]


def test_an_object_is_copied_before_what_names_it_and_an_epoch_later_than_the_features_not_at_all(home: Path) -> None:
    found = [name.removeprefix(f"{OBJECTS}/") for name in log_files(home, "1")]
    assert found == ["epochs/1.json", "log/1.parquet", "lake/loan/1.parquet", "lake/manifest/1.json"]
    assert f"{OBJECTS}/epochs/2.json" in log_files(home, "2")


def test_a_store_is_known_by_its_first_bytes(home: Path) -> None:
    assert is_sqlite(home / "online" / "quintet.sqlite")
    assert not is_sqlite(home / "models" / "lending" / "m.json")
    assert not is_sqlite(home / "gone")
