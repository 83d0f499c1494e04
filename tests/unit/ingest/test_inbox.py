"""The listing of an inbox: which entries count, the days in their names, and whether they are settled."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from quintet.ingest.inbox import InboxFile, is_settled, list_inbox, still_as_listed


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    folder.mkdir()
    return folder


def the_file(inbox: Path) -> InboxFile:
    (file,) = list_inbox(inbox.parent, inbox.name)
    return file


def named(name: str) -> InboxFile:
    return InboxFile("orders", Path(name), name, 1, dt.datetime(2024, 6, 1), (1, 1))


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("transactions_2024-05-01.csv", dt.date(2024, 5, 1)),
        ("20240501.csv", dt.date(2024, 5, 1)),
        ("2024_05_01 export.csv.gz", dt.date(2024, 5, 1)),
        ("2024.05.01.csv", dt.date(2024, 5, 1)),
        ("20240501T101500.csv", dt.date(2024, 5, 1)),
        ("from 2024-04-30 to 2024-05-01.csv", dt.date(2024, 5, 1)),
        ("2024-05-01_2024-02-30.csv", dt.date(2024, 5, 1)),
        ("2024-02-29.csv", dt.date(2024, 2, 29)),
        ("2024-02-30.csv", None),
        ("2023-02-29.csv", None),
        ("20241301.csv", None),
        ("0000-01-01.csv", None),
        ("120240501.csv", None),
        ("transactions_2.csv", None),
        ("transactions.csv", None),
    ],
)
def test_the_last_real_date_of_a_name_is_its_day(name: str, day: dt.date | None):
    assert named(name).date_in_name == day


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("transactions_2.csv", 2),
        ("transactions_02.csv.gz", 2),
        ("2.csv", 2),
        ("3 of 12.csv", 12),
        ("transactions.7.csv", 7),
        ("transactions.csv", None),
        ("transactions_1714571100.csv", None),
        ("transactions_" + "9" * 400 + ".csv", None),
        ("transactions_2024-02-30.csv", None),
        ("transactions_20240230.csv", None),
        ("transactions_5_2024-05-01.csv", 5),
    ],
)
def test_the_last_short_number_of_a_name_counts_its_day(name: str, number: int | None):
    assert named(name).number_in_name == number


@pytest.mark.parametrize(
    "name",
    [".hidden.csv", ".~lock.a.csv#", "~$a.xlsx", "a.csv.part", "a.csv.PARTIAL", "a.csv.tmp", "a.crdownload", "a.csv~"],
)
def test_hidden_and_unfinished_files_are_not_there(inbox: Path, name: str):
    (inbox / name).write_text("x")

    assert list_inbox(inbox.parent, "orders") == []


@pytest.mark.parametrize("name", ["a.csv", "part.csv", "tmp.csv", "a.txt", "a b'c\"d*?[.csv", "~a.csv"])
def test_other_files_are_there(inbox: Path, name: str):
    (inbox / name).write_text("x")

    assert the_file(inbox).name == name


def test_files_are_listed_by_name(inbox: Path):
    for name in ("b.csv", "a.csv", "c.csv"):
        (inbox / name).write_text("x")

    assert [file.name for file in list_inbox(inbox.parent, "orders")] == ["a.csv", "b.csv", "c.csv"]


def test_a_missing_inbox_is_empty(tmp_path: Path):
    assert list_inbox(tmp_path, "nowhere") == []


def test_a_broken_link_is_listed_so_that_it_can_be_reported(inbox: Path):
    (inbox / "a.csv").symlink_to("nowhere.csv")

    assert still_as_listed(the_file(inbox))


def test_a_name_that_is_not_utf8_is_shown_with_escapes(inbox: Path):
    (inbox / os.fsdecode(b"caf\xe9.csv")).write_text("x")

    assert the_file(inbox).name == "caf\\xe9.csv"


def test_the_arrival_is_that_of_the_file_and_not_of_its_old_times(inbox: Path):
    before = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    (inbox / "a.csv").write_text("x")
    os.utime(inbox / "a.csv", (0, 0))

    assert abs(the_file(inbox).arrived_at - before) < dt.timedelta(minutes=1)


def test_a_file_is_settled_once_it_is_unchanged_for_a_while(inbox: Path):
    (inbox / "a.csv").write_text("x")
    file = the_file(inbox)

    assert not is_settled(file, file.arrived_at + dt.timedelta(seconds=1.9), settle_seconds=2)
    assert is_settled(file, file.arrived_at + dt.timedelta(seconds=2.1), settle_seconds=2)


def test_a_file_moved_in_with_old_times_still_has_to_settle(inbox: Path):
    (inbox / "a.csv").write_text("x")
    os.utime(inbox / "a.csv", (0, 0))
    file = the_file(inbox)

    assert not is_settled(file, file.arrived_at, settle_seconds=2)


def test_an_untouched_file_is_still_as_listed(inbox: Path):
    (inbox / "a.csv").write_text("x")

    assert still_as_listed(the_file(inbox))


@pytest.mark.parametrize("change", ["append", "overwrite", "remove"])
def test_a_touched_file_is_no_longer_as_listed(inbox: Path, change: str):
    path = inbox / "a.csv"
    path.write_text("x")
    os.utime(path, (1, 1))
    file = the_file(inbox)
    if change == "append":
        with path.open("a") as stream:
            stream.write("y")
        os.utime(path, (1, 1))
    elif change == "overwrite":
        path.write_text("y")
    else:
        path.unlink()

    assert not still_as_listed(file)
