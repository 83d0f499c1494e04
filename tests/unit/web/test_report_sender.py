"""Scheduled reports by e-mail: the rows of the key alone, once, until the key is revoked; failures become cases."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from quintet.cases.kind import Decided
from quintet.cases.opening import open_from_service
from quintet.delivery.outbox_worker import deliver
from quintet.delivery.webhook import DeliveryError
from quintet.domains import ROW_POLICIES
from quintet.insurance.cases import AGAIN, END, REPORT, act
from quintet.insurance.report_runs import last_report_runs
from quintet.insurance.report_schedules import (
    CHANNEL,
    add_schedule,
    end_schedule,
    enqueue_due,
    find_schedule,
    schedules,
)
from quintet.settings import load_settings
from quintet.state.binding import Binding
from quintet.state.keys import Key, create_key, revoke_key
from quintet.state.store import StateStore
from quintet.web.report_sender import ReportSender
from quintet.web.snapshots import Snapshots
from tests.unit.insurance.schedules import wanted
from tests.waiting import wait_until

NOW = dt.datetime(2026, 1, 1, 7, tzinfo=dt.UTC)
DUE = NOW + dt.timedelta(minutes=30)


class Post:
    """A mail server that keeps what it accepts."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.fault: DeliveryError | None = None

    def __call__(self, mail: EmailMessage) -> None:
        if self.fault:
            raise self.fault
        self.mails.append(mail)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def snapshots(built_home: Path) -> Iterator[Snapshots]:
    found = Snapshots(built_home / "serving", 30, ROW_POLICIES)
    yield found
    found.close()


@pytest.fixture
def sender(post: Post, snapshots: Snapshots, state: StateStore, built_home: Path) -> ReportSender:
    settings = load_settings({"QUINTET_HOME": str(built_home), "QUINTET_PUBLIC_URL": "https://q.example.org/quintet"})
    return ReportSender(state, snapshots, settings, lambda: NOW, post)


@pytest.fixture
def state(file_store: StateStore) -> StateStore:
    return file_store


def _key(store: StateStore, binding: Binding | None = None) -> Key:
    given = iter(range(100, 200))
    return create_key(
        store, "Ana", ["insurance:read", "insurance:schedule"], NOW, lambda size: bytes([next(given)]) * size, binding
    )[0]


def _send(store: StateStore, sender: ReportSender, key: Key, **changed: Any) -> int:
    added = add_schedule(store, key.key_id, key.name, wanted(filters={}, **changed), NOW)
    enqueue_due(store, DUE)
    deliver(store, CHANNEL, sender.send, DUE)
    return added.schedule_id


def _agencies(mail: EmailMessage) -> set[str]:
    (file,) = mail.iter_attachments()
    return {row["agency_id"] for row in csv.DictReader(io.StringIO(file.get_content()))}


def test_a_bound_keys_report_has_its_rows_alone_and_another_has_all(
    state: StateStore, sender: ReportSender, post: Post, snapshots: Snapshots
) -> None:
    with snapshots.read() as snapshot:
        rows = snapshot.cursor.execute("select agency_id from marts.dim_agency").fetchall()
        all_of_them = {str(one) for (one,) in rows}
    own = min(all_of_them)
    _send(state, sender, _key(state, Binding.of({"agency": [own]})), format="csv")

    (mail,) = post.mails
    assert _agencies(mail) == {own}
    assert (mail["To"], mail["Subject"][:44]) == ("ana@example.org", "Premium Info by Agency and Product Line, all")
    assert [run.format for run in last_report_runs(state, 10)] == ["csv"]

    _send(state, sender, Key("environment", "root", frozenset({"admin"}), NOW), format="csv")
    assert len(post.mails) == 1  # the settings have no admin key any more
    everybody = create_key(state, "Ben", ["admin"], NOW, lambda size: b"b" * size)[0]
    _send(state, sender, everybody, format="csv")
    assert _agencies(post.mails[-1]) == all_of_them


def test_a_workbook_and_a_pdf_are_attached_and_a_link_is_not(
    state: StateStore, sender: ReportSender, post: Post, built_home: Path
) -> None:
    key = _key(state)
    _send(state, sender, key)
    (book,) = post.mails[-1].iter_attachments()
    assert book.get_filename() == "premium_all_years.xlsx"
    assert openpyxl.load_workbook(io.BytesIO(book.get_content())).sheetnames
    _send(state, sender, key, as_link=True)
    assert list(post.mails[-1].iter_attachments()) == []
    assert "https://q.example.org/quintet/reports?" in post.mails[-1].get_content()
    _send(state, sender, key, report="insurance_review", format="pdf")
    if (built_home / "reports" / "insurance_review.pdf").exists():
        (review,) = post.mails[-1].iter_attachments()
        assert review.get_content().startswith(b"%PDF")


def test_a_second_attempt_is_the_same_mail(state: StateStore, sender: ReportSender, post: Post) -> None:
    """A service that is killed after the server accepted a mail sends it again: mail programs show one of them."""
    key = _key(state)
    _send(state, sender, key)
    with state.write() as connection:  # as if the service had died before it noted that
        connection.execute("update outbox set state = 'waiting', next_attempt_at = created_at")
    deliver(state, CHANNEL, sender.send, DUE)

    assert [mail["Message-ID"] for mail in post.mails] == [post.mails[0]["Message-ID"]] * 2
    assert not deliver(state, CHANNEL, sender.send, DUE)


def test_a_revoked_key_ends_its_schedules(state: StateStore, sender: ReportSender, post: Post) -> None:
    key = _key(state)
    revoke_key(state, key.key_id, NOW)
    number = _send(state, sender, key)

    ended = find_schedule(state, number)
    assert post.mails == []
    assert ended is not None
    assert ended.ended_because == "its key was revoked"


def test_a_schedule_that_ended_after_it_was_due_sends_nothing(
    state: StateStore, sender: ReportSender, post: Post
) -> None:
    key = _key(state)
    added = add_schedule(state, key.key_id, key.name, wanted(), NOW)
    enqueue_due(state, DUE)
    end_schedule(state, added.schedule_id, DUE, "ended by Ana")

    assert deliver(state, CHANNEL, sender.send, DUE)
    assert post.mails == []


def _fail_until_given_up(store: StateStore, sender: ReportSender, post: Post) -> str:
    post.fault = DeliveryError("the mail server does not accept the recipient", is_refused=True)
    _send(store, sender, _key(store))
    for minute in range(1, 6):
        deliver(store, CHANNEL, sender.send, DUE + dt.timedelta(minutes=minute))
    ((key,),) = store.read().execute("select key from outbox where state = 'given up'").fetchall()
    return str(key)


def _cases(store: StateStore) -> list[tuple[str, ...]]:
    return [tuple(row) for row in store.read().execute("select subject_id, state, why from cases order by opened_at")]


def _decide(store: StateStore, subject: str, verdict: str) -> None:
    settings = load_settings({})
    decided = Decided("c", 2, subject, None, 1.0, verdict, None, "", "Ben", DUE + dt.timedelta(hours=1), settings)
    with store.write() as connection:
        act(connection, decided)


def test_a_report_that_cannot_be_sent_becomes_a_case_and_is_sent_again_by_its_verdict(
    state: StateStore, sender: ReportSender, post: Post
) -> None:
    subject = _fail_until_given_up(state, sender, post)
    open_from_service(state, REPORT, load_settings({}), DUE)
    ((about, of, why),) = _cases(state)
    assert (about, of) == (subject, "open")
    assert "does not accept the recipient" in why
    assert "tried no more" in why

    post.fault = None
    _decide(state, subject, AGAIN)
    assert deliver(state, CHANNEL, sender.send, DUE + dt.timedelta(hours=1))
    assert len(post.mails) == 1


def test_a_report_that_is_sent_at_last_needs_nobody(state: StateStore, sender: ReportSender, post: Post) -> None:
    post.fault = DeliveryError("the mail server did not accept it: ConnectionRefusedError")
    _send(state, sender, _key(state))
    for minute in range(1, 4):
        deliver(state, CHANNEL, sender.send, DUE + dt.timedelta(minutes=minute))
    open_from_service(state, REPORT, load_settings({}), DUE)
    assert [of for _, of, _ in _cases(state)] == ["open"]
    post.fault = None
    deliver(state, CHANNEL, sender.send, DUE + dt.timedelta(minutes=9))
    open_from_service(state, REPORT, load_settings({}), DUE)
    assert [of for _, of, _ in _cases(state)] == ["decided"]


def test_a_verdict_ends_the_schedule(state: StateStore, sender: ReportSender, post: Post) -> None:
    subject = _fail_until_given_up(state, sender, post)
    _decide(state, subject, END)
    assert schedules(state) == []


def test_without_a_mail_server_nothing_is_sent_and_nothing_starts(
    state: StateStore, snapshots: Snapshots, built_home: Path
) -> None:
    sender = ReportSender(state, snapshots, load_settings({"QUINTET_HOME": str(built_home)}), lambda: NOW)
    assert not sender.can_send
    sender.start()
    sender.stop()


def test_the_threads_send_what_is_due(state: StateStore, snapshots: Snapshots, built_home: Path) -> None:
    post, now = Post(), [NOW]
    sender = ReportSender(state, snapshots, load_settings({"QUINTET_HOME": str(built_home)}), lambda: now[0], post)
    key = _key(state)
    add_schedule(state, key.key_id, key.name, wanted(filters={}, format="csv"), NOW)
    now[0] = DUE
    sender.start()
    try:
        wait_until(lambda: bool(post.mails))
    finally:
        sender.stop()
