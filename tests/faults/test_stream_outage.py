"""During an outage of the object store, features are updated, memory stays bounded, and nothing is lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from quintet.state.features import FeatureStore
from tests.faults.comparison import differences, features_unlike_the_tables
from tests.faults.stream_world import World

_MOST_MORE_MB = 300  # 100,000 waiting changes, and one transaction and one object in memory


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_while_the_store_is_away_features_go_on_in_bounded_memory_and_nothing_is_lost(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("outage_seconds")
    with World(tmp_path, clients=300, seed=1) as world:
        process = world.start_stream()
        world.await_epoch()
        world.start_traffic(pause=0.002)
        world.await_commits(150)
        before, most, applied = _resident_mb(process.pid), 0.0, []
        world.objects.kill()
        store, began = FeatureStore(world.home / "online"), time.monotonic()
        while time.monotonic() - began < seconds:
            time.sleep(0.5)
            applied.append(int(store.fact("applied_lsn") or 0))
            most = max(most, _resident_mb(process.pid))
        acknowledged = int(store.fact("flushed") or 0)
        store.close()
        assert sorted(applied) == applied
        assert acknowledged < applied[0] < applied[-1]
        assert most - before < _MOST_MORE_MB
        world.objects.start()
        world.stop_traffic()
        world.await_applied()
        assert differences(world) == {}
        assert features_unlike_the_tables(world) == []
        print(
            f"{seconds:.0f} s without a store: {world.committed:,} commits, {most - before:.0f} MB more memory at most"
        )
