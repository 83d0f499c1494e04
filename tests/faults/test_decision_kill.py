"""Kill service, stream and PostgreSQL at random with `kill -9`: every committed application ends with one decision."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from tests.faults.decision_world import DecisionWorld

VICTIMS = ("service", "stream", "postgres")


def kill_at_random(world: DecisionWorld, kills: int, seed: int) -> Counter[str]:
    """Kill and restart one of the three, many times; return how often each was killed."""
    draw, counts = random.Random(seed), Counter[str]()
    for number in range(kills):
        time.sleep(draw.uniform(0.3, 1.5))
        victim = VICTIMS[number % 3] if kills < 10 else draw.choice(VICTIMS)
        counts[victim] += 1
        if victim == "service":
            world.kill_service()
            world.start_service()
            if draw.random() < 0.7:  # else it is killed again while it starts
                world.await_service()
        elif victim == "stream":
            world.kill_stream()
            world.start_stream()
        else:
            world.postgres.kill()
            world.postgres.start()
    return counts


def test_every_committed_application_ends_with_one_decision(
    tmp_path: Path, random_seed: int, decision_kills: int
) -> None:
    with DecisionWorld(tmp_path, clients=300, seed=random_seed) as world:
        first = max(world.rows("loan"))
        world.keep_models()
        world.start_stream()
        world.await_epoch()
        world.start_service()
        world.await_service()
        world.simulate(rate=200 if decision_kills >= 10 else 60, seconds=None)
        counts = kill_at_random(world, decision_kills, random_seed)
        assert min(counts.values()) > 0
        assert len(counts) == len(VICTIMS)
        world.await_service()
        tally = world.end_simulation()
        committed, decided = world.applications(first), world.decided()
        assert tally.committed == committed
        assert Counter(decided) == Counter(committed)
        assert tally.answers.keys() == committed
        assert tally.doubled == set()
        assert tally.refused == {}
        assert tally.repeated_milliseconds  # the kills had an effect


def test_the_comparison_finds_an_application_without_a_decision(tmp_path: Path) -> None:
    with DecisionWorld(tmp_path, clients=50, seed=1) as world:
        first = max(world.rows("loan"))
        world.ask(f"with n as (insert into loan (id, client_id) values ({first + 1}, 1) returning id) select id from n")
        assert world.applications(first) == {first + 1}
        assert world.decided() == []
