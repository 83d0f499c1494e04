"""What tests of replication share."""

from __future__ import annotations

import psycopg

from tests.waiting import wait_until


def drop_slots(connection: psycopg.Connection) -> None:
    """Drop all replication slots; the server ends the sender of a stream only a moment after the stream has ended.

    connection: of a superuser, in autocommit.
    """
    connection.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active")
    wait_until(lambda: not connection.execute("select 1 from pg_replication_slots where active").fetchone())
    connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
