"""Kill stream, object store and PostgreSQL at random with `kill -9`: nothing is lost, invented or doubled."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.comparison import differences, features_unlike_the_tables
from tests.faults.stream_world import World


def kill_at_random(world: World, kills: int, seed: int, least: float = 0.3, most: float = 1.0) -> dict[str, int]:
    """Kill and restart one of the three, many times; return how often each was killed."""
    draw, counts = random.Random(seed), {"stream": 0, "objects": 0, "postgres": 0}
    for number in range(kills):
        time.sleep(draw.uniform(least, most))
        victim = ("stream", "objects", "postgres")[number % 3] if kills < 10 else draw.choice(list(counts))
        counts[victim] += 1
        if victim == "stream":
            world.kill_stream()
            world.start_stream()
        elif victim == "objects":
            world.objects.kill()
            time.sleep(draw.uniform(0, 0.3))
            world.objects.start()
        else:
            world.postgres.kill()
            world.postgres.start()
    return counts


def test_nothing_is_lost_made_up_or_doubled(tmp_path: Path, random_seed: int, pytestconfig: pytest.Config) -> None:
    with World(tmp_path, clients=300, seed=random_seed) as world:
        world.start_stream()
        world.await_epoch()
        world.start_traffic(pause=0.002)
        counts = kill_at_random(world, pytestconfig.getoption("kills"), random_seed)
        assert min(counts.values()) > 0
        world.await_commits(200)
        world.stop_traffic()
        world.await_applied()
        assert differences(world) == {}
        assert features_unlike_the_tables(world) == []
        assert world.stop_stream() == 0
        print(f"killed {counts}; {world.committed:,} commits, {len(world.truth()):,} changes; nothing differs")


def test_the_comparison_finds_a_change_that_is_missing(tmp_path: Path) -> None:
    with World(tmp_path, clients=50, seed=1) as world:
        world.start_stream()
        world.await_epoch()
        world.stop_stream()
        world.ask("with n as (insert into loan (id, client_id) values (999999, 1) returning id) select id from n")
        found = differences(world)
        assert set(found) == {"lost", "rows"}
        assert [change.row["id"] for change in found["lost"]] == [999999]  # type: ignore[attr-defined]
        assert [row[:3] for row in found["rows"]] == [("loan", 999999, None)]  # type: ignore[index]
