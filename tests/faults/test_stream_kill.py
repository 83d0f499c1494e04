"""`kill -9` at random over stream, object store and PostgreSQL: nothing is lost, made up or doubled."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from quintet.changelog.change import Change, completed
from tests.faults.stream_world import TODAY, World
from tests.lending.plain import values_by_sql

KILLS = 6


def kill_at_random(world: World, kills: int, seed: int, least: float = 0.3, most: float = 1.0) -> dict[str, int]:
    """Kill one of the three again and again, starting it anew each time; how often each was killed."""
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


def differences(world: World) -> dict[str, int]:
    """Lost, made up and doubled changes of the log against the truth, and rows that differ from the tables."""
    truth = {change.position: change for change in world.truth()}
    first = min(truth)
    logged = [change for change in world.logged() if change.position >= first]
    places = [change.position for change in logged]
    alike = {place: change for place, change in zip(places, logged, strict=True) if place in truth}
    return {
        "lost": len(truth.keys() - set(places)),
        "phantom": len(set(places) - truth.keys()),
        "repeated": len(places) - len(set(places)),
        "other": sum(change[3:] != truth[place][3:] for place, change in alike.items()),
        "rows": sum(_replayed(world.logged(), table) != world.rows(table) for table in ("user", "loan", "payment")),
    }


def _replayed(changes: list[Change], table: str) -> dict[int, dict]:
    """The rows of a table as the log leaves them; what a column added later has in older rows is null."""
    rows: dict[int, dict] = {}
    for change in changes:
        if change.table == table and change.row is None and change.old is not None:
            del rows[change.old["id"]]
        elif change.table == table and change.row is not None:
            rows[change.row["id"]] = dict(completed(change, rows.get(change.row["id"])) or {})
    names = {name for row in rows.values() for name in row}
    return {key: {name: row.get(name) for name in names} for key, row in rows.items()}


def test_nothing_is_lost_made_up_or_doubled(tmp_path: Path, random_seed: int) -> None:
    with World(tmp_path, clients=300, seed=random_seed) as world:
        world.start_stream()
        world.await_epoch()
        world.start_traffic(pause=0.002)
        counts = kill_at_random(world, KILLS, random_seed)
        assert min(counts.values()) > 0
        time.sleep(0.5)
        world.stop_traffic()
        world.await_applied()
        assert world.committed > 200
        assert differences(world) == {"lost": 0, "phantom": 0, "repeated": 0, "other": 0, "rows": 0}
        clients = sorted(world.rows("user"))[::7]
        online = world.features()
        expected = values_by_sql(world.postgres.url, [(client, TODAY) for client in clients])
        for client in clients:
            found = online.features_of(client, TODAY)
            assert found is not None
            assert found.values == pytest.approx(expected[client, TODAY], nan_ok=True, abs=0)
        assert world.stop_stream() == 0


def test_the_comparison_finds_a_change_that_is_missing(tmp_path: Path) -> None:
    with World(tmp_path, clients=50, seed=1) as world:
        world.start_stream()
        world.await_epoch()
        world.stop_stream()
        world.ask("with n as (insert into loan (id, client_id) values (999999, 1) returning id) select id from n")
        found = differences(world)
        assert found["lost"] == 1
        assert found["rows"] == 1
