"""How long the rows of the state store stay, and the removal of older ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from quintet.state.store import StateStore
from quintet.warehouse.sql import quote_identifier


@dataclass(frozen=True)
class Retention:
    """How long the rows of a table stay.

    at: the column with the time from which a row's age counts, ISO 8601 in UTC; "" if this removes none.
    reason: why they stay, or what else removes them. only: SQL of the rows that may be removed.
    is_short: whether a row has no use after that time; otherwise it stays for the days of the setting.
    """

    table: str
    reason: str
    at: str = ""
    only: str = "true"
    is_short: bool = False


CORE_RETENTION = (
    Retention("keys", "Labels, decisions and reports name the key that made them, also after it was revoked."),
    Retention("sessions", "Nobody can use one that has expired.", "expires_at", is_short=True),
    Retention("secrets", "One row for each purpose."),
    Retention("outbox", "The payments page shows the last messages.", "created_at", "state in ('sent', 'given up')"),
    Retention("migrations", "One row for each owner of tables."),
    Retention("forgotten", "Whoever was forgotten must not come back with a file."),
    Retention("wrong_keys", "They count for a minute.", "expires_at", is_short=True),
    Retention("audit", "It is append-only, and each entry follows from the one before."),
    Retention("audit_head", "One row."),
)


def prune(store: StateStore, retentions: Iterable[Retention], now: dt.datetime, days: float) -> dict[str, int]:
    """Remove the rows that are older than `days`, or useless; return how many by table. now: UTC."""
    removed = {}
    for one in retentions:
        if not one.at:
            continue
        before = now if one.is_short else now - dt.timedelta(days=days)
        with store.write() as connection:
            removed[one.table] = connection.execute(
                f"delete from {quote_identifier(one.table)} where {quote_identifier(one.at)} < ? and ({one.only})",
                (before.astimezone(dt.UTC).isoformat(),),
            ).rowcount
    return removed
