"""Fixtures for the tests of the service's parts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest


class Serving:
    """A serving folder whose snapshots contain a number, for tests of reading snapshots."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def publish(self, snapshot_id: str, number: int = 0) -> Path:
        """Make a snapshot and point `current.duckdb` to it."""
        path = self.folder / f"{snapshot_id}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("create schema marts")
            connection.execute(f"create table marts.numbers as select {number} as number")
            connection.execute(
                "create table marts.snapshot as select ? as snapshot_id, 'code' as fingerprint, ? as published_at",
                [snapshot_id, dt.datetime(2026, 1, 1)],
            )
        link = self.folder / "beside"
        link.symlink_to(path.name)
        link.replace(self.folder / "current.duckdb")
        return path


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    return Serving(tmp_path / "serving")
