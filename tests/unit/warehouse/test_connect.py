"""DuckDB opens what it is meant to and nothing else."""

from __future__ import annotations

import ast
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.warehouse.connect import connect_closed, connect_to_files

PROJECT = Path(__file__).parents[3]
PRODUCT = ("quintet", "assets", "resources", "sensors", "cli")
ONLY = PROJECT / "quintet" / "warehouse" / "connect.py"

INSTALLS = ["install httpfs", "load httpfs"]
OPENS = [
    "from read_csv('/etc/passwd')",
    "from read_text('/etc/hostname')",
    "from glob('/etc/*')",
    "attach '{folder}/other.duckdb'",
    "copy (select 1) to '{folder}/written.csv'",
    "export database '{folder}/all'",
    "from 'https://example.org/rows.parquet'",
]
UNLOCKS = ["set enable_external_access = true", "reset enable_external_access", "set lock_configuration = false"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a database file with the table `t` of one row."""
    path = tmp_path / "some.duckdb"
    with connect_to_files(path) as connection:
        connection.execute("create table t as select 1 as a")
    return path


@pytest.mark.parametrize("statement", [*INSTALLS, *OPENS, *UNLOCKS])
@pytest.mark.parametrize("is_in_memory", [True, False])
def test_a_closed_connection_opens_nothing_else(file: Path, statement: str, is_in_memory: bool) -> None:
    with connect_closed(None if is_in_memory else file) as connection, pytest.raises(duckdb.Error) as raised:
        connection.cursor().execute(statement.format(folder=file.parent))
    assert isinstance(raised.value, duckdb.PermissionException | duckdb.InvalidInputException | duckdb.CatalogException)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_closed_connection_reads_its_file_and_registered_frames_in_utc(file: Path) -> None:
    with connect_closed(file, threads=1) as connection:
        connection.register("frame", pd.DataFrame({"b": [2]}))
        query = "select a, b, current_setting('TimeZone') from t, frame"
        assert connection.cursor().execute("from t").fetchall() == [(1,)]
        assert connection.execute(query).fetchall() == [(1, 2, "UTC")]
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("create table other as select 1")


def test_a_file_is_opened_twice_in_a_process(file: Path) -> None:
    with connect_closed(file) as first, connect_closed(file) as second:
        assert second.sql("from t").fetchall() == first.sql("from t").fetchall() == [(1,)]
        with pytest.raises(duckdb.Error):
            second.execute("from read_text('/etc/hostname')")


def test_a_closed_connection_exports_to_its_folder_and_no_other(file: Path) -> None:
    folder = file.parent / "it's"
    folder.mkdir()
    with connect_closed(file, exports=folder) as connection:
        target = f"{folder}/.rows.parquet.tmp".replace("'", "''")
        connection.execute(f"copy t to '{target}' (format parquet)")
        for other in (f"{file.parent}/rows.csv", f"{target}/../../rows.csv", "/tmp/rows.csv"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(f"copy t to '{other}'")
    assert [path.name for path in folder.iterdir()] == [".rows.parquet.tmp"]


def test_a_connection_to_files_installs_nothing_by_itself(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n", "utf-8")
    with connect_to_files() as connection:
        assert connection.execute(f"from read_csv('{tmp_path}/rows.csv')").fetchall() == [(1,)]
        names = "autoinstall_known_extensions", "autoload_known_extensions"
        assert [connection.execute(f"select current_setting('{name}')").fetchone() for name in names] == [(False,)] * 2


def opened_elsewhere(source: str) -> list[int]:
    """Return the lines of a module that open DuckDB themselves."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in {"connect", "sql", "query", "execute", "default_connection"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "duckdb"
    ]


def test_one_module_opens_duckdb() -> None:
    files = [path for folder in PRODUCT for path in (PROJECT / folder).rglob("*.py") if path != ONLY]
    found = {str(path.relative_to(PROJECT)): opened_elsewhere(path.read_text("utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_module_that_opens_duckdb_itself_is_found() -> None:
    assert opened_elsewhere("import duckdb\nwith duckdb.connect() as c:\n    duckdb.sql('from x')\n") == [2, 3]


def test_dbt_installs_nothing_by_itself() -> None:
    profile = (PROJECT / "dbt_project" / "profiles.yml").read_text("utf-8")
    assert "autoinstall_known_extensions: false" in profile
    assert "autoload_known_extensions: false" in profile


def test_threads_that_open_one_file_at_once_all_get_it_closed(file: Path) -> None:
    for _ in range(30):
        together = threading.Barrier(4)

        def opened(together: threading.Barrier = together) -> list[tuple[object, ...]]:
            together.wait()
            with connect_closed(file) as connection:
                found = connection.execute("select a, current_setting('enable_external_access') from t").fetchall()
                together.wait()  # each of them is open with the others
            return found

        with ThreadPoolExecutor(4) as threads:
            assert [one.result() for one in [threads.submit(opened) for _ in range(4)]] == [[(1, False)]] * 4
