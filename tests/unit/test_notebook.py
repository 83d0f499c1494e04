from pathlib import Path

import duckdb
import pytest

import quintet.notebook
from quintet.warehouse.snapshot import NoSnapshotError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a snapshot."""
    (tmp_path / "serving").mkdir()
    with duckdb.connect(str(tmp_path / "serving" / "current.duckdb")) as connection:
        connection.execute("create table numbers as select 7 as n")
    return tmp_path


def test_it_opens_the_snapshot_of_a_home_for_reading_only(home):
    with quintet.notebook.open(home) as snapshot:
        assert snapshot.execute("select n from numbers").fetchall() == [(7,)]
        with pytest.raises(duckdb.Error):
            snapshot.execute("insert into numbers values (8)")


def test_it_opens_that_of_the_settings_from_any_folder(home, tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTET_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    with quintet.notebook.open() as snapshot:
        assert snapshot.execute("select n from numbers").fetchall() == [(7,)]


def test_relative_paths_start_at_the_project(monkeypatch, tmp_path):
    monkeypatch.delenv("QUINTET_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert quintet.notebook.settings().home == Path(quintet.notebook.__file__).parents[1] / "data"


def test_without_a_snapshot_it_says_what_to_do(tmp_path):
    with pytest.raises(NoSnapshotError, match="make run"):
        quintet.notebook.open(tmp_path)
