"""The layout of a file is detected before its first row is read, and an unreadable file has a clear message."""

from __future__ import annotations

import codecs
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quintet.ingest.content import read_content
from quintet.ingest.contract import Dataset
from quintet.ingest.files import Layout, read_layout
from quintet.ingest.inbox import list_inbox
from quintet.ingest.rejection import FileRejectedError

ROW = "1,2024-05-01 10:00:00,9.5,2,hello\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    folder.mkdir()
    return folder


@pytest.fixture
def layout_of(inbox: Path, orders: Dataset) -> Callable[..., Layout]:
    def read(content: bytes | str, name: str = "a.csv") -> Layout:
        (inbox / name).write_bytes(content.encode() if isinstance(content, str) else content)
        (file,) = list_inbox(inbox.parent, "orders")
        return read_layout(file, read_content(file), orders)

    return read


@pytest.fixture
def refusal_of(inbox: Path, orders: Dataset) -> Callable[..., str]:
    """Return the message for the only file of the inbox."""

    def read() -> str:
        (file,) = list_inbox(inbox.parent, "orders")
        with pytest.raises(FileRejectedError) as refusal:
            read_layout(file, read_content(file), orders)
        return str(refusal.value)

    return read


# What fits


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_under_which_the_contract_is_found(
    layout_of: Callable[..., Layout], orders: Dataset, delimiter: str
):
    layout = layout_of(delimiter.join(orders.columns) + "\n")

    assert layout.delimiter == delimiter
    assert layout.header == orders.columns


def test_delimiters_inside_an_unknown_title_do_not_mislead(layout_of: Callable[..., Layout]):
    layout = layout_of('"a,b,c,d,e,f,g,h";order_id;ordered_at;amount;pieces\n')

    assert layout.delimiter == ";"
    assert layout.extra == {0: "a,b,c,d,e,f,g,h"}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", ""])
def test_any_line_end_ends_the_header(layout_of: Callable[..., Layout], orders: Dataset, header: str, line_end: str):
    assert layout_of(header.strip() + line_end).header == orders.columns


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("é".encode(), "utf-8"),
        (b"plain", "utf-8"),
        ("é".encode("cp1252"), "cp1252"),
        ("smart “quotes”".encode("cp1252"), "cp1252"),
        (b"\x81\xe9", "latin-1"),
        ("é".encode() + b"\nbroken \xff\n", "utf-8"),
    ],
)
def test_the_encoding_is_detected_from_the_bytes(
    layout_of: Callable[..., Layout], header: str, content: bytes, encoding: str
):
    assert layout_of(header.encode() + b"1,2024-05-01,1,1," + content + b"\n").encoding == encoding


def test_a_byte_order_mark_is_no_part_of_the_first_title(
    layout_of: Callable[..., Layout], orders: Dataset, header: str
):
    layout = layout_of(codecs.BOM_UTF8 + header.encode())

    assert (layout.header, layout.encoding) == (orders.columns, "utf-8-sig")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_detected_from_its_byte_order_mark(
    layout_of: Callable[..., Layout], orders: Dataset, header: str, encoding: str
):
    mark = "" if encoding == "utf-16" else "\ufeff"
    layout = layout_of((mark + header + ROW).encode(encoding))

    assert (layout.header, layout.encoding, layout.plain) == (orders.columns, "utf-16", False)


@pytest.mark.parametrize("title", ["pieces", "PIECES", " Pieces ", "f0_", "f1", "F1", "count"])
def test_every_alias_of_a_column_is_found(layout_of: Callable[..., Layout], title: str):
    assert "pieces" in layout_of(f"order_id,ordered_at,amount,{title}\n").present


def test_unknown_columns_keep_their_own_names(layout_of: Callable[..., Layout]):
    layout = layout_of("order_id,shop's name,ordered_at,amount,pieces,,\n")

    assert layout.extra == {1: "shop's name", 5: "column_6", 6: "column_7"}


@pytest.mark.parametrize("row", ['1,"x" "y",1,1,1', '1,"x"   "y",1,1,1', "1,\0,1,1,1"])
def test_what_the_bulk_reader_takes_but_should_not_needs_care(layout_of: Callable[..., Layout], header: str, row: str):
    assert not layout_of(header + ROW * 50_000 + row + "\n").plain


@pytest.mark.parametrize("row", ['1,say "x" loud,1,1,1', '1,"x",1,1,1', '1, "x" ,1,1,1', '1,"a ""b"" c",1,1,1'])
def test_other_quotes_and_spaces_need_no_care(layout_of: Callable[..., Layout], header: str, row: str):
    assert layout_of(header + row + "\n" + ROW).plain


def test_gzip_is_known_by_its_content_unpacked(inbox: Path, header: str):
    (inbox / "a.csv").write_text(header + ROW)
    (inbox / "b.csv.gz").write_bytes(gzip.compress((header + ROW).encode()))
    plain, packed = list_inbox(inbox.parent, "orders")

    assert read_content(plain).sha256 == read_content(packed).sha256


def test_a_link_to_another_file_of_the_inbox_is_read(inbox: Path, orders: Dataset, header: str):
    (inbox / "b.csv").write_text(header)
    (inbox / "a.csv").symlink_to(inbox / "b.csv")
    file, _ = list_inbox(inbox.parent, "orders")

    assert read_layout(file, read_content(file), orders).header == orders.columns


def test_parquet_files_of_other_types_have_another_layout(layout_of: Callable[..., Layout], inbox: Path):
    columns = {"order_id": ["1"], "ordered_at": ["2024-05-01"], "amount": ["1"], "pieces": ["1"]}
    layouts = []
    for pieces in (pa.array(["1"]), pa.array([1])):
        pq.write_table(pa.table(columns | {"pieces": pieces}), inbox / "a.parquet")
        layouts.append(layout_of((inbox / "a.parquet").read_bytes(), "a.parquet"))

    assert layouts[0] != layouts[1]


# What does not


def test_an_empty_file_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").touch()

    assert refusal_of() == "a.csv is empty (0 bytes). Write it again with a header line."


def test_an_empty_gzip_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv.gz").write_bytes(gzip.compress(b""))

    assert "is empty" in refusal_of()


@pytest.mark.parametrize("content", ["\n", "\n\n\n", "\norder_id,ordered_at,amount,pieces\n", ",,,\n"])
def test_a_blank_first_line_is_no_header(inbox: Path, refusal_of: Callable[[], str], content: str):
    (inbox / "a.csv").write_text(content)

    assert refusal_of() == (
        "a.csv has no header. The first line must name the columns: order_id, ordered_at, amount, pieces, note."
    )


def test_an_unknown_delimiter_is_refused_with_those_that_are_known(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id^ordered_at^amount^pieces\n1^2^3^4\n")

    message = refusal_of()

    assert "its header (line 1) reads: order_id^ordered_at^amount^pieces." in message
    assert "separated by a comma, a semicolon, a tab or a vertical bar" in message


def test_a_missing_column_is_named(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,ordered_at,pieces\n")

    assert refusal_of().startswith(
        "a.csv lacks the required column amount; its header (line 1) reads: order_id, ordered_at, pieces."
    )


def test_several_missing_columns_are_all_named(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,pieces\n")

    assert "lacks the required columns ordered_at, amount;" in refusal_of()


def test_a_renamed_column_is_guessed(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("Order ID,ordered_at,Amounts ($),pieces\n")

    assert "Perhaps rename 'Amounts ($)' to 'amount'." in refusal_of()


def test_a_column_that_is_nothing_alike_is_not_guessed(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,ordered_at,pieces,zzz\n")

    assert "Perhaps" not in refusal_of()


def test_a_column_of_the_contract_twice_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,ordered_at,amount,pieces,amount\n")

    assert refusal_of() == "a.csv has more than one column amount. Keep one and drop it again."


def test_two_aliases_of_one_column_are_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,ordered_at,amount,f0_,count\n")

    assert refusal_of() == "a.csv has more than one column pieces. Keep one and drop it again."


def test_an_unknown_column_twice_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text("order_id,ordered_at,amount,pieces,shop,Shop\n")

    assert refusal_of() == "a.csv has more than one column Shop, shop. Keep one and drop it again."


def test_a_quotation_mark_that_is_never_closed_in_the_header_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_text('order_id,"ordered_at,amount,pieces\n' + ROW)

    assert "has no header" in refusal_of()


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        b"PK\x03\x04" + bytes(range(256)) * 20,
        b"\x1f\x8b\x08" + bytes(range(256)) * 20,
        b"\0" * 5_000,
    ],
)
def test_a_binary_file_is_refused(inbox: Path, refusal_of: Callable[[], str], content: bytes):
    (inbox / "a.csv").write_bytes(content)

    assert refusal_of().startswith("a.csv is not text")


@pytest.mark.parametrize("cut", [12, 40, -9, -1])
def test_a_truncated_gzip_is_refused(inbox: Path, header: str, refusal_of: Callable[[], str], cut: int):
    (inbox / "a.csv.gz").write_bytes(gzip.compress((header + ROW * 1_000).encode())[:cut])

    message = refusal_of()

    assert message.startswith("a.csv.gz is a damaged or truncated gzip file (")
    assert message.endswith("Copy it again, whole, into the inbox.")


def test_a_file_that_only_bears_the_name_of_gzip_is_refused(inbox: Path, header: str, refusal_of: Callable[[], str]):
    (inbox / "a.csv.gz").write_text(header)

    assert "damaged or truncated gzip" in refusal_of()


@pytest.mark.parametrize("kind", ["cut", "text", "nothing but a header sheet"])
def test_a_damaged_workbook_is_refused(inbox: Path, header: str, refusal_of: Callable[[], str], kind: str):
    path = inbox / "a.xlsx"
    if kind == "text":
        path.write_text(header)
    else:
        workbook = openpyxl.Workbook()
        if kind != "cut":
            workbook.create_chartsheet("chart")
            del workbook["Sheet"]
        workbook.save(path)
        if kind == "cut":
            path.write_bytes(path.read_bytes()[:-100])

    message = refusal_of()

    assert message.startswith("a.xlsx is not a readable workbook (")
    assert message.endswith("Save it again as .xlsx without a password.")


def test_an_empty_workbook_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    openpyxl.Workbook().save(inbox / "a.xlsx")

    assert refusal_of().startswith("a.xlsx has no header.")


@pytest.mark.parametrize("kind", ["cut", "text"])
def test_a_damaged_parquet_is_refused(inbox: Path, header: str, refusal_of: Callable[[], str], kind: str):
    pq.write_table(pa.table({"order_id": ["1"] * 1_000}), inbox / "a.parquet")
    whole = (inbox / "a.parquet").read_bytes()
    (inbox / "a.parquet").write_bytes(whole[: len(whole) // 2] if kind == "cut" else header.encode())

    message = refusal_of()

    assert message.startswith("a.parquet is not a readable Parquet file (")
    assert message.endswith("It may have been cut short: write it again.")


@pytest.mark.parametrize("name", ["a.txt", "a.xls", "a", "a.csv.bz2", "csv"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(inbox: Path, refusal_of: Callable[[], str], name: str):
    (inbox / name).write_text("order_id,ordered_at,amount,pieces\n")

    assert refusal_of() == (
        f"{name} has an unsupported format. Save it as one of .csv, .csv.gz, .xlsx, .parquet and drop it again."
    )


@pytest.mark.parametrize("name", ["A.CSV", "a.Csv"])
def test_the_case_of_an_ending_does_not_matter(
    layout_of: Callable[..., Layout], orders: Dataset, header: str, name: str
):
    assert layout_of(header, name).header == orders.columns


def test_a_folder_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").mkdir()

    assert refusal_of() == "a.csv is a folder. Put the files themselves into the inbox."


@pytest.mark.parametrize("target", ["nowhere.csv", "a.csv"])
def test_a_link_to_nothing_is_refused(inbox: Path, refusal_of: Callable[[], str], target: str):
    (inbox / "a.csv").symlink_to(target)

    assert refusal_of() == "a.csv is a link that points to nothing. Put the file itself into the inbox."


def test_a_pipe_is_refused_and_not_waited_for(inbox: Path, refusal_of: Callable[[], str]):
    os.mkfifo(inbox / "a.csv")

    assert refusal_of() == "a.csv is not a regular file. Put a plain file into the inbox."


def test_a_name_that_is_not_utf8_is_refused(inbox: Path, header: str, refusal_of: Callable[[], str]):
    (inbox / os.fsdecode(b"caf\xe9.csv")).write_text(header)

    assert refusal_of() == "caf\\xe9.csv has a name that is not UTF-8. Give it another name."


def test_a_first_line_without_end_is_refused(inbox: Path, refusal_of: Callable[[], str]):
    (inbox / "a.csv").write_bytes(b"order_id," * 1_200_000)

    assert refusal_of().startswith("a.csv has no header: its first line is longer than 1,048,576 bytes.")


def test_a_file_without_read_permission_is_refused(header: str, project: Path):
    # The imports come first: another user may not even enter the folder of the interpreter.
    script = """
import datetime as dt, os, sys
from pathlib import Path
from quintet.ingest.content import read_content
from quintet.ingest.rejection import FileRejectedError
from quintet.ingest.inbox import InboxFile
if os.geteuid() == 0:  # who may read everything
    os.setgid(65534), os.setuid(65534)
path = Path(sys.argv[1])
try:
    read_content(InboxFile("orders", path, path.name, 1, dt.datetime(2024, 6, 1), (1, 1)))
except FileRejectedError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as folder:  # another user may not enter tmp_path
        Path(folder).chmod(0o755)
        path = Path(folder) / "a.csv"
        path.write_text(header)
        path.chmod(0o200)
        printed = subprocess.check_output(
            [sys.executable, "-c", script, str(path)], cwd=project, text=True, stderr=subprocess.STDOUT
        )

    assert printed == "a.csv may not be read by this user. Give read permission (chmod a+r) and run again.\n"
