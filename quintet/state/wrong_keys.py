"""Wrong keys by network, counted by all services of a state store in PostgreSQL."""

from __future__ import annotations

import datetime as dt

from quintet.state.store import StateStore

LASTS = dt.timedelta(minutes=1)


def count_wrong_key(store: StateStore, network: str, most: int) -> int:
    """Return how many wrong keys a network sent in the last minute; count another one if they are less than `most`.

    The time is that of PostgreSQL: clocks of services may be apart. Two services at once may count one too many.
    """
    assert not store.is_file, "an SQLite file has one service, which counts in memory"
    connection = store.read()
    ((seconds,),) = connection.execute("select cast(extract(epoch from now()) as float)").fetchall()
    now = dt.datetime.fromtimestamp(seconds, dt.UTC)
    ((found,),) = connection.execute(
        "select count(*) from wrong_keys where network = ? and expires_at > ?", (network, now.isoformat())
    ).fetchall()
    if found < most:
        connection.execute("delete from wrong_keys where expires_at < ?", (now.isoformat(),))
        connection.execute(
            "insert into wrong_keys (network, expires_at) values (?, ?)", (network, (now + LASTS).isoformat())
        )
    return int(found)
