"""One stream at a time begins and reads a slot."""

from __future__ import annotations

import threading

import psycopg
import pytest

from quintet.replication.database import SlotTakenError
from quintet.replication.one_reader import await_free


def test_the_second_waits_until_the_connection_of_the_first_has_ended(database_url: str) -> None:
    stop = threading.Event()
    with psycopg.connect(database_url, autocommit=True) as second:
        with psycopg.connect(database_url, autocommit=True) as first:
            assert await_free(first, "quintet", 0.0, stop)
            with pytest.raises(SlotTakenError, match="slot quintet is read by another stream"):
                await_free(second, "quintet", 0.0, stop)
            assert await_free(second, "other", 0.0, stop), "another slot is free"
        assert await_free(second, "quintet", 60.0, stop)


def test_waiting_ends_when_it_is_stopped(database_url: str) -> None:
    stop = threading.Event()
    stop.set()
    with (
        psycopg.connect(database_url, autocommit=True) as first,
        psycopg.connect(database_url, autocommit=True) as second,
    ):
        assert await_free(first, "quintet", 0.0, threading.Event())
        assert not await_free(second, "quintet", 60.0, stop)
