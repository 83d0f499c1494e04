"""A row that cannot be read is quarantined with its key: the stream goes on, and the row's client is referred."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.unit.lending.replica import ROWS, TABLES, Replica, database
from tests.waiting import wait_until

_POISON = {
    "a year beyond 9999": ("update loan set created_on = '10000-01-01' where id = 1", "loan"),
    "an infinite day": ("update loan set updated_on = 'infinity' where id = 1", "loan"),
    "a day before Christ": ("update payment set created_on = '0044-03-15 BC' where id = 1", "payment"),
    "an amount that is no number": ("update loan set amount = 'NaN' where id = 1", "loan"),
    "an infinite amount": ("update payment set interest = 'Infinity' where id = 1", "payment"),
    "a new row": ("insert into loan values (9, 1, 100, '-infinity', 'overdue', '2020-08-01', 30)", "loan"),
}
_HEALTHY = "update loan set created_on = '2020-02-02', updated_on = '2020-06-21', amount = 101 where id = 1"


@pytest.mark.parametrize("poison", _POISON)
@pytest.mark.parametrize("is_in_snapshot", [False, True])
def test_a_poison_row_refers_its_client_alone(replica: Replica, poison: str, is_in_snapshot: bool) -> None:
    statement, table = _POISON[poison]
    if is_in_snapshot:
        replica.run(statement)
    with replica.stream():
        if not is_in_snapshot:
            replica.run(statement)
        record = replica.decide(1)
        assert record.decision == "refer"
        assert record.degraded_reason is not None
        assert f"of table public.{table} is quarantined: column" in record.degraded_reason
        assert replica.decide(2).decision == "approve"  # the stream goes on


def test_a_row_that_can_be_read_is_decided(replica: Replica) -> None:
    with replica.stream():
        replica.run(_HEALTHY)
        assert (replica.decide(1).decision, replica.decide(2).decision) == ("approve", "approve")


def test_times_beyond_9999_in_other_columns_harm_nobody(replica: Replica) -> None:
    replica.run("alter table loan add seen_at timestamptz")
    with replica.stream():
        replica.run("update loan set seen_at = '20000-01-01 00:00+00' where id = 1")
        assert replica.decide(1).decision == "approve"
        row = replica.applier.store.row("loan", "1")
    assert row is not None
    assert "microseconds" in row["seen_at"]


_ENCODINGS = [
    ("UTF8", b"\xc4\x93", "\u0113"),
    ("LATIN1", b"\xe9", "é"),
    ("WIN1252", b"\x80", "€"),
    ("EUC_JP", b"\xc6\xfc", "日"),
    ("SQL_ASCII", b"\xc3\xa9", "é"),
    ("SQL_ASCII", b"\xe9", "\ufffd"),
]


def _store(url: str, encoding: str, statement: bytes) -> None:
    """Execute a statement whose bytes are stored as they are."""
    with psycopg.connect(url, autocommit=True, client_encoding=encoding) as connection:
        connection.pgconn.exec_(statement)


@pytest.mark.parametrize(("encoding", "stored", "read"), _ENCODINGS)
def test_texts_of_other_encodings_are_read(
    server_url: str, tmp_path: Path, encoding: str, stored: bytes, read: str
) -> None:
    with database(server_url, *TABLES, *ROWS, encoding=encoding) as url:
        replica = Replica(url, tmp_path)
        _store(url, encoding, b'update "user" set note = \'x' + stored + b"' where id = 1")
        with replica.stream():
            wait_until(lambda: replica.applier.store.row("user", "1") is not None)
            snapshot = replica.applier.store.row("user", "1")
            replica.run("update \"user\" set birth_date = '1981-01-01' where id = 1")
            assert replica.decide(1).decision == "approve"
            streamed = replica.applier.store.row("user", "1")
        replica.applier.store.close()
    assert snapshot is not None
    assert streamed is not None
    assert snapshot["note"] == streamed["note"] == f"x{read}"
    assert streamed["birth_date"] == "1981-01-01"


def test_a_status_with_unknown_characters_is_quarantined(server_url: str, tmp_path: Path) -> None:
    with database(server_url, *TABLES, *ROWS, encoding="SQL_ASCII") as url:
        replica = Replica(url, tmp_path)
        with replica.stream():
            _store(url, "SQL_ASCII", b"update loan set status = 'p\xe9id' where id = 1")
            assert replica.decide(1).decision == "refer"
            assert replica.decide(2).decision == "approve"
        replica.applier.store.close()


def test_a_long_value_that_a_rewrite_made_is_left_out_by_an_update_and_harms_nobody(replica: Replica) -> None:
    with replica.stream():
        replica.run(
            "alter table loan add note text not null default repeat('long ', 2000)",
            "alter table loan alter note set storage external",
            "update loan set note = repeat('more ', 2000), duration = 31 where id in (1, 2)",
            "update loan set duration = 32 where id = 1",
        )
        assert replica.decide(1).decision == "approve"
        row = replica.applier.store.row("loan", "1")
    assert row is not None
    assert row["duration"] == 32


def test_a_deletion_without_the_id_refers_everybody(replica: Replica) -> None:
    with replica.stream():
        replica.run(
            "alter table payment alter loan_id set not null",
            "create unique index other on payment (loan_id)",
            "alter table payment replica identity using index other",
            "delete from payment where id = 1",
        )
        records = [replica.decide(1), replica.decide(2)]
    assert [record.decision for record in records] == ["refer", "refer"]
    assert all("payment" in (record.degraded_reason or "") for record in records)
    assert json.loads(records[0].answer)["degraded_reason"] == records[0].degraded_reason
