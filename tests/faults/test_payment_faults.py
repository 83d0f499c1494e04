"""Under full disks, clock jumps, dead webhooks and kills nothing is lost or doubled, and no heartbeat lies."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from quintet.domains import open_state_store
from quintet.payments import store as payment_store
from quintet.payments.incidents import RESOLVED, to_minute
from quintet.payments.items import Item
from quintet.payments.monitor import Monitor
from quintet.state.store import StateStore
from tests.faults.payment_world import PaymentWorld
from tests.unit.payments.teams import receiving
from tests.waiting import wait_until

_FAR = 10**9


def try_faults(world: PaymentWorld, seconds: float, seed: int) -> Counter[str]:
    """Try one fault after the other, each kind before any a second time; return how often each was tried."""
    draw, counts = random.Random(seed), Counter[str]()
    faults = {
        "disk": lambda: world.fill_disk(draw.uniform(4, 6)),
        "clock back": lambda: world.set_clock(-draw.uniform(300, 600), draw.uniform(7, 9)),
        "clock ahead": lambda: world.set_clock(draw.uniform(0.01, 3), draw.uniform(0.5, 3)),
        "webhook": lambda: world.fail_webhook(draw.choice((503, 500, 429, 404)), draw.uniform(0.5, 3)),
        "kill": world.kill,
    }
    began = time.monotonic()
    while time.monotonic() - began < seconds or len(counts) < len(faults):
        kind = min(faults, key=lambda one: (counts[one], draw.random()))
        faults[kind]()
        counts[kind] += 1
        beats = len(world.heart.attempted_at)
        wait_until(lambda beats=beats: len(world.heart.attempted_at) > beats)  # it beats again by itself
    return counts


def without_faults(folder: Path, sent: list[list[Item]]) -> StateStore:
    """Return the store of a monitor that was sent the same minutes."""
    store = open_state_store(folder)
    monitor = Monitor(store)
    now = dt.datetime.now(dt.UTC)
    for begin in range(0, len(sent), 500):
        monitor.take(sent[begin : begin + 500], now)
    monitor.checkpoint()
    return store


def incidents_of(store: StateStore) -> dict[str, object]:
    return {one.incident_id: {**one.fields} for one in payment_store.incidents(store)}


def test_nothing_is_lost_or_doubled_and_no_heartbeat_is_sent_while_nothing_is_judged(
    tmp_path: Path, pytestconfig: pytest.Config, random_seed: int
) -> None:
    seconds = pytestconfig.getoption("payment_seconds")
    first = to_minute(dt.datetime.now(dt.UTC)) - 200 * 1_440
    with receiving(None) as webhook, receiving(None) as heart:
        with PaymentWorld(tmp_path, webhook, heart, first, random_seed) as world:
            wait_until(lambda: len(world.sent) > 200)
            counts = try_faults(world, seconds, random_seed)
            world.end_sending()
            truth = without_faults(tmp_path / "truth", world.sent)
            expected = incidents_of(truth)
            ended = {key for key, fields in expected.items() if fields["state"] == RESOLVED}
            world.shift(120)  # what is waiting for its next attempt is due
            wait_until(lambda: ended <= set(_resolved(world)), lambda: ended - set(_resolved(world)))

        stored = open_state_store(world.home / "online")
        kept = max(payment_store.points(stored, 0, _FAR))[1] - 60
        assert payment_store.points(stored, kept, _FAR) == payment_store.points(truth, kept, _FAR)
        assert incidents_of(stored) == expected
        for store in (stored, truth):
            store.close()
    assert Counter(_resolved(world)) == Counter(ended)
    assert world.false_heartbeats() == []
    print(f"{counts}; {len(world.sent):,} minutes, {len(ended)} incidents, {len(heart.attempted_at):,} heartbeats")


def _resolved(world: PaymentWorld) -> list[str]:
    """Return the incidents that delivered messages report as ended."""
    return [
        incident["incident_id"]
        for message in world.messages().values()
        for incident in message["incidents"]
        if incident["state"] == RESOLVED
    ]


def test_the_comparison_finds_a_heartbeat_while_nothing_is_judged(tmp_path: Path) -> None:
    with receiving(None) as heart:
        world = PaymentWorld(tmp_path, heart, heart, 0, seed=1)
        with world.nothing_judged(0.0):
            assert httpx.post(heart.url).is_success
        assert len(world.false_heartbeats()) == 1
        with world.nothing_judged(60.0):
            assert httpx.post(heart.url).is_success
        assert len(world.false_heartbeats()) == 1
