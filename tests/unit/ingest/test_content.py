"""A file is read only if it is the inbox's own, and only up to the limits."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quintet.ingest.content import read_content
from quintet.ingest.examine import examine
from quintet.ingest.inbox import list_inbox
from quintet.ingest.rejection import FileRejectedError
from quintet.limits import DEFAULT_LIMITS, Limits
from tests.unit.ingest.order_files import lines
from tests.unit.ingest.workbooks import SHEET, edited, replace_cell, with_shared_texts, workbook

SECRET = "root:x:0:0,order_id,secret\n"
SMALL = Limits(unpacked_bytes=3_000_000, rows=20_000, columns=10, line_bytes=1_500_000, cell_bytes=1_000)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "orders"
    folder.mkdir(parents=True)
    return folder


def refusal(inbox: Path, limits: Limits = DEFAULT_LIMITS) -> str:
    (file,) = [file for file in list_inbox(inbox.parent, "orders", limits) if file.name != "own.csv"]
    with pytest.raises(FileRejectedError) as error:
        read_content(file)
    return str(error.value)


# Entries that are not the inbox's own file


def symbolic(inbox: Path, target: Path) -> None:
    (inbox / "a.csv").symlink_to(target)


def relative(inbox: Path, target: Path) -> None:
    (inbox / "a.csv").symlink_to(os.path.relpath(target, inbox))


def through_a_folder(inbox: Path, target: Path) -> None:
    (inbox / ".hidden").symlink_to(target.parent)
    (inbox / "a.csv").symlink_to(inbox / ".hidden" / target.name)


@pytest.mark.parametrize("link", [symbolic, relative, through_a_folder])
def test_a_link_to_a_file_outside_the_inbox_is_refused_unread(
    inbox: Path, tmp_path: Path, link: Callable[[Path, Path], None]
):
    (tmp_path / "secret.csv").write_text(SECRET)
    link(inbox, tmp_path / "secret.csv")

    message = refusal(inbox)

    assert message == "a.csv is a link to a file outside the inbox. Put the file itself into the inbox."


def test_a_hard_link_to_a_file_outside_the_inbox_is_refused_unread(inbox: Path, tmp_path: Path):
    (tmp_path / "secret.csv").write_text(SECRET)
    (inbox / "a.csv").hardlink_to(tmp_path / "secret.csv")

    assert refusal(inbox) == (
        "a.csv is a hard link: the same file has another name outside the inbox. Put a copy into the inbox."
    )


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_link_to_a_file_of_the_inbox_is_read(inbox: Path, link: str):
    (inbox / "own.csv").write_text("x\n")
    if link == "hard":
        (inbox / "a.csv").hardlink_to(inbox / "own.csv")
    else:
        (inbox / "a.csv").symlink_to("own.csv")

    first, second = (read_content(file) for file in list_inbox(inbox.parent, "orders"))

    assert first == second


def test_an_inbox_that_is_a_link_itself_is_read(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text("x\n")
    (tmp_path / "orders").symlink_to(tmp_path / "elsewhere")

    (file,) = list_inbox(tmp_path, "orders")

    assert read_content(file).head == b"x\n"


def test_a_socket_is_refused(inbox: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(inbox)  # a path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.csv")

        assert refusal(inbox) == "a.csv is not a regular file. Put a plain file into the inbox."


def test_a_device_is_refused(inbox: Path):
    (inbox / "a.csv").symlink_to("/dev/zero")

    assert "is a link to a file outside the inbox" in refusal(inbox)


@pytest.mark.parametrize("name", ["a\n.csv", "a\x1b[31m.csv", "a\t.csv", "a\x7f.csv"])
def test_a_name_with_control_characters_is_refused_and_shown_escaped(inbox: Path, name: str):
    (inbox / name).write_text("x\n")

    message = refusal(inbox)

    assert message.endswith("has a name with control characters. Give it another name.")
    assert message.isprintable()


def test_what_is_refused_does_not_stop_the_others(shop: Any, header: str, tmp_path: Path):
    (tmp_path / "secret.csv").write_text(SECRET)
    (shop.inbox / "a.csv").symlink_to(tmp_path / "secret.csv")
    (shop.inbox / "b.csv").mkdir()
    os.mkfifo(shop.inbox / "c.csv")
    shop.put("d.csv", header + lines(1, 1))

    outcomes = shop.load()

    assert {outcome.file: outcome.status for outcome in outcomes} == {
        "a.csv": "rejected", "b.csv": "rejected", "c.csv": "rejected", "d.csv": "loaded"}  # fmt: skip
    assert not any("root:x" in (outcome.message or "") for outcome in outcomes)


# Limits


def padded(rows: int, header: str) -> bytes:
    return (header + lines(1, rows)).encode()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda header: header.encode() + b"x" * 1_600_000 + b"\n", "has a line longer than 1,500,000 bytes"),
        (lambda header: header.encode() + (b"y" * 999 + b"\n") * 4_000, "has more than 3,000,000 bytes unpacked"),
        (lambda header: header.encode() + b"\n" * 30_000, "has more than 20,000 rows"),
        (lambda header: header.encode() + b"\r" * 30_000, "has more than 20,000 rows"),
        (lambda header: header.encode() + b"1,2\n" * 30_000, "has more than 20,000 rows"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_beyond_a_limit_is_refused(
    inbox: Path, header: str, make: Callable[[str], bytes], problem: str, packed: bool
):
    content = make(header)
    (inbox / ("a.csv.gz" if packed else "a.csv")).write_bytes(gzip.compress(content) if packed else content)

    assert problem in refusal(inbox, SMALL)


def test_a_file_within_the_limits_is_read(inbox: Path, header: str):
    (inbox / "a.csv").write_bytes(padded(10_000, header) + b"x" * 1_400_000 + b"\n")
    (file,) = list_inbox(inbox.parent, "orders", SMALL)

    assert read_content(file).is_utf8


def test_too_many_columns_are_refused(shop: Any):
    shop.put("a.csv", "order_id,ordered_at,amount,pieces," + ",".join(f"c{number}" for number in range(9)) + "\n")
    (file,) = list_inbox(shop.raw, "orders", SMALL)

    assert "has 13 columns; the limit is 10" in (examine(file, shop.dataset).message or "")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"order_id": pa.array([1] * 30_000, pa.int8())}, "has more than 20,000 rows"),
        ({f"c{number}": [1] for number in range(11)}, "has 11 columns; the limit is 10"),
        ({"order_id": [f"{number:0200}" for number in range(19_000)]}, "has more than 3,000,000 bytes unpacked"),
    ],
)
def test_a_parquet_file_beyond_a_limit_is_refused(shop: Any, columns: dict[str, Any], problem: str):
    pq.write_table(pa.table(columns), shop.inbox / "a.parquet", use_dictionary=False)
    (file,) = list_inbox(shop.raw, "orders", SMALL)

    assert problem in (examine(file, shop.dataset).message or "")


@pytest.mark.parametrize(("length", "is_refused"), [(1_000, True), (100, False)])
def test_a_long_text_that_a_parquet_file_repeats_from_its_dictionary_counts_each_time(
    shop: Any, length: int, is_refused: bool
):
    rows = 10_000
    columns = {"order_id": range(rows), "ordered_at": ["2024-05-01"] * rows, "amount": [1] * rows, "pieces": [1] * rows}
    pq.write_table(pa.table(columns | {"note": ["x" * length] * rows}), shop.inbox / "a.parquet")
    (file,) = list_inbox(shop.raw, "orders", SMALL)
    assert file.bytes < 100_000

    assert ("bytes unpacked" in (examine(file, shop.dataset).message or "")) == is_refused


def test_a_long_cell_costs_its_row(shop: Any, header: str):
    shop.put("a.csv", header + lines(1, 1, "x" * 1_001) + lines(2, 1, "x" * 1_000))
    shop.load(list_inbox(shop.raw, "orders", SMALL))

    assert shop.rows("order_id") == [("2",)]
    assert [reason for _, reason, _ in shop.rejected()] == ["a cell is longer than 1,000 bytes"]


_LOAD = """
import datetime as dt, resource, sys
from pathlib import Path
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.limits import Limits
from quintet.warehouse.database import open_warehouse
from tests.unit.ingest.conftest import ORDERS
folder = Path(sys.argv[1])
limits = Limits(unpacked_bytes=100_000_000, rows=100_000, line_bytes=2_000_000, shared_text_bytes=5_000_000)
with open_warehouse(folder / "w.duckdb", memory_limit="200MB", threads=1, lock_wait_seconds=0) as connection:
    prepare(connection, [ORDERS])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for outcome in load_files(connection, ORDERS, list_inbox(folder, "orders", limits), dt.datetime(2024, 6, 1), print):
        print(outcome.file, outcome.status, outcome.message)
    print("MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_hostile_files_are_refused_in_bounded_memory(tmp_path: Path, header: str, project: Path):
    inbox = tmp_path / "orders"
    inbox.mkdir()
    with gzip.open(inbox / "line.csv.gz", "wb", compresslevel=1) as stream:
        stream.write(header.encode())
        for _ in range(300):
            stream.write(b"x" * 1_000_000)
    (inbox / "rows.csv.gz").write_bytes(gzip.compress(header.encode() + b"\n" * 20_000_000, 1))
    (inbox / "nested.csv.gz").write_bytes(gzip.compress(gzip.compress(os.urandom(10_000) + header.encode())))
    edited(workbook(inbox / "far.xlsx", ["x"]), SHEET, replace_cell("XFD1"))
    edited(workbook(inbox / "deep.xlsx", ["x"]), SHEET, lambda text: text.replace('<row r="1"', '<row r="2000000000"'))
    with_shared_texts(inbox / "texts.xlsx", "<si><t>y</t></si>" * 3_000_000)
    pq.write_table(pa.table({"order_id": pa.array([1] * 5_000_000, pa.int8())}), inbox / "rows.parquet")
    (inbox / "sound.csv").write_text(header + lines(1, 3))

    printed = subprocess.check_output([sys.executable, "-c", _LOAD, str(tmp_path)], cwd=project, text=True)

    statuses = dict(
        line.split(" ")[:2] for line in printed.splitlines() if " " in line and ":" not in line.split(" ")[0]
    )
    megabytes = int(statuses.pop("MB"))
    assert statuses == dict.fromkeys(
        ["line.csv.gz", "rows.csv.gz", "nested.csv.gz", "far.xlsx", "deep.xlsx", "texts.xlsx", "rows.parquet"],
        "rejected",
    ) | {"sound.csv": "loaded"}
    assert megabytes < 120
