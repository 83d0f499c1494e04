"""The current online index: what it is built from, and queries that wait for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from quintet.promotions import online_state
from quintet.promotions.online_index import Judgement
from quintet.promotions.online_state import NotReadyError, OnlineState, build_index
from quintet.promotions.store import sign_ups_after
from quintet.state.store import StateStore
from tests.unit.promotions.worlds import small_world, write_snapshot
from tests.waiting import LONG_SECONDS


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot of fifty users."""
    return write_snapshot(tmp_path / "serving" / "one.duckdb")


def test_a_user_in_both_has_the_fields_of_the_snapshot_and_log_users_are_added(snapshot: Path):
    users, _, _ = small_world()
    known = str(users["user_id"].iloc[0])
    logged = [
        (1, {"user_id": known, "device_id": "another device"}, []),
        (2, {"user_id": "new", "device_id": "d", "created_at": "2026-01-01T10:00:00+02:00"}, [{"promo_code": "A"}]),
        (3, {"user_id": "new", "device_id": "changed"}, [{"promo_code": "B", "used_at": "2026-01-01T10:00:00"}]),
    ]
    index = build_index(snapshot, logged)

    assert index is not None
    assert len(index) == 51
    entry = index._entry(index._row("new"))  # type: ignore[arg-type]
    assert len(entry.code) == 2
    assert entry.created_at_s == 1_767_254_400


def test_without_a_model_there_is_no_index(snapshot: Path):
    with duckdb.connect(str(snapshot)) as connection:
        connection.execute("delete from ml.abuse_model")

    assert build_index(snapshot, []) is None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Block every build until the event is set."""
    go_on = threading.Event()
    build = online_state.build_index

    def slow(*given: object) -> object:
        go_on.wait(LONG_SECONDS)
        return build(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(online_state, "build_index", slow)
    return go_on


async def ask(state: OnlineState, user_id: str, patience_seconds: float = LONG_SECONDS) -> Judgement:
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    given = {"user_id": user_id, "created_at": at.isoformat(), "device_id": "d"}
    return await state.judge_and_record(given, [], at, "tester", f"sent for {user_id}", patience_seconds)


def test_queries_before_the_first_index_wait_for_it_or_time_out(
    snapshot: Path, store: StateStore, gate: threading.Event
):
    async def scene() -> tuple[str, list[Judgement]]:
        patient = [asyncio.create_task(ask(state, f"u{number}")) for number in range(10)]
        with pytest.raises(NotReadyError) as refused:
            await ask(state, "impatient", patience_seconds=0.1)
        gate.set()
        return str(refused.value), await asyncio.gather(*patient)

    state = OnlineState(store, snapshot.parent, lambda _: None)
    state.start()
    refused, judged = asyncio.run(scene())
    state.close()

    assert "is being built; try again" in refused
    assert sorted(one.cluster_size for one in judged)[0] == 1
    assert len(state.index()) == 60


def test_simultaneous_queries_are_judged_in_turn_and_each_is_logged_once(snapshot: Path, store: StateStore):
    async def scene() -> list[Judgement]:
        return await asyncio.gather(*(ask(state, f"u{number % 6}") for number in range(12)))

    state = OnlineState(store, snapshot.parent, lambda _: None)
    state.start()
    judged = asyncio.run(scene())
    state.close()

    assert [one.is_new for one in judged] == [True] * 6 + [False] * 6
    assert [given["user_id"] for _, given, _ in sign_ups_after(store, 0)] == [f"u{number}" for number in range(6)]
    assert [one.score for one in judged[6:]] == [one.score for one in judged[:6]]
    assert judged[5].score > judged[0].score


def test_the_same_sign_up_at_two_services_at_once_has_one_judgement(snapshot: Path, store: StateStore):
    states = [OnlineState(store, snapshot.parent, lambda _: None) for _ in range(2)]
    for state in states:
        assert state.refresh()
        state._writer.start()
    asyncio.run(ask(states[0], "before", patience_seconds=0))  # the services know different accounts
    barrier = threading.Barrier(2)

    def send(state: OnlineState) -> Judgement:
        barrier.wait()
        return asyncio.run(ask(state, "u1", patience_seconds=0))

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(send, states))
    for state in states:
        state.close()

    assert [given["user_id"] for _, given, _ in sign_ups_after(store, 0)] == ["before", "u1"]
    assert len({(one.score, one.decision, one.reasons, one.cluster_size) for one in answers}) == 1


def test_a_sign_up_that_another_service_judged_is_known_after_following(snapshot: Path, store: StateStore):
    first, second = (OnlineState(store, snapshot.parent, lambda _: None) for _ in range(2))
    for state in (first, second):
        assert state.refresh()
        state._writer.start()
    known = asyncio.run(ask(first, "u1", patience_seconds=0))
    without = len(second.index())
    for _ in range(2):  # the second time there is nothing new
        second.follow()
    again = asyncio.run(ask(second, "u1", patience_seconds=0))
    first.follow()
    for state in (first, second):
        state.close()

    assert (known.is_new, again.is_new) == (True, False)
    assert len(first.index()) == len(second.index()) == without + 1


def test_sign_ups_judged_while_an_index_is_built_are_in_it(snapshot: Path, store: StateStore, gate: threading.Event):
    gate.set()
    state = OnlineState(store, snapshot.parent, lambda _: None)
    assert state.refresh()
    state._writer.start()
    gate.clear()
    newer = snapshot.with_name("two.duckdb")
    newer.write_bytes(snapshot.read_bytes())
    snapshot.with_name("current.duckdb").unlink()
    snapshot.with_name("current.duckdb").symlink_to(newer.name)

    rebuilt = threading.Thread(target=state.refresh)
    rebuilt.start()

    async def scene() -> None:
        # no patience: there is an index, and nothing watches for the first one
        await asyncio.gather(*(ask(state, f"u{number}", patience_seconds=0) for number in range(150)))

    before = state.index()
    asyncio.run(scene())
    gate.set()
    rebuilt.join()
    state.close()

    assert state.index() is not before
    assert len(state.index()) == 200
