"""Every fault of a file, from the inbox to the warehouse, causes a clear message, and nothing is lost."""

from __future__ import annotations

import datetime as dt
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from quintet.domains import DATASETS
from quintet.ingest.batches import Outcome
from quintet.ingest.checks import check_reconciliation, check_schema
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from tests.machine import require_program

CONVERSIONS = DATASETS["conversions"]
HEADER = ";".join(CONVERSIONS.columns) + "\n"
NOW = dt.datetime(2024, 6, 1)


def rows(first: int, count: int, element: str = "button") -> str:
    return "".join(
        f"{number};s{number};France;true;{element};2024-05-01 10:00:00;01shares\n"
        for number in range(first, first + count)
    )


@dataclass(frozen=True)
class Home:
    """An inbox of conversions with a good file in it, and the warehouse."""

    raw: Path
    path: Path

    @property
    def inbox(self) -> Path:
        return self.raw / "conversions"

    def load(self) -> dict[str, Outcome]:
        with self.opened() as connection:
            prepare(connection, [CONVERSIONS])
            outcomes = load_files(connection, CONVERSIONS, list_inbox(self.raw, "conversions"), NOW, lambda _: None)
            assert check_schema(connection, CONVERSIONS).passed
            assert check_reconciliation(connection, CONVERSIONS).passed
        return {outcome.file: outcome for outcome in outcomes}

    def opened(self):
        return open_warehouse(self.path, memory_limit="500MB", threads=2, lock_wait_seconds=0)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with self.opened() as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "raw", tmp_path / "warehouse.duckdb")
    home.inbox.mkdir(parents=True)
    (home.inbox / "good.csv").write_text(HEADER + rows(1, 3))
    return home


def assert_good_file_is_loaded(home: Home, outcomes: dict[str, Outcome]) -> None:
    assert outcomes["good.csv"].status == "loaded"
    found = home.query("select id, _source_row from raw.conversions where _source_file = 'good.csv' order by 2")
    assert found == [("1", 1), ("2", 2), ("3", 3)]


def as_bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


WHOLE = HEADER + rows(100, 2_000)

UNREADABLE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty file": ("bad.csv", as_bytes(b""), "is empty (0 bytes). Write it again with a header line."),
    "wrong delimiter": ("bad.csv", as_bytes(WHOLE.replace(";", "~").encode()), "Columns must be separated by a comma"),
    "missing column": (
        "bad.csv",
        as_bytes(HEADER.replace("created_at;", "").encode()),
        "lacks the required column created_at; its header (line 1) reads: id, session_id,",
    ),
    "renamed column": (
        "bad.csv",
        as_bytes(WHOLE.replace("created_at", "Created Date").encode()),
        "Perhaps rename 'Created Date' to 'created_at'.",
    ),
    "duplicate header": (
        "bad.csv",
        as_bytes(HEADER.replace("session_id", "id").encode()),
        "has more than one column id. Keep one and drop it again.",
    ),
    "binary file": ("bad.csv", as_bytes(bytes(range(256)) * 40), "is not text"),
    "unknown kind": ("bad.pdf", as_bytes(b"%PDF-1.7"), "Save it as one of .csv, .csv.gz, .xlsx, .parquet"),
    "truncated gzip": (
        "bad.csv.gz",
        as_bytes(gzip.compress(WHOLE.encode())[:-20]),
        "Copy it again, whole, into the inbox",
    ),
    "half-written workbook": ("bad.xlsx", as_bytes(b"PK\x03\x04" + b"x" * 5_000), "is not a readable workbook"),
    "half-written parquet": (
        "bad.parquet",
        as_bytes(b"PAR1" + b"x" * 5_000),
        "It may have been cut short: write it again.",
    ),
    "header of 10 MB": ("bad.csv", as_bytes(b"id;" * 3_500_000), "has no header: its first line is longer than"),
    "link to nothing": ("bad.csv", lambda path: path.symlink_to("nowhere.csv"), "is a link that points to nothing."),
    "folder": ("bad.csv", lambda path: path.mkdir(), "is a folder. Put the files themselves into the inbox."),
    "name that is not UTF-8": (
        os.fsdecode(b"caf\xe9.csv"),
        as_bytes(WHOLE.encode()),
        "has a name that is not UTF-8. Give it another name.",
    ),
}


@pytest.mark.parametrize(("name", "write", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_rejected_with_a_clear_message(
    home: Home, name: str, write: Callable[[Path], object], expected: str
):
    write(home.inbox / name)

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    (bad,) = (outcome for file, outcome in outcomes.items() if file != "good.csv")
    assert (bad.status, bad.rows) == ("rejected", 0)
    assert bad.message is not None
    assert bad.message.startswith(f"{bad.file} ")
    assert expected in bad.message
    recorded = home.query("select file, message from ops.batches where status = 'rejected'")
    assert recorded == [(bad.file, bad.message)]
    assert (home.inbox / name).is_symlink() or (home.inbox / name).exists()


@pytest.mark.parametrize(("name", "write", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_it_loads_after_it_was_fixed(home: Home, name: str, write: Callable[[Path], object], expected: str):
    write(home.inbox / name)
    assert expected
    home.load()
    if (home.inbox / name).is_dir():
        (home.inbox / name).rmdir()
    else:
        (home.inbox / name).unlink()
    (home.inbox / "bad.csv").write_text(WHOLE)

    outcomes = home.load()

    assert (outcomes["bad.csv"].status, outcomes["bad.csv"].loaded) == ("loaded", 2_000)
    assert home.query("select count(*) from raw.conversions") == [(2_003,)]


LONG = "8;s8;France;true;" + "x" * 10_000_000 + ";2024-05-01 10:00:00;01shares"

PARTLY_BROKEN: dict[str, tuple[bytes, str, str]] = {
    "half-written file": (
        (HEADER + rows(7, 1) + "8;s8;Fran").encode(),
        "the row has 3 cells but the header has 7",
        "8;s8;Fran",
    ),
    "a quotation mark that is never closed": (
        (HEADER + rows(7, 1) + '8;"s8;France;true;b;2024-05-01;c\n').encode(),
        "a quotation mark is opened and never closed",
        '8;"s8;France;true;b;2024-05-01;c',
    ),
    "a line of 10 MB": (
        (HEADER + rows(7, 1) + LONG + "\n").encode(),
        "the line is longer than 2,000,000 characters",
        LONG,
    ),
    "NUL bytes": (
        (HEADER + rows(7, 1) + rows(8, 1, "nu\0l")).encode(),
        "the row holds a NUL byte",
        rows(8, 1, "nu\\x00l").strip(),
    ),
    "Latin-1 amid UTF-8": (
        (HEADER + rows(7, 1, "é")).encode() + rows(8, 1, "é").encode("latin-1"),
        "the row holds bytes that are not UTF-8",
        rows(8, 1, "\\xe9").strip(),
    ),
    "30 February": (
        (HEADER + rows(7, 1) + rows(8, 1).replace("05-01", "02-30")).encode(),
        "created_at must be a real date and time like 2024-05-01 13:45:00 (2000 to 2099), not '2024-02-30 10:00:00'",
        rows(8, 1).replace("05-01", "02-30").strip(),
    ),
    "a number with commas": (
        (HEADER + rows(7, 1) + rows(8, 1).replace("8;", "8,000;", 1)).encode(),
        "id must be a whole number of at least 0, not '8,000'",
        rows(8, 1).replace("8;", "8,000;", 1).strip(),
    ),
}


@pytest.mark.parametrize(("content", "reason", "text"), PARTLY_BROKEN.values(), ids=PARTLY_BROKEN)
def test_a_row_that_cannot_be_loaded_is_quarantined_alone(home: Home, content: bytes, reason: str, text: str):
    (home.inbox / "bad.csv").write_bytes(content)

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    bad = outcomes["bad.csv"]
    assert (bad.status, bad.rows, bad.loaded, bad.rejected) == ("loaded", 2, 1, 1)
    assert home.query("select id from raw.conversions where _source_file = 'bad.csv'") == [("7",)]
    assert home.query("select file, source_row, reason, text from ops.rejected_rows") == [("bad.csv", 2, reason, text)]


def test_a_header_alone_is_loaded_as_no_rows_with_a_message(home: Home):
    (home.inbox / "bad.csv").write_text(HEADER)

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    assert (outcomes["bad.csv"].status, outcomes["bad.csv"].message) == ("loaded", "has a header but no rows")


def test_latin1_is_read_with_a_message(home: Home):
    (home.inbox / "bad.csv").write_bytes((HEADER + rows(7, 2, "Café")).encode("latin-1"))

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    assert outcomes["bad.csv"].message == "is not UTF-8; read as cp1252"
    assert home.query("select distinct ui_element from raw.conversions where id::int >= 7") == [("Café",)]


def test_a_name_with_spaces_and_quotes_is_read(home: Home):
    name = 'it\'s a "strange"; drop table raw.conversions; -- [*?] name.csv'
    (home.inbox / name).write_text(HEADER + rows(7, 2))

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    assert outcomes[name].loaded == 2


def test_a_link_to_a_file_elsewhere_is_refused(home: Home, tmp_path: Path):
    (tmp_path / "elsewhere.csv").write_text(HEADER + rows(7, 2))
    (home.inbox / "link.csv").symlink_to(tmp_path / "elsewhere.csv")

    outcomes = home.load()

    assert_good_file_is_loaded(home, outcomes)
    assert outcomes["link.csv"].status == "rejected"
    assert "is a link to a file outside the inbox" in str(outcomes["link.csv"].message)


def test_a_missing_inbox_is_no_data_and_no_error(tmp_path: Path):
    assert Home(tmp_path / "nowhere", tmp_path / "warehouse.duckdb").load() == {}


LOAD_AS_ANOTHER = """
import datetime as dt, os, sys
from pathlib import Path
from quintet.domains import DATASETS
from quintet.ingest.contract import parsing_macros
from quintet.ingest.raw_tables import prepare
from quintet.warehouse.database import open_warehouse
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
home = Path(sys.argv[1])
parsing_macros()  # read now: another user may not even enter the folder of the interpreter
if os.geteuid() == 0:  # who may read everything
    os.setgid(65534), os.setuid(65534)
dataset = DATASETS["conversions"]
with open_warehouse(home / "warehouse.duckdb", memory_limit="500MB", threads=1, lock_wait_seconds=0) as connection:
    prepare(connection, [dataset])
    files = list_inbox(home / "raw", dataset.name)
    for outcome in load_files(connection, dataset, files, dt.datetime(2024, 6, 1), lambda _: None):
        print(outcome.file, outcome.status, outcome.loaded, outcome.message)
"""


def test_a_file_without_read_permission_is_rejected_until_it_has_one(project: Path):
    with tempfile.TemporaryDirectory() as folder:  # another user may not enter tmp_path
        home = Home(Path(folder) / "raw", Path(folder) / "warehouse.duckdb")
        home.inbox.mkdir(parents=True)
        Path(folder).chmod(0o777)
        (home.inbox / "good.csv").write_text(HEADER + rows(1, 3))
        (home.inbox / "secret.csv").write_text(HEADER + rows(7, 2))

        printed = []
        for mode in (0o200, 0o644):
            (home.inbox / "secret.csv").chmod(mode)
            command = [sys.executable, "-c", LOAD_AS_ANOTHER, folder]
            printed += subprocess.check_output(command, cwd=project, text=True).splitlines()

    assert printed == [
        "secret.csv rejected 0 secret.csv may not be read by this user. "
        "Give read permission (chmod a+r) and run again.",
        "good.csv loaded 3 None",
        "good.csv known 0 same content as good.csv",
        "secret.csv loaded 2 None",
    ]


# Disk full


def put_what_does_not_fit(home: Home) -> None:
    text = "".join(
        f"{number};{os.urandom(40).hex()};France;true;b;2024-05-01 10:00:00;c\n" for number in range(100, 200_100)
    )
    (home.inbox / "large.csv").write_text(HEADER + text)


def assert_nothing_is_lost_and_the_rest_loads(home: Home, make_room: Callable[[], object]) -> None:
    """Assert that the warehouse opens with its former content, and loads the large file once there is room."""
    make_room()
    assert home.query("select file, loaded from ops.batches") == [("good.csv", 3)]
    assert home.query("select id from raw.conversions order by 1") == [("1",), ("2",), ("3",)]

    outcomes = home.load()

    assert {file: outcome.status for file, outcome in outcomes.items()} == {"good.csv": "known", "large.csv": "loaded"}
    assert home.query("select count(*) from raw.conversions") == [(200_003,)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 6 MB."""
    mount = require_program("mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_reported_and_loses_nothing(home: Home, small_disk: Path):
    home = Home(home.raw, small_disk / "warehouse.duckdb")
    home.load()
    put_what_does_not_fit(home)

    with pytest.raises(duckdb.Error, match="No space left on device"):
        home.load()

    assert_nothing_is_lost_and_the_rest_loads(
        home, lambda: subprocess.run(["mount", "-o", "remount,size=300m", small_disk], check=True)
    )


LOAD_WITH_A_LIMIT = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, resource.RLIM_INFINITY))
import datetime as dt
import duckdb
from quintet.domains import DATASETS
from quintet.warehouse.database import open_warehouse
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
dataset = DATASETS["conversions"]
try:
    with open_warehouse(Path(sys.argv[2]), memory_limit="500MB", threads=2, lock_wait_seconds=0) as connection:
        load_files(connection, dataset, list_inbox(Path(sys.argv[1]), dataset.name), dt.datetime(2024, 6, 1), print)
except duckdb.Error as error:
    print(error)
    sys.exit(3)
"""


def test_a_file_that_may_not_grow_is_reported_and_loses_nothing(home: Home, project: Path):
    home.load()
    put_what_does_not_fit(home)

    command = [sys.executable, "-c", LOAD_WITH_A_LIMIT, home.raw, home.path]
    limited = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    assert (limited.returncode, limited.stderr) == (3, "")
    assert "Could not write file" in limited.stdout
    assert_nothing_is_lost_and_the_rest_loads(home, lambda: None)
