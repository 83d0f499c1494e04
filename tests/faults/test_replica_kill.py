"""Kill any part of a system of several services: nothing is lost or doubled, and each answer arrives in time."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from quintet.payments import store as payment_store
from quintet.payments.incidents import RESOLVED
from quintet.state import outbox
from quintet.state.audit import problem_of_chain
from tests.faults.payment_world import incidents_of, without_faults
from tests.faults.replica_world import OTHERS, SERVICES, STREAMS, VICTIMS, Answered, Rates, ReplicaWorld
from tests.unit.payments.teams import receiving
from tests.unit.promotions.worlds import write_snapshot
from tests.waiting import wait_until

_FAR = 10**9


@dataclass(frozen=True)
class Outcome:
    """What was sent, what the system recorded, and what it answered.

    committed, decided: applications. sent, judged: users of sign-ups. answers: by application or user, how many
    different ones. expected, points: minutes of a monitor without faults, and of the system. ended, notified:
    incidents.
    """

    committed: Collection[int]
    decided: Sequence[int]
    sent: Collection[str]
    judged: Sequence[str]
    answers: Mapping[int | str, int]
    expected: object
    points: object
    ended: Collection[str]
    notified: Sequence[str]

    def faults(self) -> list[str]:
        """Return what was lost, doubled or changed."""
        counted = {
            "applications": (self.committed, self.decided),
            "sign-ups": (self.sent, self.judged),
            "incidents": (self.ended, self.notified),
        }
        found = [
            f"{what}: {before - after} lost, {after - before} doubled"
            for what, (wanted, there) in counted.items()
            if (before := Counter(wanted)) != (after := Counter(there))
        ]
        unanswered = {*self.committed, *self.sent} - self.answers.keys()
        changed = [one for one, count in self.answers.items() if count > 1]
        found += [f"no answer for {unanswered}"] if unanswered else []
        found += [f"different answers for {changed}"] if changed else []
        return [*found, *(["payments differ from those without faults"] if self.expected != self.points else [])]


def kill_at_random(world: ReplicaWorld, kills: int, seconds: float, seed: int) -> Counter[str]:
    """Kill and restart one process after the other, every second with its disk; return how often each was killed."""
    draw, counts = random.Random(seed), Counter[str]()
    for number in range(kills):
        time.sleep(draw.uniform(0.5, 1.5) * seconds / kills)
        kinds = (SERVICES, OTHERS, STREAMS)
        victim = draw.choice(kinds[number % 3] if kills < 10 else VICTIMS)
        world.kill(victim, is_wiped=number % 2 == 0)
        counts[victim] += 1
    return counts


def resolved(world: ReplicaWorld) -> list[str]:
    """Return the incidents that delivered messages report as ended; a receiver takes each key once."""
    messages = {headers["idempotency-key"]: json.loads(body) for headers, body in list(world.webhook.taken)}
    return [one["incident_id"] for body in messages.values() for one in body["incidents"] if one["state"] == RESOLVED]


def outcome(world: ReplicaWorld, folder: Path) -> Outcome:
    """Return what has come of everything, once the last notification is delivered."""
    tally, sign_ups = world.crm.tally, world.sent.sign_ups
    assert tally.refused == {}
    with closing(without_faults(folder, world.sent.minutes)) as truth, closing(world.state()) as store:
        incidents = incidents_of(truth)
        ended = [key for key, fields in incidents.items() if fields["state"] == RESOLVED]
        wait_until(lambda: set(ended) <= set(resolved(world)), lambda: set(ended) - set(resolved(world)))
        wait_until(lambda: outbox.oldest_waiting(store) is None)
        assert problem_of_chain(store) is None, "the audit log has many writers"
        kept = max(payment_store.points(store, 0, _FAR), default=(0, 0))[1] - 60
        texts = {**tally.answers, **sign_ups}
        return Outcome(
            committed=world.applications(),
            decided=world.decided(),
            sent=sign_ups.keys(),
            judged=world.judged(),
            answers={one: len(found) for one, found in texts.items()},
            expected=(payment_store.points(truth, kept, _FAR), incidents),
            points=(payment_store.points(store, kept, _FAR), incidents_of(store)),
            ended=ended,
            notified=resolved(world),
        )


def test_nothing_is_lost_or_doubled_whatever_is_killed(
    tmp_path: Path, drawing_cache: Path, pytestconfig: pytest.Config, random_seed: int
) -> None:
    kills, seconds, rate = (pytestconfig.getoption(f"replica_{name}") for name in ("kills", "seconds", "rate"))
    snapshot = write_snapshot(tmp_path / "published" / "one.duckdb")
    with (
        receiving(None) as webhook,
        ReplicaWorld(tmp_path, snapshot, drawing_cache, webhook, Rates(rate, rate / 2, rate), random_seed) as world,
    ):
        world.start_clients()
        counts = kill_at_random(world, kills, seconds, random_seed)
        world.await_all()
        world.end_clients()
        world.await_all()
        found = outcome(world, tmp_path / "truth")
        answered = world.answered()
        tally = world.crm.tally
    slowest = sorted(answered, reverse=True)[:5]
    print(
        f"{counts}; {len(found.committed):,} applications, {len(found.sent):,} sign-ups, "
        f"{len(world.sent.minutes):,} minutes, {len(found.ended)} incidents; p99 of decisions without interruption "
        f"{tally.percentile(99):.0f} ms; {len(answered):,} answers, the slowest {slowest}"
    )
    assert found.faults() == []
    assert too_slow(answered, pytestconfig.getoption("replica_longest")) == []


def too_slow(answered: Sequence[Answered], longest_seconds: float | None) -> list[Answered]:
    """Return the answers that took too long; a limit is given where the machine is known."""
    return [] if longest_seconds is None else [one for one in answered if one.seconds > longest_seconds]


WELL = Outcome([1, 2], [2, 1], ["a"], ["a"], {1: 1, 2: 1, "a": 1}, 7, 7, ["i"], ["i"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, []),
        ({"decided": [1]}, ["applications: Counter({2: 1}) lost, Counter() doubled"]),
        ({"decided": [1, 2, 2]}, ["applications: Counter() lost, Counter({2: 1}) doubled"]),
        ({"judged": ["a", "a"]}, ["sign-ups: Counter() lost, Counter({'a': 1}) doubled"]),
        ({"notified": ["i", "i"]}, ["incidents: Counter() lost, Counter({'i': 1}) doubled"]),
        ({"answers": {1: 1, 2: 1}}, ["no answer for {'a'}"]),
        ({"answers": {1: 2, 2: 1, "a": 1}}, ["different answers for [1]"]),
        ({"points": 6}, ["payments differ from those without faults"]),
    ],
)
def test_the_comparison_finds_what_is_lost_or_doubled(change: dict[str, object], fault: list[str]) -> None:
    assert replace(WELL, **change).faults() == fault  # type: ignore[arg-type]


def test_the_comparison_finds_a_slow_answer() -> None:
    answered = [Answered(4.9, 200, "/a"), Answered(5.1, 503, "/b")]
    assert too_slow(answered, 5.0) == [answered[1]]
    assert too_slow(answered, None) == []
