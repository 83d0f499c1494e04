"""No decision takes an incomplete table as complete: each way of losing changes, and harmless twins that decide."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from quintet.change_log.completeness import read_incomplete
from quintet.change_log.log import epochs, stretches
from quintet.lending.feature_registry import features
from quintet.lending.tables import catch_up_with_log, client_features, training_rows
from quintet.replication.database import ChangesLostError, PublisherError
from tests.unit.lending.replica import NOW, OPTIONS, Replica
from tests.waiting import wait_until

_OVERDUE = "insert into loan values (3, 1, 100, '2020-03-01', 'overdue', '2020-08-01', 30)"
_LATE = "insert into payment values (3, 1, 1, 1, 'late', '2020-08-01')"
_SWAP = (
    "create table {new} (like {old} including all)",
    "insert into {new} select * from {old}",
    "alter table {old} rename to {old}_before",
    "alter table {new} rename to {old}",
)
_OTHER = "create table other (id integer primary key, note varchar)"


def _swap(old: str) -> tuple[str, ...]:
    return tuple(statement.format(old=old, new=f"{old}_new") for statement in _SWAP)


_BREAKS = {
    "a widened column": (["alter table loan alter amount type numeric"], [_OVERDUE], "loan", "amount"),
    "a retyped column without a further change": (
        ["alter table payment alter status type text using 'late'"], [], "loan", "status",
    ),
    "columns with each other's names": (
        ["alter table loan rename created_on to c", "alter table loan rename updated_on to created_on",
         "alter table loan rename c to updated_on"], [_OVERDUE], "loan", "created_on, updated_on",
    ),
    "loan out of the publication": (["alter publication quintet drop table loan"], [_OVERDUE], "loan", "not in the"),
    "payment out of the publication": (
        ["alter publication quintet drop table payment"], [_LATE], "loan", "not in the publication",
    ),
    "out and in again": (
        ["alter publication quintet drop table payment", _LATE, "alter publication quintet add table payment"],
        [], "loan", "taken out of the publication and put back",
    ),
    "a renamed table": (["alter table loan rename to loan_old"], [], "loan_old", "renamed"),
    "a table renamed and back": (
        ["alter table payment rename to p", "insert into p values (3, 1, 1, 1, 'late', '2020-08-01')",
         "alter table p rename to payment"], [], "loan", "renamed to public.p",
    ),
    "swapped tables": ([*_swap("loan")], [_OVERDUE], "loan", "another table has its name"),
    "published for inserts alone": (
        ["alter publication quintet set (publish = 'insert')"],
        ["update loan set status = 'overdue' where id = 1"], "loan", "does not send update, delete, truncate",
    ),
    "published for inserts alone for a while": (
        ["alter publication quintet set (publish = 'insert')", "update loan set status = 'overdue' where id = 1",
         "alter publication quintet set (publish = 'insert, update, delete, truncate')"], [], "loan", "was altered",
    ),
    "a row filter": (
        ["alter publication quintet set table loan, \"user\", payment where (id < 3)"], [_LATE], "loan", "row filter",
    ),
    "a column list": (
        ["alter publication quintet set table loan, \"user\", payment (id, loan_id)"],
        [_LATE], "loan", "columns",
    ),
    "another replica identity": (
        ["alter table payment alter loan_id set not null", "create unique index other on payment (loan_id)",
         "alter table payment replica identity using index other", "delete from payment where id = 1"],
        [], "loan", "replica identity",
    ),
    "an emptied replica identity": (["alter table payment replica identity nothing"], [_LATE], "loan", "identity"),
}  # fmt: skip
_HARMLESS = {
    "nothing": [],
    "an added column": ["alter table loan add note varchar"],
    "a renamed column that is not read": ['alter table "user" rename note to remark'],
    "another table in and out": [
        _OTHER, "alter publication quintet add table other", "alter publication quintet drop table other",
    ],
    "another renamed table": [_OTHER, "alter table other rename to others"],
    "another publication for inserts alone": ["create publication o for table loan with (publish = 'insert')"],
    "a row filter on another table": [_OTHER, "alter publication quintet add table other where (id < 3)"],
    "a column list of another table": [_OTHER, "alter publication quintet add table other (id)"],
    "a full replica identity": ["alter table loan replica identity full"],
    "another index": ["create index on loan (client_id)"],
    "another schema's table": [
        "create schema archive", "create table archive.loan (like loan including all)",
        "alter publication quintet add table archive.loan",
        "insert into archive.loan values (3, 1, 100, '2020-03-01', 'paid', '2020-08-01', 30)",
        "truncate archive.loan",
    ],
}  # fmt: skip


@pytest.mark.parametrize("broken", _BREAKS)
def test_an_application_is_referred_with_the_reason(replica: Replica, broken: str) -> None:
    statements, further, table, reason = _BREAKS[broken]
    with replica.stream():
        replica.run(*statements, *further)
        record = replica.decide(table=table)
        answer = json.loads(record.answer)
        assert (record.decision, record.score) == ("refer", None), record
        assert record.degraded_reason is not None
        assert reason in record.degraded_reason
        assert answer["degraded_reason"] == record.degraded_reason
        wait_until(lambda: any(reason in text for text in replica.applier.incomplete()))
    epoch = epochs(replica.log)[-1]
    found = read_incomplete(replica.log, epoch.name)
    assert found
    assert all(reason in one.reason for one in found.values())
    with replica.stream():  # it stays so after a restart of the stream
        assert replica.decide(table=table).decision == "refer"


@pytest.mark.parametrize("harmless", _HARMLESS)
def test_an_application_is_decided_where_nothing_is_missing(replica: Replica, harmless: str) -> None:
    with replica.stream():
        replica.run(*_HARMLESS[harmless])
        record = replica.decide()
        assert (record.decision, record.degraded_reason) == ("approve", None), record
        replica.run("insert into loan (id, client_id, amount, created_on, status, updated_on) "
                    "values (3, 1, 100, '2020-03-01', 'overdue', '2020-08-01')")  # fmt: skip
        record = replica.decide()
        assert (record.decision, json.loads(record.reasons)) == ("reject", ["OVERDUE_LOAN"])
        assert json.loads(record.answer)["degraded_reason"] is None
        assert replica.applier.incomplete() == []


def test_a_new_snapshot_completes_the_tables(replica: Replica) -> None:
    with replica.stream():
        replica.run("alter publication quintet drop table payment", _LATE)
        assert replica.decide().decision == "refer"
        replica.run("alter publication quintet add table payment")
    with replica.stream(new_snapshot=True):
        assert replica.decide().decision != "refer"
        assert replica.applier.incomplete() == []


@pytest.mark.parametrize("is_restored", [True, False])
def test_a_table_that_is_taken_out_while_the_stream_is_down_is_noticed_at_its_start(
    replica: Replica, is_restored: bool
) -> None:
    with replica.stream():
        pass
    replica.run("alter publication quintet drop table payment", _LATE)
    if is_restored:
        replica.run("alter publication quintet add table payment")
    with replica.stream():
        record = replica.decide()
        assert record.decision == "refer"
        assert "publication" in (record.degraded_reason or "")


def test_an_application_before_the_table_became_incomplete_is_decided(replica: Replica) -> None:
    with replica.stream():
        record = replica.decide()
        end = record.applied_lsn
        replica.run("alter publication quintet drop table payment", _OVERDUE)
        replica.decide()
        found = replica.applier.features_at(1, record.application_id, end, NOW.date())
        assert (found.is_covered, found.incomplete) == (True, {})
        later = replica.applier.features_at(1, record.application_id, None, NOW.date())
        assert list(later.incomplete) == ["payment"]


def test_exports_and_training_use_what_was_complete(replica: Replica, tmp_path: Path) -> None:
    with replica.stream():
        before = replica.decide().application_id
        replica.run("alter publication quintet drop table payment", _LATE)
        after = replica.decide().application_id
        wait_until(lambda: len(stretches(replica.log, epochs(replica.log)[-1].name)) > 1)
    catch_up_with_log(tmp_path / "rebuilt", replica.log, epochs(replica.log)[-1], features())
    applications = set(training_rows(tmp_path / "rebuilt", features())["application_id"])
    assert before in applications
    assert after not in applications
    today = NOW.date().replace(year=2100)
    (as_of,) = set(client_features(tmp_path / "rebuilt", features(), today)["as_of"])
    assert as_of < today.isoformat()


# -- the publication as a whole --------------------------------------------------------------------------------------

_DROP, _CREATE = "drop publication quintet", 'create publication quintet for table "user", loan, payment'


@pytest.mark.parametrize(("statements", "said"), [([_DROP], "was dropped,"), ([_DROP, _CREATE], "created again")])
@pytest.mark.parametrize("is_running", [True, False])
def test_a_dropped_publication_ends_the_stream_and_is_not_created(
    replica: Replica, statements: list[str], said: str, is_running: bool
) -> None:
    with ExitStack() as running:
        running.enter_context(pytest.raises(ChangesLostError, match=said))
        if not is_running:
            with replica.stream():
                pass
            replica.run(*statements)
        stream = running.enter_context(replica.stream())
        if is_running:
            replica.run(*statements, _OVERDUE)
            wait_until(stream.ended.is_set)
    assert replica.ask("select count(*) from pg_publication") == len(statements) - 1


def test_another_publication_that_is_dropped_changes_nothing(replica: Replica) -> None:
    replica.run("create publication other for table loan")
    with replica.stream():
        replica.run("drop publication other")
        assert replica.decide().decision == "approve"


# -- what is refused at the start ------------------------------------------------------------------------------------

_REFUSED = {
    "inserts alone": ([f"{_CREATE} with (publish = 'insert')"], "does not send update, delete, truncate"),
    "a row filter": ([f"{_CREATE} where (id < 3)"], "public.payment .*row filter"),
    "a column list": ([f"{_CREATE} (id, loan_id)"], "sends only its columns id, loan_id"),
    "a lacking table": (['create publication quintet for table "user", loan'], "public.payment .*not in the"),
    "no primary key": (["alter table loan drop constraint loan_pkey"], r"public.loan .*add primary key \(id\)"),
    "a primary key of two columns": (
        ["alter table loan drop constraint loan_pkey, add primary key (id, status)"], r"no primary key \(id\)",
    ),
    "no replica identity": (["alter table loan replica identity nothing"], "replica identity full"),
    "a lacking column": (["alter table payment drop interest"], "public.payment .*lacks the column interest"),
    "a view": (["alter table loan rename to l", "create view loan as select * from l"], "view"),
    "children": (["create table loan_2021 () inherits (loan)"], "other tables inherit from it"),
    "money": (["alter table loan alter amount type money using amount::numeric::money"],
              "column amount is money, and real, double precision, numeric,"),
    "an id as text": (["alter table payment alter loan_id type text"], "loan_id is text, and smallint, integer,"),
    "a decimal id": (["alter table payment alter loan_id type numeric(9, 2)"], r"loan_id is numeric\(9,2\)"),
    "a day as text": (["alter table loan alter created_on type text"], "created_on is text, and date, timestamp"),
    "a status as number": (["alter table loan alter status type integer using 1"], "status is integer, and text"),
}  # fmt: skip


@pytest.mark.parametrize("refused", _REFUSED)
def test_a_database_that_cannot_be_replicated_whole_is_refused_before_anything_is_published(
    replica: Replica, refused: str
) -> None:
    statements, said = _REFUSED[refused]
    replica.run(*statements)
    own = replica.ask("select count(*) from pg_publication")
    with pytest.raises(PublisherError, match=said), replica.stream():
        pass
    assert replica.ask("select count(*) from pg_publication") == own
    assert replica.ask("select count(*) from pg_replication_slots") == 0
    replica.run("update payment set status = 'late'")  # the CRM goes on


_EXACT = {
    "wider and narrower integers": [
        "alter table loan alter id type bigint", "alter table loan alter client_id type smallint",
    ],
    "integers as decimals without places": ["alter table payment alter loan_id type numeric(9, 0)"],
    "money as decimals": ["alter table loan alter amount type numeric(12, 2)"],
    "money as integers": ["alter table loan alter amount type integer"],
    "money as real": ["alter table loan alter amount type real"],
    "padded texts": ["alter table loan alter status type char(20)"],
    "an enumeration": [
        "create type s as enum ('application', 'paid', 'overdue')",
        "alter table loan alter status type s using status::s",
    ],
    "a domain": ["create domain d as date", "alter table loan alter created_on type d"],
    "times in UTC": [
        "alter table loan alter created_on type timestamptz using (created_on + time '23:00') at time zone 'UTC'",
    ],
    "times": ["alter table payment alter created_on type timestamp"],
}  # fmt: skip


@pytest.mark.parametrize("exact", _EXACT)
def test_other_types_that_convert_exactly_give_the_same_features(replica: Replica, exact: str) -> None:
    with replica.stream():
        plain = replica.applier.features_of(1, NOW.date())
    replica.run("set timezone = 'UTC'", *_EXACT[exact])
    with replica.stream(new_snapshot=True):
        replica.run("insert into loan values (5, 2, 12, '2020-07-01', 'overdue', '2020-07-02', 30)")
        assert json.loads(replica.decide(2).reasons) == ["OVERDUE_LOAN"]
        found = replica.applier.features_of(1, NOW.date())
        other = replica.applier.features_of(2, NOW.date())
    assert plain is not None
    assert found is not None
    assert other is not None
    assert found.values == plain.values
    assert other.values["outstanding_principal"] == 12
    assert replica.applier.incomplete() == []


# -- the role's own limits -------------------------------------------------------------------------------------------


def test_the_timeouts_of_the_role_do_not_apply_to_the_stream(replica: Replica) -> None:
    name = replica.url.rsplit("/", 1)[1]
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "lock_timeout")
    for limit in limits:
        replica.run(f"alter database {name} set {limit} = '50ms'")
    with pytest.raises(Exception, match="statement timeout"):
        replica.run("select pg_sleep(0.5)")
    with replica.stream():
        wait_until(lambda: replica.applier.store.fact("flushed") is not None)
        threads = replica.ask("select count(*) from pg_stat_activity where application_name = 'quintet-stream'")
        replica.run("select 1", "select 1")
        assert replica.decide().decision == "approve"
        assert replica.ask("select count(*) from pg_stat_activity where application_name = 'quintet-stream'") == threads


def test_an_error_that_the_server_repeats_ends_the_stream_with_it(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def refuse(*_: object) -> None:
        attempts.append(1)
        raise PublisherError("the stream did not start: no such plug-in")

    monkeypatch.setattr("quintet.replication.database.Replication.start", refuse)
    with pytest.raises(PublisherError, match=r"no such plug-in .*6 attempts"), replica.stream():
        pass
    assert len(attempts) == OPTIONS.most_failures
