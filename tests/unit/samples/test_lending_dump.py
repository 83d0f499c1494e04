"""Dumps of the loan book: each restores to the same rows by a command; and traffic on the restored book."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import psycopg
import pytest

from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import CUSTOM_DUMP, PLAIN_DUMP, RestoreError, main, restore
from quintet.samples.lending_traffic import Traffic, run_at_rate

_TODAY = date(2020, 8, 24)


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    assert main(["write", "--scale", "0.001", "--seed", "7", "--to", str(folder)]) == 0
    return folder


def _rows(url: str, table: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(f"select * from {table} order by id".encode()).fetchall()


@pytest.mark.parametrize("name", [PLAIN_DUMP, CUSTOM_DUMP])
def test_each_dump_restores_the_book(dumps: Path, database_url: str, name: str) -> None:
    assert main(["restore", str(dumps / name), database_url]) == 0
    book = make_book(LendingWorld(clients=1_000), 7)
    for table, frame in (('"user"', book.user), ("loan", book.loan), ("payment", book.payment)):
        restored = _rows(database_url, table)
        assert len(restored) == len(frame)
        expected = frame.iloc[len(frame) // 2]
        got = restored[len(frame) // 2]
        assert got[0] == expected["id"]
        assert got[list(frame.columns).index("created_on")] == expected["created_on"].date()


def test_a_dump_that_does_not_fit_is_refused_whole(dumps: Path, database_url: str) -> None:
    restore(dumps / PLAIN_DUMP, database_url)
    before = _rows(database_url, "loan")
    with pytest.raises(RestoreError, match="already exists"):
        restore(dumps / CUSTOM_DUMP, database_url)
    assert _rows(database_url, "loan") == before


def test_a_missing_dump_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(tmp_path / "none.dump"), "postgresql://nowhere"]) == 2
    assert "none.dump" in capsys.readouterr().err


def test_traffic_applies_pays_out_pays_changes_and_deletes(dumps: Path, database_url: str) -> None:
    restore(dumps / PLAIN_DUMP, database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        traffic = Traffic(connection, 7, _TODAY)
        kinds = {traffic.step() for _ in range(150)}
        traffic.change_schema()
        kinds |= {traffic.step() for _ in range(150)}
    assert kinds >= {"apply", "apply_as_new_client", "pay_out", "pay_on_time", "pay_late", "withdraw", "annotate"}
    loans, payments = _rows(database_url, "loan"), _rows(database_url, "payment")
    assert any(row[-1] for row in loans)
    book = make_book(LendingWorld(clients=1_000), 7)
    assert {row[0] for row in payments} - set(book.payment["id"])
    assert set(book.loan["id"]) - {row[0] for row in loans}
    assert len(_rows(database_url, '"user"')) > len(book.user)


def test_traffic_goes_on_after_a_break_with_new_ids(dumps: Path, database_url: str) -> None:
    restore(dumps / PLAIN_DUMP, database_url)
    for seed in (1, 2):
        with psycopg.connect(database_url, autocommit=True) as connection:
            traffic = Traffic(connection, seed, _TODAY)
            for _ in range(40):
                traffic.step()
    ids = [row[0] for row in _rows(database_url, "loan")]
    assert len(ids) == len(set(ids))


def test_the_rate_is_kept_by_the_clock() -> None:
    clock, calls = [0.0], []
    done = run_at_rate(
        lambda: calls.append(clock[0]), 10, 2, lambda: clock[0], lambda s: clock.append(clock.pop(0) + s)
    )
    assert done == len(calls)
    assert done == pytest.approx(20, abs=1)
    assert calls[5] == pytest.approx(0.5)
