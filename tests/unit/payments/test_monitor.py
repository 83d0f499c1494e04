"""Live payments: verdicts, idempotency, late rows, restarts, the clock."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from quintet.domains import open_state_store
from quintet.payments import monitor as module
from quintet.payments import store as payment_store
from quintet.payments.backtest import detect_batch
from quintet.payments.items import Item
from quintet.payments.monitor import ALERT, OK, Monitor, is_ahead
from quintet.state.faults import StateUnavailableError
from quintet.state.store import StateStore
from tests.unit.payments.minutes import FIRST, LATER, START, all_incidents, all_points, minute_of, quiet_hours


def test_a_burst_of_denials_is_an_alert_with_its_counts(store: StateStore) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(60), LATER)
    (verdicts,), _ = monitor.take([minute_of(60, denied=70)], LATER)
    approved, denied = verdicts

    assert (approved.recommendation, denied.recommendation) == (OK, ALERT)
    assert denied.point is not None
    assert (denied.point.series, denied.point.rule, denied.point.observed) == ("denied", "denied_quarter", 70)
    assert denied.incident_id is not None
    assert "more than a quarter was denied" in denied.reason


def test_items_that_are_sent_again_change_nothing(store: StateStore) -> None:
    monitor, requests = Monitor(store), [*quiet_hours(40), minute_of(40, denied=70)]
    monitor.take(requests, LATER)
    before = all_points(store), all_incidents(store)
    (again,), change = monitor.take([requests[-1]], LATER)

    assert (change.points, change.incidents) == ([], [])
    assert (all_points(store), all_incidents(store)) == before
    assert again[1].recommendation == ALERT


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    requests = [*quiet_hours(50), minute_of(50, denied=70), minute_of(51, denied=70), *[minute_of(52)]]
    through, restarted = open_state_store(tmp_path / "through"), open_state_store(tmp_path / "restarted")
    monitor = Monitor(through)
    for request in requests:
        monitor.take([request], LATER)
    for number, request in enumerate(requests):
        other = Monitor(restarted)
        verdicts = other.take([request], LATER)[0]
        if number % 7 == 0:
            other.checkpoint()

    assert all_points(restarted) == all_points(through)
    assert all_incidents(restarted) == all_incidents(through)
    assert verdicts == monitor.take([requests[-1]], LATER)[0]
    through.close()
    restarted.close()


def test_a_service_that_starts_while_another_records_misses_nothing(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Monitor(store)
    first.take(quiet_hours(60), LATER)
    load = payment_store.load_state

    def load_while_another_records(given: StateStore) -> object:
        found = load(given)
        thread = threading.Thread(target=lambda: first.take([minute_of(60, denied=70)], LATER))
        thread.start()
        thread.join()
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(payment_store, "load_state", load_while_another_records)
        second = Monitor(store)
    second.take([minute_of(61)], LATER)
    first.pass_time(LATER)
    assert second.detector.to_json() == first.detector.to_json()


@pytest.mark.parametrize("checkpoint_every", [3, 1_000])
def test_two_services_on_one_store_judge_as_one(
    store: StateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_every: int
) -> None:
    monkeypatch.setattr(module, "_INPUTS_PER_CHECKPOINT", checkpoint_every)
    bursts = [minute_of(50 + number, denied=70) for number in range(6)]
    requests = [*quiet_hours(50), *bursts, *[minute_of(number) for number in range(56, 75)]]
    with closing(open_state_store(tmp_path / "alone")) as alone:
        monitor, expected = Monitor(alone), []
        for request in requests:
            expected += monitor.take([request], LATER)[0]
        as_one = all_points(alone), all_incidents(alone)

    services = Monitor(store), Monitor(store)
    chance, verdicts, seen = random.Random(1), [], []
    for request in requests:
        verdicts += services[chance.randrange(2)].take([request], LATER)[0]
        seen += services[1].pass_time(LATER).points
    assert verdicts == expected
    assert (all_points(store), all_incidents(store)) == as_one
    services[0].pass_time(LATER)
    assert services[0].detector.to_json() == services[1].detector.to_json()
    if checkpoint_every > len(requests):
        assert seen, "the second one reports the minutes that the first one took"


def test_after_an_error_the_next_request_starts_from_the_store(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor, requests = Monitor(store), quiet_hours(40)
    monitor.take(requests[:20], LATER)
    before = all_points(store)
    with monkeypatch.context() as broken:
        broken.setattr(payment_store, "save_points", refuse)
        broken.setattr(payment_store, "load_state", refuse)  # the store stays away
        for _ in range(2):
            with pytest.raises(StateUnavailableError):
                monitor.take([minute_of(20, denied=70)], LATER)
    assert all_points(store) == before
    monitor.take(requests[20:], LATER)
    assert Monitor(store).detector.to_json() == monitor.detector.to_json()


def refuse(*_: object) -> None:
    raise StateUnavailableError("the server is gone")


def test_late_counts_end_as_if_in_order(tmp_path: Path) -> None:
    requests = [*quiet_hours(50), *(minute_of(50 + number, denied=60) for number in range(10))]
    mixed = requests[:]
    chance = random.Random(3)
    # the minute that arrives first begins the data
    for first in range(1, len(mixed), 10):
        part = mixed[first : first + 10]
        chance.shuffle(part)
        mixed[first : first + 10] = part
    stores = [open_state_store(tmp_path / name) for name in ("ordered", "mixed")]
    for store, order in zip(stores, (requests, mixed), strict=True):
        monitor = Monitor(store)
        for request in order:
            monitor.take([request], LATER)
    firing = [[one for one in all_incidents(store) if one[2] != "withdrawn"] for store in stores]

    assert firing[0] == firing[1]
    assert firing[0]
    for store in stores:
        store.close()


def test_an_incident_that_late_counts_withdraw_is_marked(store: StateStore) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(60), LATER)
    # the approvals of the minute arrive late: without them it looks as if nothing were approved
    (alone,), _ = monitor.take([[Item(FIRST + 60, "denied", 55)]], LATER)
    before = {one.fields["series"]: one.fields["state"] for one in payment_store.incidents(store)}
    monitor.take([[Item(FIRST + 60, "approved", 600)]], LATER)
    states = {one.fields["series"]: one.fields["state"] for one in payment_store.incidents(store)}

    assert alone[0].recommendation == ALERT
    assert (before, states) == ({"volume": "firing"}, {"volume": "withdrawn"})


def test_a_settled_minute_is_refused_with_a_reason(store: StateStore) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(40), LATER)
    before = all_points(store)
    (verdicts,), _ = monitor.take([minute_of(3, denied=70)], LATER)

    assert [(one.is_accepted, one.recommendation) for one in verdicts] == [(False, OK), (False, OK)]
    assert "settled" in verdicts[0].reason
    assert all_points(store) == before


def test_single_transactions_count_once_and_make_the_same_minute(tmp_path: Path) -> None:
    counted, single = open_state_store(tmp_path / "counted"), open_state_store(tmp_path / "single")
    Monitor(counted).take([[Item(FIRST + number, "approved", 3)] for number in range(3)], LATER)
    monitor = Monitor(single)
    for number in range(4):
        for which in ("a", "b", "a", "c"):
            monitor.take([[Item(FIRST + number, "approved", 1, f"{number}{which}")]], LATER)
    last = FIRST + 3

    assert payment_store.points(single, 0, last) == payment_store.points(counted, 0, last)
    counted.close()
    single.close()


def test_an_unfinished_minute_is_answered_by_the_last_complete_one(store: StateStore) -> None:
    monitor, now = Monitor(store), START + dt.timedelta(minutes=10, seconds=20)
    monitor.take(quiet_hours(10), now)
    (verdicts,), change = monitor.take([minute_of(10, denied=1)], now)

    assert verdicts[1].point is not None
    assert verdicts[1].point.minute == FIRST + 9
    assert "not complete" in verdicts[1].reason
    assert change.points == []


def test_the_clock_closes_minutes_and_finds_a_feed_that_fell_silent(store: StateStore) -> None:
    monitor, now = Monitor(store), START + dt.timedelta(minutes=30)
    monitor.take(quiet_hours(30), now)
    for _ in range(10):
        now += dt.timedelta(minutes=1)
        monitor.pass_time(now)
    (feed,) = [one for one in payment_store.incidents(store) if one.fields["series"] == "feed"]

    assert feed.fields["state"] == "firing"
    assert feed.fields["started_minute"] == FIRST + 30


def test_the_clock_closes_no_minutes_of_old_days(store: StateStore) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(30), LATER)

    assert monitor.pass_time(LATER).points == []
    assert monitor.detector.last_minute == FIRST + 29


def test_an_unknown_status_is_a_series_of_its_own_and_is_reported(store: StateStore) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(30), LATER)
    (verdicts,), _ = monitor.take([minute_of(30, chargeback=9)], LATER)

    assert monitor.unknown_statuses == ("chargeback",)
    assert verdicts[-1].point is not None
    assert (verdicts[-1].point.series, verdicts[-1].recommendation) == ("chargeback", ALERT)
    assert Monitor(store).unknown_statuses == ("chargeback",)


def test_a_failed_write_changes_nothing(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = Monitor(store)
    monitor.take(quiet_hours(20), LATER)
    before = all_points(store)
    with monkeypatch.context() as broken:

        def no_room(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        broken.setattr(payment_store, "save_points", no_room)
        with pytest.raises(sqlite3.OperationalError):
            monitor.take([minute_of(20, denied=70)], LATER)
    (verdicts,), _ = monitor.take([minute_of(20)], LATER)

    assert all_points(store)[: len(before)] == before
    assert {one.recommendation for one in verdicts} == {OK}


def test_the_monitor_agrees_with_the_batch(store: StateStore) -> None:
    requests = [*quiet_hours(60), *(minute_of(60 + number, failed=12) for number in range(8)), *quiet_hours(0)]
    Monitor(store).take(requests, LATER)
    rows = [(item.minute, item.status, item.count) for request in requests for item in request]
    minutes = pd.DataFrame(rows, columns=["minute", "status", "count"])
    minutes["minute_at"] = minutes["minute"].to_numpy().astype("datetime64[m]").astype("datetime64[us]")
    points, incidents = detect_batch(minutes.assign(is_observed=True))

    assert [one.incident_id for one in payment_store.incidents(store)] == incidents["incident_id"].tolist()[::-1]
    assert len(all_points(store)) == len(points)


def test_a_minute_that_has_not_begun_is_ahead() -> None:
    now = START + dt.timedelta(seconds=10)

    assert not is_ahead(FIRST, now)
    assert is_ahead(FIRST + 1, now)
    assert not is_ahead(FIRST + 1, now + dt.timedelta(seconds=25))
