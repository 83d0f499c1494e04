"""The outbox of notifications: written with their cause, delivered later, and retried until they are accepted.

A message exists once for each key and channel: writing it again changes nothing. The oldest waiting message of a
channel is sent first and alone, so a resolved incident never overtakes the fired one. A claimed message has its next
attempt in the future: a second process skips it, and takes over after that time if the first one died.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quintet.state.store import Connection, StateStore

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"

LEASE = dt.timedelta(seconds=30)
"""How long one attempt may take before another process may try."""

KEPT = dt.timedelta(days=1)
"""How long a message is retried."""

_FIRST_WAIT = dt.timedelta(seconds=1)
_LONGEST_WAIT = dt.timedelta(seconds=60)
_ATTEMPTS_OF_REFUSED = 5
_LEAST_ATTEMPTS = 20
"""Attempts before a message is given up for its age: a clock that was set forward makes every message old."""

LONGEST_WAIT = dt.timedelta(hours=1)
"""The longest pause that a channel may ask for. A later attempt was planned by a clock that has been set back since."""


@dataclass(frozen=True)
class Message:
    """A message for one channel. Times are UTC; error: the last attempt's, without any address."""

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
    connection: Connection, key: str, channels: Iterable[str], body: Mapping[str, Any], now: dt.datetime
) -> None:
    """Write a message for each channel within the caller's transaction; an existing one stays as it is."""
    text = json.dumps(body, sort_keys=True)
    connection.executemany(
        "insert into outbox (key, channel, created_at, body, state, next_attempt_at) values (?, ?, ?, ?, 'waiting', ?) "
        "on conflict (key, channel) do nothing",
        [(key, channel, at_text(now), text, at_text(now)) for channel in channels],
    )


def claim(store: StateStore, channel: str, now: dt.datetime) -> Message | None:
    """Claim the message to send now; None if none is waiting or the next attempt is not due."""
    head = "select * from outbox where channel = ? and state = 'waiting' order by message_id limit 1"
    row = store.read().execute(head, (channel,)).fetchone()
    if row is None or not _is_due(row, now):
        return None
    with store.write() as connection:
        row = connection.execute(head, (channel,)).fetchone()
        if row is None or not _is_due(row, now):
            return None
        connection.execute(
            "update outbox set attempts = attempts + 1, next_attempt_at = ? where message_id = ?",
            (at_text(now + LEASE), row["message_id"]),
        )
    message = _message(row)
    return Message(**{**vars(message), "attempts": message.attempts + 1})


def retry_now(store: StateStore, channel: str, now: dt.datetime) -> None:
    """Make the waiting messages of a channel due: their next attempts were planned before the clock was set back."""
    with store.write() as connection:
        connection.execute(
            "update outbox set next_attempt_at = ? where channel = ? and state = 'waiting' and next_attempt_at > ?",
            (at_text(now), channel, at_text(now)),
        )


def mark_sent(store: StateStore, message: Message, now: dt.datetime) -> None:
    """Record that the channel accepted the message."""
    with store.write() as connection:
        connection.execute(
            "update outbox set state = 'sent', sent_at = ?, error = null where message_id = ?",
            (at_text(now), message.message_id),
        )


def mark_failed(
    store: StateStore,
    message: Message,
    now: dt.datetime,
    error: str,
    *,
    is_refused: bool = False,
    wait: dt.timedelta | None = None,
) -> None:
    """Record a failed attempt: retry after a pause that doubles up to a minute, or after `wait` if that is longer.

    The message is given up after a day, or after five attempts if the channel refuses the message itself (is_refused).
    """
    doubled = _FIRST_WAIT * 2 ** min(message.attempts - 1, 10)
    pause = max(min(doubled, _LONGEST_WAIT), min(wait or dt.timedelta(), LONGEST_WAIT))
    is_old = now - message.created_at > KEPT and message.attempts >= _LEAST_ATTEMPTS
    is_over = is_old or (is_refused and message.attempts >= _ATTEMPTS_OF_REFUSED)
    with store.write() as connection:
        connection.execute(
            "update outbox set state = ?, next_attempt_at = ?, error = ? where message_id = ?",
            (GIVEN_UP if is_over else WAITING, at_text(now + pause), error, message.message_id),
        )


def forget(connection: Connection, channel: str) -> None:
    """Delete the messages of a channel, within the caller's transaction."""
    connection.execute("delete from outbox where channel = ?", (channel,))


def last_messages(
    store: StateStore, limit: int, left_out: str = "", channels: Sequence[str] | None = None
) -> list[Message]:
    """Return the last messages, the latest first.

    left_out: a channel whose messages are not returned. channels: those whose messages are; all by default.
    """
    among, names = _among(channels)
    rows = store.read().execute(
        f"select * from outbox where channel <> ? and {among} order by message_id desc limit ?",
        (left_out, *names, limit),
    )
    return [_message(row) for row in rows]


def oldest_waiting(store: StateStore, channels: Sequence[str] | None = None) -> dt.datetime | None:
    """Return when the oldest waiting message of some channels, or of all, was written; None if none is waiting."""
    among, names = _among(channels)
    (created_at,) = (
        store.read()
        .execute(f"select min(created_at) from outbox where state = 'waiting' and {among}", names)
        .fetchone()
    )
    return dt.datetime.fromisoformat(created_at) if created_at else None


def at_text(at: dt.datetime) -> str:
    """Format a time as it is stored: UTC to the microsecond, which sorts as text."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _among(channels: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if channels is None:
        return "1 = 1", ()
    if not channels:
        return "1 = 0", ()
    return f"channel in ({', '.join('?' * len(channels))})", tuple(channels)


def _is_due(row: Any, now: dt.datetime) -> bool:
    return not now < dt.datetime.fromisoformat(row["next_attempt_at"]) <= now + LONGEST_WAIT


def _message(row: Any) -> Message:
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
