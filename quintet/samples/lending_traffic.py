"""Generate live traffic on a loan book, as a CRM commits it."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import psycopg
from psycopg.rows import tuple_row

_MIX: tuple[tuple[str, float], ...] = (
    ("apply", 0.34),
    ("apply_as_new_client", 0.08),
    ("pay_out", 0.2),
    ("pay_on_time", 0.2),
    ("pay_late", 0.03),
    ("schedule", 0.04),
    ("rename", 0.04),
    ("annotate", 0.04),
    ("withdraw", 0.03),
)
_LONG_NOTE = 6_000  # characters; PostgreSQL stores a value of that size outside its row


class Traffic:
    """Business transactions drawn from `seed`, each committed on `connection` (in autocommit mode).

    `today` is the date of the rows. Ids continue from the tables, so traffic can continue after a break.
    """

    def __init__(self, connection: psycopg.Connection, seed: int, today: date) -> None:
        self._connection = connection
        self._random = random.Random(seed)
        self._today = today
        self._next = {table: self._first_free_id(table) for table in ('"user"', "loan", "payment")}
        self._has_note = False

    def step(self) -> str:
        """Commit one transaction and return its kind."""
        kind = self._random.choices([name for name, _ in _MIX], [weight for _, weight in _MIX])[0]
        with self._connection.transaction(), self._connection.cursor(row_factory=tuple_row) as cursor:
            getattr(self, f"_{kind}")(cursor)
        return kind

    def change_schema(self) -> None:
        """Add a column, as a new release of a CRM may, and use it from then on."""
        self._connection.execute("alter table loan add column if not exists note text")
        self._has_note = True

    def _apply(self, cursor: psycopg.Cursor) -> None:
        client = self._draw_id('"user"')
        amount, days = round(self._random.lognormvariate(6.2, 0.7), -1), self._random.choice([14, 30, 60, 90])
        cursor.execute(
            "insert into loan (id, client_id, amount, created_on, duration, status, updated_on) "
            "values (%s, %s, %s, %s, %s, 'application', %s)",
            (self._take_id("loan"), client, amount, self._today, days, self._today),
        )

    def _apply_as_new_client(self, cursor: psycopg.Cursor) -> None:
        client = self._take_id('"user"')
        born = self._today - timedelta(days=self._random.randint(18 * 366, 80 * 365))
        cursor.execute(
            'insert into "user" values (%s, %s, %s, %s, %s, %s)',
            (client, self._today, "Ada", f"Client {client}", born, f"{born:%Y%m%d}{client:07}"),
        )
        cursor.execute(
            "insert into loan (id, client_id, amount, created_on, duration, status, updated_on) "
            "values (%s, %s, %s, %s, 30, 'application', %s)",
            (self._take_id("loan"), client, 100.0 * self._random.randint(1, 20), self._today, self._today),
        )

    def _pay_out(self, cursor: psycopg.Cursor) -> None:
        cursor.execute(
            "update loan set status = 'active', matured_on = created_on + duration::int, updated_on = %s "
            "where id = (select id from loan where id >= %s and status = 'application' order by id limit 1)",
            (self._today, self._draw_id("loan")),
        )

    def _pay_on_time(self, cursor: psycopg.Cursor) -> None:
        self._pay(cursor, "on_time", is_last=self._random.random() < 0.7)

    def _pay_late(self, cursor: psycopg.Cursor) -> None:
        self._pay(cursor, "late", is_last=self._random.random() < 0.4)

    def _pay(self, cursor: psycopg.Cursor, status: str, is_last: bool) -> None:
        found = cursor.execute(
            "select id, amount, duration from loan where id >= %s and status in ('active', 'overdue') "
            "order by id limit 1",
            (self._draw_id("loan"),),
        ).fetchone()
        if found is None:
            return
        loan, amount, days = found
        principle = round(amount if is_last else amount * 0.4, 2)
        interest = round(principle * days / 365 * self._random.uniform(0.1, 0.6), 2)
        cursor.execute(
            "insert into payment values (%s, %s, %s, %s, %s, %s, %s)",
            (self._take_id("payment"), loan, round(principle + interest, 2), principle, interest, status, self._today),
        )
        new_status = "paid" if is_last else ("overdue" if status == "late" else "active")
        cursor.execute("update loan set status = %s, updated_on = %s where id = %s", (new_status, self._today, loan))

    def _schedule(self, cursor: psycopg.Cursor) -> None:
        due = self._today + timedelta(days=self._random.randint(1, 90))
        cursor.execute(
            "insert into payment values (%s, %s, 100, 95, 5, 'on_time', %s)",
            (self._take_id("payment"), self._draw_id("loan"), due),
        )

    def _rename(self, cursor: psycopg.Cursor) -> None:
        name = f"Newname {self._random.randint(1, 999)}"
        cursor.execute('update "user" set last_name = %s where id = %s', (name, self._draw_id('"user"')))

    def _annotate(self, cursor: psycopg.Cursor) -> None:
        if self._has_note:
            letters = self._random.choices("abcdefghijklmnopqrstuvwxyz0123456789 ", k=_LONG_NOTE)
            cursor.execute(
                "update loan set note = %s where id >= %s and id < %s + 3",
                ("".join(letters), *[self._draw_id("loan")] * 2),
            )

    def _withdraw(self, cursor: psycopg.Cursor) -> None:
        if self._random.random() < 0.5:
            cursor.execute("delete from loan where id = %s and status = 'application'", (self._draw_id("loan"),))
        else:
            cursor.execute("delete from payment where id = %s", (self._draw_id("payment"),))

    def _take_id(self, table: str) -> int:
        taken = self._next[table]
        self._next[table] += 1
        return taken

    def _draw_id(self, table: str) -> int:
        return self._random.randint(1, max(self._next[table] - 1, 1))

    def _first_free_id(self, table: str) -> int:
        row = self._connection.execute(f"select coalesce(max(id), 0) + 1 from {table}".encode()).fetchone()
        return int(row[0]) if row else 1


def run_at_rate(
    step: Callable[[], object], rate: float, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> int:
    """Call `step` `rate` times a second for `seconds`, catching up after a pause; return the number of calls."""
    begin, done = clock(), 0
    while (now := clock() - begin) < seconds:
        if done <= now * rate:
            step()
            done += 1
        else:
            sleep(done / rate - now)
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Commit traffic for the given time."""
    parser = argparse.ArgumentParser(prog="python -m quintet.samples.lending_traffic", description=__doc__)
    parser.add_argument("--url", required=True, help="the database, as a libpq URL")
    parser.add_argument("--rate", type=float, default=20.0, help="transactions a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--today", type=date.fromisoformat, default=date(2020, 8, 24))
    given = parser.parse_args(arguments)
    with psycopg.connect(given.url, autocommit=True) as connection:
        traffic = Traffic(connection, given.seed, given.today)
        done = run_at_rate(traffic.step, given.rate, given.seconds, time.monotonic, time.sleep)
    print(f"{done} transactions committed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
