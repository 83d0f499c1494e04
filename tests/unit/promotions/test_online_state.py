"""The online index over time: what it is made of, and who waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from quintet.online.store import Store
from quintet.promotions import online_state
from quintet.promotions.accounts import accounts_of
from quintet.promotions.model import scorecard
from quintet.promotions.online_state import NotReadyError, OnlineState, build_index
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import small_world


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot of fifty users."""
    users, usages, _ = small_world()
    users, policy = users.head(50), read_policy()
    file = tmp_path / "serving" / "one.duckdb"
    file.parent.mkdir()
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema marts; create schema ml")
        for name, frame in (("fct_promo_users", users), ("fct_promo_usages", usages)):
            connection.register("given", pa.Table.from_pandas(frame, preserve_index=False))
            connection.execute(f"create table marts.{name} as select * from given").fetchall()
        model = scorecard(Population.of(accounts_of(users, usages)))
        connection.execute(
            "create table ml.abuse_model as select ? as content, ? as review_from, ? as block_from, ? as reason_from",
            [model.to_json(), policy.review_from, policy.block_from, policy.reason_from],
        ).fetchall()
    (file.parent / "current.duckdb").symlink_to(file.name)
    return file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "online")
    yield store
    store.close()


def test_of_a_user_in_both_the_snapshot_holds_and_those_of_the_log_are_added(snapshot: Path):
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


def test_few_wait_for_the_first_index_and_the_others_are_told_at_once(
    snapshot: Path, store: Store, monkeypatch: pytest.MonkeyPatch
):
    go_on = threading.Event()
    build = online_state.build_index

    def slow(*given: object) -> object:
        go_on.wait(30)
        return build(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(online_state, "build_index", slow)
    state = OnlineState(store, snapshot.parent, lambda _: None)
    state.start()

    def ask(_: int) -> str:
        try:
            return f"{len(state.index(30))} users"
        except NotReadyError as error:
            return str(error)

    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ask, number) for number in range(10)]
        while sum(one.done() for one in asked) < 6:
            time.sleep(0.01)
        told = [one.result() for one in asked if one.done()]
        go_on.set()
    state.close()

    assert all("is being built; try again" in words for words in told)
    assert sorted(one.result() for one in asked)[:4] == ["50 users"] * 4
