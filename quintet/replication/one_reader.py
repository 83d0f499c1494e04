"""Let one stream at a time begin and read a slot."""

from __future__ import annotations

import threading
import time
import zlib

import psycopg

from quintet.replication.database import SlotTakenError, slot_state

_LOOK_SECONDS = 0.1


def await_free(connection: psycopg.Connection, slot: str, seconds: float, stop: threading.Event) -> bool:
    """Wait until the slot has no reader, and no other stream is about to read it. Return False if `stop` is set.

    Until the connection ends it holds a lock that only one stream of a slot can have; PostgreSQL notices within seconds
    that the machine of a stream is gone. Raises SlotTakenError after `seconds`.
    """
    until, is_alone = time.monotonic() + seconds, False
    while True:
        is_alone = is_alone or _locks(connection, slot)
        state = slot_state(connection, slot)
        reader = None if state is None else state.active_pid
        if is_alone and reader is None:
            return True
        if time.monotonic() > until:
            who = "another stream" if reader is None else f"another consumer (process {reader} of PostgreSQL)"
            raise SlotTakenError(f"slot {slot} is read by {who}. Stop that one, or give this stream its own slot.")
        if stop.wait(_LOOK_SECONDS):
            return False


def _locks(connection: psycopg.Connection, slot: str) -> bool:
    number = zlib.crc32(f"quintet stream {slot}".encode())
    ((is_locked,),) = connection.execute("select pg_try_advisory_lock(%s)", (number,)).fetchall()
    return bool(is_locked)
