"""Messages to be told to people: written with what caused them, delivered later, tried again until they are taken.

A message stands once for each channel under a key, so that writing it again changes nothing. Of a channel the oldest
waiting message is tried first and alone: what was fired is told before what was resolved. While it is tried its next
attempt lies ahead, so that a second process leaves it alone, and takes it up where the first one died.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quintet.state.store import Store

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"

LEASE = dt.timedelta(seconds=30)
"""How long one attempt may take before somebody else tries."""

KEPT = dt.timedelta(days=1)
"""How long a message is tried."""

_FIRST_WAIT = dt.timedelta(seconds=1)
_LONGEST_WAIT = dt.timedelta(seconds=60)
_ATTEMPTS_OF_REFUSED = 5


@dataclass(frozen=True)
class Message:
    """A message for one channel. Times are UTC; error: what the last attempt met, without any address."""

    message_id: int
    key: str
    channel: str
    created_at: dt.datetime
    body: Mapping[str, Any]
    state: str
    attempts: int
    next_attempt_at: dt.datetime
    sent_at: dt.datetime | None
    error: str | None


def enqueue(
    connection: sqlite3.Connection, key: str, channels: Iterable[str], body: Mapping[str, Any], now: dt.datetime
) -> None:
    """Write a message for each channel, in the caller's transaction; one that stands already stays as it is."""
    text = json.dumps(body, sort_keys=True)
    connection.executemany(
        "insert into outbox (key, channel, created_at, body, state, next_attempt_at) values (?, ?, ?, ?, 'waiting', ?) "
        "on conflict (key, channel) do nothing",
        [(key, channel, at_text(now), text, at_text(now)) for channel in channels],
    )


def claim(store: Store, channel: str, now: dt.datetime) -> Message | None:
    """The message to try now, for whoever asks first; None where none is waiting or it is not yet time."""
    head = "select * from outbox where channel = ? and state = 'waiting' order by message_id limit 1"
    row = store.read().execute(head, (channel,)).fetchone()
    if row is None or row["next_attempt_at"] > at_text(now):
        return None
    with store.write() as connection:
        row = connection.execute(head, (channel,)).fetchone()
        if row is None or row["next_attempt_at"] > at_text(now):
            return None
        connection.execute(
            "update outbox set attempts = attempts + 1, next_attempt_at = ? where message_id = ?",
            (at_text(now + LEASE), row["message_id"]),
        )
    message = _message(row)
    return Message(**{**vars(message), "attempts": message.attempts + 1})


def mark_sent(store: Store, message: Message, now: dt.datetime) -> None:
    """The channel took the message."""
    with store.write() as connection:
        connection.execute(
            "update outbox set state = 'sent', sent_at = ?, error = null where message_id = ?",
            (at_text(now), message.message_id),
        )


def mark_failed(
    store: Store,
    message: Message,
    now: dt.datetime,
    error: str,
    *,
    is_refused: bool = False,
    wait: dt.timedelta | None = None,
) -> None:
    """The attempt failed: try again after a while that doubles up to a minute, or after `wait` if that is longer.

    Given up after a day, or after five attempts where the channel refused the message as such (is_refused).
    """
    pause = max(min(_FIRST_WAIT * 2 ** (message.attempts - 1), _LONGEST_WAIT), wait or dt.timedelta())
    is_over = now - message.created_at > KEPT or (is_refused and message.attempts >= _ATTEMPTS_OF_REFUSED)
    with store.write() as connection:
        connection.execute(
            "update outbox set state = ?, next_attempt_at = ?, error = ? where message_id = ?",
            (GIVEN_UP if is_over else WAITING, at_text(now + pause), error, message.message_id),
        )


def last_messages(store: Store, limit: int) -> list[Message]:
    """The last messages, the latest first."""
    rows = store.read().execute("select * from outbox order by message_id desc limit ?", (limit,))
    return [_message(row) for row in rows]


def oldest_waiting(store: Store) -> dt.datetime | None:
    """When the oldest message that still waits was written; None where none does."""
    (created_at,) = store.read().execute("select min(created_at) from outbox where state = 'waiting'").fetchone()
    return dt.datetime.fromisoformat(created_at) if created_at else None


def at_text(at: dt.datetime) -> str:
    """A time as the store keeps it: UTC, to the microsecond, so that texts sort as times do."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _message(row: sqlite3.Row) -> Message:
    return Message(
        message_id=row["message_id"],
        key=row["key"],
        channel=row["channel"],
        created_at=dt.datetime.fromisoformat(row["created_at"]),
        body=json.loads(row["body"]),
        state=row["state"],
        attempts=row["attempts"],
        next_attempt_at=dt.datetime.fromisoformat(row["next_attempt_at"]),
        sent_at=dt.datetime.fromisoformat(row["sent_at"]) if row["sent_at"] else None,
        error=row["error"],
    )
