"""Wrong keys that several services count together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from quintet.state.store import StateStore
from quintet.state.wrong_keys import count_wrong_key
from tests.state_places import own_schema


@pytest.fixture
def stores(state_url: str, tmp_path: Path) -> Iterator[tuple[StateStore, StateStore]]:
    """The state store as two services have it."""
    place = own_schema(state_url, tmp_path)
    with closing(StateStore(place)) as first, closing(StateStore(place)) as second:
        yield first, second


def test_services_count_the_wrong_keys_of_a_network_together(stores: tuple[StateStore, StateStore]) -> None:
    first, second = stores
    assert [count_wrong_key(store, "10.0.0.1", 5) for store in (first, second, first, second)] == [0, 1, 2, 3]
    assert count_wrong_key(second, "10.0.0.2", 5) == 0, "the twin"
    assert [count_wrong_key(first, "10.0.0.1", 5) for _ in range(3)] == [4, 5, 5], "no more are counted than matter"


def test_old_wrong_keys_do_not_count_and_are_removed(stores: tuple[StateStore, StateStore]) -> None:
    first, second = stores
    count_wrong_key(first, "10.0.0.1", 5)
    with first.write() as connection:
        connection.execute("update wrong_keys set expires_at = '2026-01-01T00:00:00+00:00'")
    assert count_wrong_key(second, "10.0.0.2", 5) == 0
    rows = first.read().execute("select network from wrong_keys").fetchall()
    assert [tuple(row) for row in rows] == [("10.0.0.2",)]
