"""The log of loan decisions: each application once, on the disk, from any process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
import pytest

from quintet.lending.decision_log import FILE, MIGRATIONS, RECORDED, DecisionLog
from quintet.state.recorded import create_recorded, ingest_recorded
from quintet.state.store import StateStore
from quintet.state_place import StatePlace
from tests.unit.lending.models import RECORD
from tests.waiting import LONG_SECONDS


@pytest.fixture
def log(place: StatePlace) -> Iterator[DecisionLog]:
    found = DecisionLog(place)
    found.start()
    yield found
    found.close()


def test_a_decision_is_logged_once_its_future_is_done(log: DecisionLog) -> None:
    assert log.record(RECORD).result(LONG_SECONDS) is RECORD
    assert log.of_application(1) == RECORD
    assert log.of_application(2) is None


def test_the_first_decision_of_an_application_stands(log: DecisionLog) -> None:
    futures = [log.record(replace(RECORD, answer=str(number))) for number in range(20)]
    assert {future.result(LONG_SECONDS).answer for future in futures} == {"0"}
    assert list(log.applications()) == [1]


def test_another_process_may_have_decided_before(log: DecisionLog, place: StatePlace) -> None:
    other = DecisionLog(place)
    other.start()
    other.record(RECORD).result(LONG_SECONDS)
    other.close()
    assert log.record(replace(RECORD, decision="reject")).result(LONG_SECONDS) == RECORD


def test_pending_decisions_are_written_before_it_closes(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    log.start()
    futures = [log.record(replace(RECORD, application_id=number)) for number in range(1_200)]
    log.close()
    assert all(future.done() for future in futures)
    again = DecisionLog(tmp_path)
    assert sorted(again.applications()) == list(range(1_200))
    again.close()


def test_a_decision_that_cannot_be_written_raises(log: DecisionLog) -> None:
    bad = log.record(replace(RECORD, decision=None))  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"(?i)not[ -]null"):
        bad.result(LONG_SECONDS)
    assert log.record(RECORD).result(LONG_SECONDS) is RECORD


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path)
    modes = [log._store.read().execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]  # 2 is full
    log.close()


def test_artefacts_are_kept_once_by_their_hash(log: DecisionLog) -> None:
    assert log.last_policy() is None
    log.keep_artefact("policy", "h1", "p1", "one", "2026-11-21T12:00:00+00:00")
    log.keep_artefact("policy", "h2", "p2", "two", "2026-11-21T12:01:00+00:00")
    log.keep_artefact("policy", "h1", "p1", "one", "2026-11-21T12:02:00+00:00")
    assert log.last_policy() == "two"
    assert (log.policy_of_version("p1"), log.policy_of_version("p3")) == ("h1", None)
    log.record(RECORD).result(LONG_SECONDS)
    assert log.last_policy() == "one"  # it decided last


def test_an_artefact_is_returned_only_if_its_text_has_the_hash(log: DecisionLog) -> None:
    right, wrong = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()
    log.keep_artefact("model", right, "m1", "one", "2026-11-21T12:00:00+00:00")
    log.keep_artefact("model", wrong, "m2", "changed", "2026-11-21T12:00:00+00:00")
    assert (log.artefact(right), log.artefact(wrong), log.artefact("h3")) == ("one", None, None)


def test_decisions_are_found_by_time_and_number(log: DecisionLog) -> None:
    for number in range(1, 6):
        at = f"2026-11-21T12:0{number}:00+00:00"
        log.record(replace(RECORD, application_id=number, decision_id=f"d{number}", decided_at=at)).result(LONG_SECONDS)
    assert log.since("2026-11-21T12:03", 10)["application_id"].tolist() == [3, 4, 5]
    assert log.since("2026-11-21T12:03", 2)["application_id"].tolist() == [4, 5]
    assert log.after(3)["decision_number"].tolist() == [4, 5]


def test_decisions_of_an_earlier_release_keep_the_reason_why_they_were_degraded(tmp_path: Path) -> None:
    row = asdict(RECORD) | {"degraded_reason": "the stream was late"}
    columns = ", ".join(row).replace("degraded_reason", "shortfall")
    with closing(StateStore(tmp_path, FILE, {"decisions": MIGRATIONS[:1]})) as former, former.write() as connection:
        connection.execute(
            f"insert into decisions ({columns}) values ({', '.join('?' * len(row))})", tuple(row.values())
        )
    before = _ingested(tmp_path)

    log = DecisionLog(tmp_path)
    found = log.of_application(1)
    log.close()

    assert found == replace(RECORD, degraded_reason="the stream was late")
    assert before == _ingested(tmp_path) == [("the stream was late",)]


def _ingested(folder: Path) -> list[tuple[str]]:
    """Return the reasons that a run ingests into a warehouse of an earlier release."""
    (table,) = RECORDED
    with duckdb.connect() as warehouse:
        warehouse.execute("create schema ops")
        create_recorded(warehouse, [table])
        warehouse.execute(f"alter table {table.table} rename column degraded_reason to shortfall")
        create_recorded(warehouse, [table])
        ingest_recorded(warehouse, table, folder)
        return warehouse.execute(f"select degraded_reason from {table.table}").fetchall()
