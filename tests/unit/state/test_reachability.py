"""A database that hangs: one caller notices it, and the others are refused at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from quintet.state.faults import StateUnavailableError
from quintet.state.postgres import PostgresDatabase
from quintet.state.reachability import Reachability
from tests.waiting import LONG_SECONDS, wait_until


class Server:
    """A server that lets callers wait for as long as it is stopped, and then refuses them."""

    def __init__(self) -> None:
        self.answers, self.attempts = threading.Event(), 0
        self.is_up = False

    def connect(self) -> psycopg.Connection:
        self.attempts += 1
        time.sleep(0.6)
        if not self.is_up:
            raise psycopg.OperationalError("timed out")
        return _Connection()  # type: ignore[return-value]


class _Connection:
    def close(self) -> None:
        """Do nothing."""


def test_while_an_address_does_not_answer_callers_are_refused_at_once() -> None:
    server = Server()
    found = Reachability(server.connect)
    with pytest.raises(psycopg.OperationalError):
        found.open()
    for _ in range(100):
        with pytest.raises(psycopg.OperationalError, match="timed out"):
            found.open()
    assert server.attempts < 100, "one thread asks for all"
    server.is_up = True

    def answers() -> bool:
        try:
            return found.open() is not None
        except psycopg.OperationalError:
            return False

    wait_until(answers)
    found.close()


def test_a_server_that_refuses_quickly_is_asked_each_time() -> None:
    attempts = []

    def refuse() -> psycopg.Connection:
        attempts.append(1)
        raise psycopg.OperationalError("starting up")

    found = Reachability(refuse)
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError):
            found.open()
    assert len(attempts) == 5
    found.close()


@contextmanager
def standing_still(url: str) -> Iterator[None]:
    """Stop the process of each connection of the database, as a machine that hangs does."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "select pid from pg_stat_activity where application_name = 'quintet' and pid <> pg_backend_pid()"
        ).fetchall()
    for (pid,) in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for (pid,) in found:
            os.kill(pid, signal.SIGCONT)


async def _read(database: PostgresDatabase) -> int:
    return int(database.read().execute("select 1").fetchall()[0][0])


def test_a_statement_that_hangs_holds_no_event_loop_and_the_next_connection_answers(state_url: str) -> None:
    with PostgresDatabase(state_url, "test") as database:
        assert asyncio.run(_read(database)) == 1
        with standing_still(state_url):
            assert asyncio.run(_read(database)) == 1, "on another connection"


def test_a_transaction_that_hangs_is_reported_as_away(state_url: str) -> None:
    async def write(database: PostgresDatabase) -> None:
        with database.write() as connection, standing_still(state_url):
            connection.execute("select 1")

    with PostgresDatabase(state_url, "test") as database, pytest.raises(StateUnavailableError):
        asyncio.run(write(database))


def test_a_thread_may_wait_for_a_long_statement(state_url: str) -> None:
    with PostgresDatabase(state_url, "test") as database:
        began = time.monotonic()
        thread = threading.Thread(target=lambda: database.read().execute("select pg_sleep(3)"))
        thread.start()
        thread.join(LONG_SECONDS)
        assert time.monotonic() - began >= 3.0
