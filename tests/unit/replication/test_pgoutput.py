"""Decoding pgoutput: what PostgreSQL sends, in binary and as text, equals the rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from quintet.change_log.change import Change, completed
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.replication.pgoutput import Begin, Commit, Decoder, ProtocolError, Relation, is_additive
from quintet.replication.values import Column

_TABLE = """
    create table kinds (
        id integer primary key, small smallint, large bigint, whether boolean, half real, whole double precision,
        price numeric, exact numeric(12, 4), name varchar, note text, letter "char", on_day date, at timestamp,
        at_zone timestamptz, mark uuid, doc jsonb
    )
"""
_VALUES = """
    (1, -2, 9007199254740993, true, 0.5, 0.1, 12345678901234567890.000100, -7.25, 'žluťoučký', E'a\\tb"c', 'x',
     '2020-02-29', '2020-02-29 23:59:59.000001', '2020-02-29 23:59:59.5+02', '00000000-0000-0000-0000-0000000000ff',
     '{"a": [1, null]}'),
    (2, null, null, false, 'NaN', 'Infinity', 'NaN', 0, '', null, null,
     'infinity', '-infinity', 'infinity', null, null),
    (3, 0, 0, null, 0, -0.0, 0.00001234, 10000, 'x', 'y', 'z', '0044-03-15 BC', null, null, null, null)
"""
_EXPECTED = {
    "id": 1, "small": -2, "large": 9007199254740993, "whether": True, "half": 0.5, "whole": 0.1,
    "price": "12345678901234567890.000100", "exact": "-7.2500", "name": "žluťoučký", "note": 'a\tb"c', "letter": "x",
    "on_day": "2020-02-29", "at": "2020-02-29T23:59:59.000001", "at_zone": "2020-02-29T21:59:59.500000Z",
    "mark": "00000000-0000-0000-0000-0000000000ff", "doc": '{"a": [1, null]}',
}  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "pg", {"fsync": "off"}) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("create publication quintet for all tables")
        yield server.url


@pytest.fixture
def database(url: str) -> Iterator[psycopg.Connection]:
    """A connection to a database with a new slot `trial` and without the tables of other tests."""
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("drop table if exists kinds, long_values")
        connection.execute("select pg_create_logical_replication_slot('trial', 'pgoutput')")
        yield connection
        connection.execute("select pg_drop_replication_slot('trial')")


def _decoded(connection: psycopg.Connection, binary: bool = True) -> list:
    decoder, option = Decoder(binary), ", 'binary', 'true'" if binary else ""
    messages = connection.execute(
        "select data from pg_logical_slot_get_binary_changes('trial', null, null, 'proto_version', '1', "
        f"'publication_names', 'quintet'{option})".encode()
    )
    return [message for (data,) in messages for message in decoder.decode(bytes(data))]


def _changes(connection: psycopg.Connection, binary: bool = True) -> list[Change]:
    return [message for message in _decoded(connection, binary) if isinstance(message, Change)]


@pytest.mark.parametrize("binary", [True, False])
def test_every_kind_of_value_is_read(database: psycopg.Connection, binary: bool) -> None:
    database.execute(_TABLE.encode())
    database.execute(f"insert into kinds values {_VALUES}".encode())
    first, second, third = (dict(change.row or {}) for change in _changes(database, binary))
    assert first == _EXPECTED
    assert (second["half"], second["whole"], second["price"]) == ("nan", "inf", "NaN")
    assert (second["on_day"], second["at"], second["at_zone"]) == ("infinity", "-infinity", "infinity")
    assert second["small"] is second["note"] is None
    assert third["price"] == "0.00001234"
    assert "2020" not in third["on_day"]


def test_changes_are_numbered_within_their_commit(database: psycopg.Connection) -> None:
    database.execute(_TABLE.encode())
    with database.transaction():
        database.execute("insert into kinds (id) values (1), (2)")
        database.execute("delete from kinds where id = 1")
    messages = _decoded(database)
    begin, commit = (next(m for m in messages if isinstance(m, kind)) for kind in (Begin, Commit))
    changes = [message for message in messages if isinstance(message, Change)]
    assert [change.sequence for change in changes] == [0, 1, 2]
    assert {change.commit_lsn for change in changes} == {begin.commit_lsn} == {commit.commit_lsn}
    assert commit.end_lsn > commit.commit_lsn


def test_a_delete_has_the_key_alone_without_nulls_for_other_columns(database: psycopg.Connection) -> None:
    database.execute(_TABLE.encode())
    database.execute("insert into kinds (id, name) values (1, 'gone')")
    database.execute("delete from kinds")
    assert _changes(database)[-1].old == {"id": 1}


def test_a_changed_key_comes_with_the_old_one(database: psycopg.Connection) -> None:
    database.execute(_TABLE.encode())
    database.execute("insert into kinds (id) values (1)")
    database.execute("update kinds set id = 2")
    change = _changes(database)[-1]
    assert change.old == {"id": 1}
    assert change.row is not None
    assert change.row["id"] == 2


def test_truncation_is_a_change_of_each_table(database: psycopg.Connection) -> None:
    database.execute(_TABLE.encode())
    database.execute("insert into kinds (id) values (1)")
    database.execute("truncate kinds")
    assert _changes(database)[-1][3:5] == ("kinds", "truncate")


@pytest.mark.parametrize(("identity", "is_sent"), [("default", False), ("full", True)])
def test_an_unchanged_long_value_is_never_null(database: psycopg.Connection, identity: str, is_sent: bool) -> None:
    database.execute("create table long_values (id integer primary key, short text, long text)")
    database.execute("alter table long_values alter column long set storage external")
    database.execute(f"alter table long_values replica identity {identity}".encode())
    database.execute("insert into long_values values (1, 'a', repeat('long ', 2000))")
    database.execute("update long_values set short = 'b'")
    inserted, updated = _changes(database)
    assert updated.row is not None
    assert ("long" in updated.row) == is_sent
    assert updated.unchanged == (() if is_sent else ("long",))
    whole = completed(updated, inserted.row)
    assert whole == {"id": 1, "short": "b", "long": "long " * 2000}
    if not is_sent:
        without = completed(updated, None)
        assert without is not None
        assert "long" not in without


def test_a_change_of_a_table_that_was_not_announced_is_refused() -> None:
    with pytest.raises(ProtocolError, match="was not announced"):
        Decoder(binary=True).decode(b"I\0\0\0\x07N\0\0")


def test_an_unknown_message_is_refused() -> None:
    with pytest.raises(ProtocolError, match="unknown message"):
        Decoder(binary=True).decode(b"?")


def _relation(*columns: Column) -> Relation:
    return Relation(1, "public", "t", "d", columns)


def test_an_added_column_is_additive_and_any_other_change_is_not() -> None:
    key, name = Column("id", 23, -1, True), Column("name", 25, -1, False)
    before = _relation(key, name)
    assert is_additive(before, _relation(key, Column("new", 25, -1, False), name))
    assert not is_additive(before, _relation(key))
    assert not is_additive(before, _relation(key, name._replace(name="title")))
    assert not is_additive(before, _relation(key, name._replace(type_number=23)))
    assert not is_additive(before, _relation(key, name._replace(is_key=True)))
