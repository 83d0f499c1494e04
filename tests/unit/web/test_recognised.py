"""Recognised keys: used for a moment, and for longer while the state store is away."""

from __future__ import annotations

import pytest

from quintet.state.faults import StateUnavailableError
from quintet.state.keys import Key
from quintet.web.recognised import STALE_SECONDS, Recognised

ANA = Key("k1", "Ana", frozenset({"admin"}), None)


class Store:
    """A store that answers, or is away, and counts its calls."""

    def __init__(self) -> None:
        self.key: Key | None = ANA
        self.is_away, self.calls, self.now = False, 0, 0.0

    def look_up(self) -> Key | None:
        self.calls += 1
        if self.is_away:
            raise StateUnavailableError("away")
        return self.key


def test_a_revoked_key_is_refused_after_a_moment_and_at_once_where_nothing_is_remembered() -> None:
    for fresh, expected in ((1.0, ANA), (0.0, None)):
        store = Store()
        recognised = Recognised(fresh, lambda store=store: store.now)
        assert recognised.find("k", store.look_up) == ANA
        store.key, store.now = None, 0.9
        assert recognised.find("k", store.look_up) == expected
        store.now = 1.0
        assert recognised.find("k", store.look_up) is None


def test_while_the_store_is_away_known_keys_are_used_and_others_raise() -> None:
    store = Store()
    recognised = Recognised(1.0, lambda: store.now)
    recognised.find("k", store.look_up)
    store.is_away, store.now = True, 2.0
    assert recognised.find("k", store.look_up) == ANA
    calls = store.calls
    assert recognised.find("k", store.look_up) == ANA
    assert store.calls == calls, "it is not asked again at once"
    with pytest.raises(StateUnavailableError):
        recognised.find("other", store.look_up)
    store.now = STALE_SECONDS
    with pytest.raises(StateUnavailableError):
        recognised.find("k", store.look_up)


def test_a_forgotten_name_is_looked_up_and_an_unknown_one_every_time() -> None:
    store = Store()
    recognised = Recognised(1.0, lambda: store.now)
    recognised.find("k", store.look_up)
    recognised.forget("k")
    store.key = None
    assert [recognised.find("k", store.look_up) for _ in range(2)] == [None, None]
    assert store.calls == 3
