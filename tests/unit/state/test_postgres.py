"""The state store in PostgreSQL: when it does not answer, when several start at once, and when it is newer."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from quintet.domains import open_state_store
from quintet.state.dialect import Script
from quintet.state.faults import StateError, StateUnavailableError
from quintet.state.keys import create_first_key, create_key, list_keys
from quintet.state.store import FILE, StateStore
from quintet.state_place import StatePlace
from tests.state_places import own_schema

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def place(state_url: str, tmp_path: Path) -> StatePlace:
    return own_schema(state_url, tmp_path / "online")


@pytest.fixture
def first(place: StatePlace) -> StateStore:
    with closing(open_state_store(place)) as found:
        yield found


def end_connections(place: StatePlace) -> None:
    """End every other connection with the schema of the place, as a restart of the server does."""
    assert place.url is not None
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'quintet' "
            "and pid <> pg_backend_pid() and state is not null"
        )


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    place = StatePlace(tmp_path, "postgresql://quintet:very-secret-word@127.0.0.1:1/state")
    with pytest.raises(StateError, match=r"127\.0\.0\.1:1/state cannot be reached.* QUINTET_STATE_URL") as raised:
        open_state_store(place)
    assert "very-secret-word" not in str(raised.value)
    assert "very-secret-word" not in repr(place)


def test_a_wrong_password_is_not_shown(place: StatePlace) -> None:
    assert place.url is not None
    user, _, rest = place.url.partition("@")
    scheme, name, _ = user.rsplit(":", 2) if user.count(":") > 1 else (*user.split(":"), "")
    with pytest.raises(StateError, match="cannot be reached") as raised:
        open_state_store(StatePlace(place.folder, f"{scheme}:{name}:other-secret-word@{rest}"))
    assert "other-secret-word" not in str(raised.value)


def test_a_read_and_a_transaction_go_on_after_an_idle_connection_was_lost(first: StateStore, place: StatePlace) -> None:
    assert list_keys(first) == []
    end_connections(place)
    assert list_keys(first) == []
    end_connections(place)
    with first.write() as connection:
        connection.execute("insert into secrets values ('a', x'01')")


def test_a_transaction_that_loses_its_connection_writes_nothing_and_the_next_one_is_whole(
    first: StateStore, place: StatePlace
) -> None:
    def interrupted() -> None:
        with first.write() as connection:
            connection.execute("insert into secrets values ('half', x'01')")
            end_connections(place)
            connection.execute("insert into secrets values ('done', x'01')")

    with pytest.raises(StateUnavailableError):
        interrupted()
    with first.write() as connection:
        connection.execute("insert into secrets values ('whole', x'01')")
    assert [row["name"] for row in first.read().execute("select name from secrets")] == ["whole"]


def test_many_services_that_start_at_once_migrate_once(place: StatePlace) -> None:
    barrier = threading.Barrier(6)

    def start(number: int) -> int:
        barrier.wait()
        with closing(open_state_store(place)) as store:
            return int(create_first_key(store, AT, lambda size: bytes([number]) * size) is not None)

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(start, range(6)))
    assert sum(made) == 1, "one of them creates the first key"


def test_a_fault_of_the_program_is_no_fault_of_the_server(first: StateStore) -> None:
    with pytest.raises(psycopg.errors.SyntaxError):
        first.read().execute("select nonsense from")
    with pytest.raises(AssertionError, match="one transaction"), first.write(), first.write():
        pass
    assert list_keys(first) == []


def test_rows_are_read_by_name_and_position_and_in_a_stream(first: StateStore) -> None:
    with first.write() as connection:
        for name in ("a", "b", "c"):
            connection.execute("insert into secrets (name, value) values (?, ?)", (name, b"\x00\xff"))
        assert first.read().execute("select count(*) from secrets").fetchone()[0] == 3, "it sees its own rows"
    row = first.read().execute("select name, value from secrets order by name").fetchone()
    assert (row["name"], row[1], tuple(row)) == ("a", b"\x00\xff", ("a", b"\x00\xff"))
    assert [row["name"] for row in first.stream("select name from secrets order by name")] == ["a", "b", "c"]


# -- both databases ----------------------------------------------------------------------------------------------------


def test_a_script_that_fails_leaves_nothing_and_the_next_start_completes_it(place: StatePlace) -> None:
    for where in (place, place.folder):
        with pytest.raises(Exception, match=r"(?i)syntax error"):
            StateStore(where, migrations={"notes": ("create table added (a text) strict; create nonsense",)})
        with closing(StateStore(where, migrations={"notes": ("create table added (a text) strict",)})) as store:
            assert store.columns("added") == ["a"]


def test_a_store_of_a_newer_release_is_used_unless_it_breaks_this_one(place: StatePlace) -> None:
    old = ("create table notes (a text) strict",)
    adds = (*old, "alter table notes add column b text")
    breaks = (*adds, Script("alter table notes rename column a to c", is_breaking=True))
    for where in (place, place.folder):
        for scripts in (old, adds, old):
            StateStore(where, migrations={"notes": scripts}).close()
        StateStore(where, migrations={"notes": breaks}).close()
        with pytest.raises(StateError, match=r"`notes` are at migration 3, and this release knows 2\. Install"):
            StateStore(where, migrations={"notes": adds})


# -- the SQLite files of a home ----------------------------------------------------------------------------------------


def test_an_empty_database_takes_over_the_files_of_the_home(place: StatePlace) -> None:
    with closing(open_state_store(place.folder)) as file:
        made, _ = create_key(file, "Ana", ["admin"], AT, lambda size: b"k" * size)
        with file.write() as connection:
            connection.execute("insert into abuse_labels values (7, 'u', 1, '2026-01-01T00:00:00+00:00', 'Ana', null)")
    StateStore(place).close()  # a command that knows the core only
    with closing(open_state_store(place)) as store:
        assert list_keys(store) == [made]
        with store.write() as connection:
            ((label,),) = connection.execute(
                "insert into abuse_labels (user_id, is_abuser, labelled_at, labelled_by) "
                "values ('v', 0, '2026-01-02T00:00:00+00:00', 'Ana') returning label_id"
            ).fetchall()
        assert label == 8, "numbers go on"
    assert not (place.folder / FILE).exists()
    assert (place.folder / f"{FILE}.adopted").exists()


@pytest.mark.usefixtures("first")
def test_a_database_that_has_a_state_takes_over_no_file(place: StatePlace) -> None:
    with closing(open_state_store(place.folder)) as file:
        create_key(file, "Ana", ["admin"], AT, lambda size: b"k" * size)
    with closing(open_state_store(place)) as second:
        assert list_keys(second) == []
    assert (place.folder / FILE).exists()
