"""The state store: one writer at a time, readers beside it, and migrations by owner."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from quintet.domains import DOMAINS, open_state_store
from quintet.state.secrets import secret_of
from quintet.state.store import FILE, StateError, StateStore
from tests.state_places import IntegrityError
from tests.waiting import LONG_SECONDS


def test_a_reopened_store_has_the_written_rows(tmp_path: Path) -> None:
    first = StateStore(tmp_path)
    with first.write() as connection:
        connection.execute("insert into secrets values ('a', x'01')")
    first.close()

    assert [tuple(row) for row in StateStore(tmp_path).read().execute("select * from secrets")] == [("a", b"\x01")]


def test_a_write_that_fails_leaves_nothing(store: StateStore) -> None:
    with pytest.raises(IntegrityError), store.write() as connection:
        connection.executemany("insert into secrets values (?, x'01')", [("a",), ("a",)])

    assert store.read().execute("select count(*) from secrets").fetchone()[0] == 0
    with store.write() as connection:
        connection.execute("insert into secrets values ('a', x'01')")


def test_reading_does_not_wait_for_a_writer(store: StateStore) -> None:
    seen: list[int] = []

    def read() -> None:
        seen.append(store.read().execute("select count(*) from secrets").fetchone()[0])

    with store.write() as connection:
        connection.execute("insert into secrets values ('a', x'01')")
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(LONG_SECONDS)
    assert seen == [0]


def test_writers_take_turns(store: StateStore) -> None:
    def add() -> None:
        for _ in range(20):
            with store.write() as connection:
                (count,) = connection.execute("select count(*) from secrets").fetchone()
                connection.execute("insert into secrets values (?, x'01')", (str(count),))

    writers = [threading.Thread(target=add) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert store.read().execute("select count(*) from secrets").fetchone()[0] == 80


def test_an_owner_gets_only_the_scripts_that_its_tables_lack(tmp_path: Path) -> None:
    first, second = "create table added (a text) strict", "alter table added add column b text"
    for scripts in ((first,), (first, second), (first, second)):
        StateStore(tmp_path, migrations={"notes": scripts}).close()

    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("select name from pragma_table_info('added')").fetchall() == [("a",), ("b",)]


def test_a_store_opened_without_an_owner_keeps_its_tables(tmp_path: Path) -> None:
    StateStore(tmp_path, migrations={"notes": ("create table added (a text) strict",)}).close()
    StateStore(tmp_path).close()
    StateStore(tmp_path, migrations={"notes": ("create table added (a text) strict",)}).close()

    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("select count(*) from added").fetchone() == (0,)


def test_a_script_that_fails_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        StateStore(tmp_path, migrations={"notes": ("create table added (a text) strict; create nonsense",)})
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert not connection.execute("select 1 from sqlite_schema where name = 'added'").fetchall()


def test_a_store_of_a_release_without_owners_keeps_its_rows(tmp_path: Path) -> None:
    first = {domain.name: domain.migrations[:1] for domain in DOMAINS if domain.migrations}
    with closing(StateStore(tmp_path, migrations=first)) as store, store.write() as connection:
        connection.execute("insert into secrets values ('a', x'01')")
        connection.execute("insert into abuse_labels values (1, 'u', 1, '2026-01-01T00:00:00+00:00', 'Ana', null)")
        connection.execute("drop table migrations")
        connection.execute("alter table keys drop column bound_to")  # which that release did not have
        connection.execute("pragma user_version = 3")
    with closing(open_state_store(tmp_path)) as store:
        assert store.read().execute("select count(*) from secrets").fetchone()[0] == 1
        assert store.read().execute("select count(*) from abuse_labels").fetchone()[0] == 1


def test_a_secret_is_created_once_and_is_the_same_for_all(tmp_path: Path) -> None:
    made = secret_of(StateStore(tmp_path), "tokens", lambda size: b"a" * size)

    assert made == b"a" * 32
    assert secret_of(StateStore(tmp_path), "tokens", lambda size: b"b" * size) == made
    assert secret_of(StateStore(tmp_path), "others", lambda size: b"b" * size) != made


def test_a_store_is_opened_while_another_process_writes_for_long(tmp_path: Path) -> None:
    writer = StateStore(tmp_path)
    with writer.write() as connection:
        connection.execute("insert into secrets values ('a', x'00')")
        reader = StateStore(tmp_path)
        assert reader.read().execute("select count(*) from secrets").fetchone()[0] == 0
    assert reader.read().execute("select count(*) from secrets").fetchone()[0] == 1
    reader.close()
    writer.close()


@pytest.mark.parametrize("content", [b"no database" * 500, b"SQLite format 3\0" + b"\xff" * 8_000])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StateError, match=r"online\.sqlite is damaged .* Restore it from a backup"):
        StateStore(tmp_path)


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StateError, match=r"Grant write access .* QUINTET_HOME"):
        StateStore(tmp_path / "file" / "online")


def test_a_fault_of_the_program_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        StateStore(tmp_path, migrations={"other": ("create nonsense",)})
