"""A simulated CRM: it commits applications, requests each decision, acts on the answer, and measures the latency.

Commits keep to a schedule, so a slow answer delays no later application. The latency of each runs from the moment that
its commit returned. Unanswered requests are repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import gc
import http.client
import json
import os
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

from quintet.embedded.postgres import running_url
from quintet.samples.crm_tally import Tally
from quintet.settings import Settings, SettingsError, load_settings
from quintet.state.keys import create_key, revoke_key
from quintet.state.store import StateStore

PATH = "/v1/lending/decisions"

_COMMITTERS, _CLERKS, _ACTORS = 4, 32, 2
_NEW_CLIENTS = 0.1
_SENT_TWICE = 0.01
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 5.0
_HURRY_SECONDS = 5.0
_DURATIONS_DAYS = (7, 14, 30, 60, 90, 180)


class SimulationError(RuntimeError):
    """The simulation cannot run; the message says why and how to fix it."""


@dataclass(frozen=True)
class Plan:
    """The settings of a simulation. seconds: None: until stopped. today: the day of the applications.

    patience_seconds: how long after the last commit requests are repeated.
    """

    rate: float
    seconds: float | None
    seed: int
    today: dt.date
    patience_seconds: float = 60.0


@dataclass(frozen=True)
class _Committed:
    application_id: int
    body: bytes
    at: float
    was_repeated: bool


class Crm:
    """The simulated CRM. `run` returns when all commits are answered, or after `patience_seconds`.

    Set `stop` to end the commits; set `is_hurried` too if database and service are about to stop.
    """

    def __init__(self, postgres_url: str, service_url: str, key: str, plan: Plan) -> None:
        self._postgres_url, self._service_url, self._key, self._plan = postgres_url, service_url, key, plan
        self.tally = Tally()
        self.stop = threading.Event()
        self.is_hurried = False
        self._lock = threading.Lock()
        self._questions: queue.SimpleQueue[_Committed | None] = queue.SimpleQueue()
        self._acts: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._ends_asking = float("inf")
        self._next = 0

    def run(self) -> Tally:
        """Run the simulation. Raises SimulationError if the database has no tables of lending."""
        first_loan, first_user = self._first_ids()
        draws = self._draws(first_loan, first_user)
        gc.collect()
        gc.freeze()  # a full garbage collection here would count as latency of a decision
        begin = time.monotonic()
        committers = _threads(_COMMITTERS, lambda: self._commit_all(draws, begin))
        clerks = _threads(_CLERKS, self._ask_all)
        actors = _threads(_ACTORS, self._act_all)
        for thread in committers:
            thread.join()
        patience = self._plan.patience_seconds
        self._ends_asking = time.monotonic() + (min(patience, _HURRY_SECONDS) if self.is_hurried else patience)
        for _ in clerks:
            self._questions.put(None)
        for thread in clerks:
            thread.join()
        for _ in actors:
            self._acts.put(None)
        for thread in actors:
            thread.join()
        return self.tally

    # -- committing ----------------------------------------------------------------------------------------------------

    def _first_ids(self) -> tuple[int, int]:
        try:
            with psycopg.connect(self._postgres_url) as connection:
                row = connection.execute(
                    'select (select coalesce(max(id), 0) + 1 from loan), (select coalesce(max(id), 0) + 1 from "user")'
                ).fetchone()
        except psycopg.errors.UndefinedTable:
            raise SimulationError(
                "the database has no tables of lending. Load a dump of the inbox data/raw/loan_book with: "
                "make run SELECT=lending"
            ) from None
        except psycopg.OperationalError as error:
            raise SimulationError(f"the database does not answer: {error}. Start everything with: make up") from None
        return row or (1, 1)

    def _draws(self, first_loan: int, first_user: int) -> Iterator[_Draw]:
        draw = random.Random(self._plan.seed)
        user = first_user
        number = 0
        while True:
            is_new = first_user == 1 or draw.random() < _NEW_CLIENTS
            client = user if is_new else draw.randrange(1, first_user)
            user += is_new
            yield _Draw(
                number,
                first_loan + number,
                client,
                is_new,
                round(min(draw.lognormvariate(6.2, 0.7), 9_000), -1) + 50.0,
                draw.choice(_DURATIONS_DAYS),
            )
            number += 1

    def _commit_all(self, draws: Iterator[_Draw], begin: float) -> None:
        plan = self._plan
        connection: psycopg.Connection | None = None
        while not self.stop.is_set():
            with self._lock:
                drawn = next(draws)
            due = begin + drawn.number / plan.rate
            if plan.seconds is not None and due >= begin + plan.seconds:
                break
            if self.stop.wait(max(due - time.monotonic(), 0.0)):
                break
            connection, was_repeated = self._commit(connection, drawn)
            at = time.perf_counter()
            with self._lock:
                self.tally.committed.add(drawn.application_id)
            self._questions.put(_Committed(drawn.application_id, self._body(drawn), at, was_repeated))
        if connection is not None:
            connection.close()

    def _commit(self, connection: psycopg.Connection | None, drawn: _Draw) -> tuple[psycopg.Connection, bool]:
        """Commit an application, with retries while the database is away; return connection and whether it retried."""
        was_repeated = False
        while True:
            try:
                if connection is None:
                    connection = self._connected()
                    if was_repeated and _is_there(connection, drawn.application_id):
                        return connection, True
                self._insert(connection, drawn)
                return connection, was_repeated
            except psycopg.OperationalError:
                # The commit may have succeeded; check once the database answers again.
                was_repeated, connection = True, None
                time.sleep(_PAUSE_SECONDS)

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self._postgres_url, autocommit=True, connect_timeout=2)

    def _insert(self, connection: psycopg.Connection, drawn: _Draw) -> None:
        today = self._plan.today
        loan = (
            "insert into loan (id, client_id, amount, created_on, duration, status, updated_on) "
            "values (%s, %s, %s, %s, %s, 'application', %s)"
        )
        values = (drawn.application_id, drawn.client_id, drawn.amount, today, drawn.duration_days, today)
        if not drawn.is_new_client:
            connection.execute(loan, values)
            return
        born = today - dt.timedelta(days=20 * 366 + drawn.application_id % 15_000)
        with connection.transaction():
            connection.execute(
                'insert into "user" (id, created_on, first_name, last_name, birth_date, personal_code) '
                "values (%s, %s, %s, %s, %s, %s)",
                (drawn.client_id, today, "Ada", f"Client {drawn.client_id}", born, f"{born:%Y%m%d}{drawn.client_id}"),
            )
            connection.execute(loan, values)

    def _body(self, drawn: _Draw) -> bytes:
        return json.dumps(
            {
                "application_id": drawn.application_id,
                "client_id": drawn.client_id,
                "amount": drawn.amount,
                "duration_days": drawn.duration_days,
                "applied_on": self._plan.today.isoformat(),
                "submitted_at": dt.datetime.now(dt.UTC).isoformat(),
            }
        ).encode()

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask_all(self) -> None:
        clerk = _Clerk(self._service_url, self._key)
        while (question := self._questions.get()) is not None:
            was_repeated = question.was_repeated
            while time.monotonic() < self._ends_asking:
                answer = clerk.ask(question.body)
                if answer is not None:
                    break
                was_repeated = True
                time.sleep(_PAUSE_SECONDS)
            else:
                continue
            took = (time.perf_counter() - question.at) * 1000
            self._take(question, answer, took, was_repeated)
            if question.application_id % round(1 / _SENT_TWICE) == 0:
                again = clerk.ask(question.body)
                if again is not None and again.status == 200:
                    with self._lock:
                        self.tally.answers.setdefault(question.application_id, set()).add(again.text)
        clerk.close()

    def _take(self, question: _Committed, answer: _Answer, took_ms: float, was_repeated: bool) -> None:
        tally = self.tally
        if answer.status != 200:
            with self._lock:
                tally.refused[question.application_id] = f"{answer.status} {answer.text[:300]}"
            return
        decision = json.loads(answer.text)
        with self._lock:
            tally.answers.setdefault(question.application_id, set()).add(answer.text)
            tally.decisions[decision["decision"]] += 1
            tally.reasons.update(reason["code"] for reason in decision["reasons"])
            (tally.repeated_milliseconds if was_repeated else tally.milliseconds).append(took_ms)
        if decision["decision"] == "approve":
            self._acts.put(question.application_id)

    # -- acting --------------------------------------------------------------------------------------------------------

    def _act_all(self) -> None:
        connection: psycopg.Connection | None = None
        while (application := self._acts.get()) is not None:
            while time.monotonic() < self._ends_asking:
                try:
                    connection = connection or self._connected()
                    connection.execute(
                        "update loan set status = 'active', matured_on = created_on + duration::int, updated_on = %s "
                        "where id = %s and status = 'application'",
                        (self._plan.today, application),
                    )
                    break
                except psycopg.OperationalError:
                    connection = None
                    time.sleep(_PAUSE_SECONDS)
            with self._lock:
                self.tally.acted += 1
        if connection is not None:
            connection.close()


@dataclass(frozen=True)
class _Draw:
    number: int
    application_id: int
    client_id: int
    is_new_client: bool
    amount: float
    duration_days: int


@dataclass(frozen=True)
class _Answer:
    status: int
    text: str


class _Clerk:
    """A client of the service that keeps its connection open.

    A request takes 0.5 ms of processor time, 1.3 ms with httpx: a simulator must not delay what it measures.
    """

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url).netloc
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, body: bytes) -> _Answer | None:
        """Send a request and return the answer; None without one, or if its status asks for a retry."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._address, timeout=_ANSWER_SECONDS)
            self._connection.request("POST", PATH, body, self._headers)
            response = self._connection.getresponse()
            answer = _Answer(response.status, response.read().decode())
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return None if answer.status in _TRY_AGAIN else answer

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _threads(count: int, work: Callable[[], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def _is_there(connection: psycopg.Connection, application_id: int) -> bool:
    return connection.execute("select 1 from loan where id = %s", (application_id,)).fetchone() is not None


@contextlib.contextmanager
def _key(settings: Settings) -> Iterator[str]:
    """Yield the admin key of the settings, or a temporary key for the simulation."""
    if settings.admin_key is not None:
        yield settings.admin_key.get_secret_value()
        return
    store = StateStore(settings.state)
    key, text = create_key(store, "CRM simulator", ["lending:decide"], dt.datetime.now(dt.UTC), os.urandom)
    try:
        yield text
    finally:
        revoke_key(store, key.key_id, dt.datetime.now(dt.UTC))
        store.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate; return 0 if every application was decided once, 1 if one was not, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="python -m quintet.samples.crm", description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="applications a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="duration; 0: until it is stopped")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--today", type=dt.date.fromisoformat, help="day of the applications; today by default")
    parser.add_argument("--postgres", help="the database, as a libpq URL; default: from the settings")
    parser.add_argument("--service", help="the service's address; default: from the settings")
    given = parser.parse_args(arguments)
    if not given.rate > 0:
        parser.error(f"--rate must be above 0, not {given.rate}")
    plan = Plan(given.rate, given.seconds or None, given.seed, given.today or dt.datetime.now(dt.UTC).date())
    try:
        settings = load_settings()
        named = settings.postgres_url.get_secret_value() if settings.postgres_url else None
        postgres_url = given.postgres or named or running_url(settings.embedded_postgres)
        if postgres_url is None:
            raise SimulationError("no database runs; start everything with: make up")
        service_url = given.service or settings.local_url(settings.port)
        with _key(settings) as key:
            crm = Crm(postgres_url, service_url, key, plan)

            def end(*_: object) -> None:
                crm.is_hurried = True
                crm.stop.set()

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, end)
            crm.run()
    except (SimulationError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    print(crm.tally.in_words())
    return int(bool(crm.tally.lost or crm.tally.doubled))


if __name__ == "__main__":
    sys.exit(main())
