"""The change stream beside Debezium: the same log, the same handler in Python, positions that survive on both sides."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.comparators import comparator
from bench.field_contestant import Contestant
from bench.field_tally import BACKLOG, LATER
from bench.measure import BenchError, Line, MissingError, run
from quintet.embedded.postgres import EmbeddedPostgres
from quintet.replication.database import end_of_log, slot_state
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book

_PUBLICATION = "bench"
_FLUSH_MS = 100
_ROWS_A_TRANSACTION = 100
_FIRST_ID = 10_000_000
_SECONDS_TO_CONFIRM = 60.0


@dataclass(frozen=True)
class Size:
    """rows: of the backlog. rate: commits a second, for `seconds`. jvm: options of Debezium's Java."""

    clients: int
    rounds: int
    rows: int
    rate: int
    seconds: float
    jvm: tuple[str, ...]


# a quick run starts Java with its cheap compiler alone: it shows no speed, and the suite runs it
_FULL, _QUICK = (
    Size(9_000, 3, 100_000, 200, 10.0, ()),
    Size(100, 1, 3_000, 50, 0.5, ("-XX:TieredStopAtLevel=1",)),
)


@dataclass(frozen=True)
class Reading:
    """What one reader did in one round. start: seconds to the first row. rate: see `catch_up_rate`. p50, p99: ms."""

    start: float
    rate: float
    p50: float
    p99: float
    mb: float
    rows: int
    sum: int
    is_confirmed: bool


Start = Callable[[Path], Contestant]


def beside_debezium(quick: bool, folder: Path) -> list[Line]:
    """Return the lines of catch-up, start, commit to handler, and memory; both readers take turns in each round."""
    size = _QUICK if quick else _FULL
    readers: dict[str, Start] = {"own": lambda place: Contestant.of_project("field_reader", place)}
    reason = ""
    try:
        _check_java()
        comparator("debezium")
        readers["Debezium"] = lambda place: Contestant.of_field("debezium", "debezium", place)
    except MissingError as missing:
        reason = f"skipped: {missing}"
    found: dict[str, list[Reading]] = {name: [] for name in readers}
    settings = {"max_replication_slots": "20", "max_wal_senders": "20"}
    with (
        EmbeddedPostgres(folder / "pg", settings) as postgres,
        psycopg.connect(postgres.url, autocommit=True) as connection,
    ):
        load_book(make_book(LendingWorld(clients=size.clients), 7), connection)
        connection.execute(f"create publication {_PUBLICATION} for table {BACKLOG}, {LATER}".encode())
        for number in range(size.rounds):
            for name, reading in _round(postgres.url, connection, folder, size, number, readers):
                found[name].append(reading)
    return _lines(size, found, reason)


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and Path(home, "bin", "java").is_file())):
        raise MissingError("there is no Java: `apt-get install openjdk-17-jre-headless` gets it")


def _round(
    url: str, connection: psycopg.Connection, folder: Path, size: Size, number: int, readers: Mapping[str, Start]
) -> list[tuple[str, Reading]]:
    """Let the readers read the same backlog, each from a slot of its own; the first of a round is the last of the next.

    Each then handles commits at a fixed rate, alone.
    """
    names = [*readers] if number % 2 == 0 else [*readers][::-1]
    first = _FIRST_ID + number * 2 * size.rows
    slots = {name: f"bench_{number}_{turn}" for turn, name in enumerate(names)}
    for slot in slots.values():
        connection.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    for begin in range(first, first + size.rows, _ROWS_A_TRANSACTION):
        _insert(connection, begin, begin + _ROWS_A_TRANSACTION - 1, size.clients)
    found = []
    for turn, name in enumerate(names):
        place = folder / slots[name]
        place.mkdir()
        given = {
            "url": url,
            "server": conninfo_to_dict(url),
            "slot": slots[name],
            "publication": _PUBLICATION,
            "flush_ms": _FLUSH_MS,
            "jvm": size.jvm,
            "first": first,
            "last": first + size.rows - 1,
            "end": first + size.rows + turn,
        }
        (place / "given.json").write_text(json.dumps(given), "utf-8")
        found.append((name, _read(url, connection, place, size, given, readers[name])))
    for slot in slots.values():
        connection.execute("select pg_drop_replication_slot(%s)", (slot,))
    return found


def _insert(connection: psycopg.Connection, first: int, last: int, clients: int) -> None:
    connection.execute(
        f"insert into {BACKLOG} select n, n %% %s::int + 1, 110, 100, 10, 'on_time', date '2020-08-01' "
        "from generate_series(%s::int, %s::int) as n".encode(),
        (clients, first, last),
    )


def _read(
    url: str, connection: psycopg.Connection, place: Path, size: Size, given: Mapping[str, Any], start: Start
) -> Reading:
    began = time.time()
    with start(place) as reader:
        caught = reader.answer()
        noted = place / "commits"
        run([sys.executable, "-m", "bench.stream_commits", url, str(size.rate), str(size.seconds), str(noted)])
        position = end_of_log(connection)
        _insert(connection, given["end"], given["end"], size.clients)
        last = reader.answer()
        seen = dict(last["seen"])
        delays = [1e3 * (seen[number] - at) if number in seen else float("inf") for number, at in _committed(noted)]
        return Reading(
            start=caught["first_at"] - began,
            rate=catch_up_rate(caught, began),
            p50=statistics.median(delays),
            p99=statistics.quantiles(delays, n=100)[98],
            mb=last["mb"],
            rows=caught["rows"],
            sum=caught["sum"],
            is_confirmed=_is_confirmed(connection, given["slot"], position),
        )


def catch_up_rate(caught: Mapping[str, Any], began: float) -> float:
    """Return the rows a second after the first batch; where it had all of them, those since the reader began."""
    if not caught["after_first"]:
        return float(caught["rows"] / (caught["first_at"] - began))
    return float(caught["after_first"] / caught["seconds"])


def _committed(noted: Path) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = json.loads(noted.read_text("utf-8"))
    if len(found) < 2:
        raise BenchError("too few commits to measure: the machine is too busy; use a longer run")
    return found


def _is_confirmed(connection: psycopg.Connection, slot: str, position: int) -> bool:
    """Return whether PostgreSQL has the reader's position, once the reader has had time to send it."""
    until = time.monotonic() + _SECONDS_TO_CONFIRM
    while time.monotonic() < until:
        state = slot_state(connection, slot)
        if state is not None and state.confirmed >= position and state.active_pid is None:
            return True
        time.sleep(0.05)
    return False


def _lines(size: Size, found: Mapping[str, Sequence[Reading]], reason: str) -> list[Line]:
    own, theirs = found["own"], found.get("Debezium", ())

    def line(what: str, figure: Callable[[Reading], float], written: str, less: bool = True) -> Line:
        mine = statistics.median(map(figure, own))
        if not theirs:
            return Line(f"stream: {what}", written.format(mine), "", True, reason)
        other = statistics.median(map(figure, theirs))
        is_first = mine <= other if less else mine >= other
        return Line(
            f"stream: {what}", written.format(mine), "at least as good", is_first, f"Debezium {written.format(other)}"
        )

    return [
        line(f"catch-up on {size.rows:,} rows", lambda one: one.rate, "{:,.0f} rows/s", less=False),
        line("start to the first row", lambda one: one.start, "{:.2f} s"),
        line(f"commit to handler at {size.rate:,}/s, p50", lambda one: one.p50, "{:.1f} ms"),
        line(f"commit to handler at {size.rate:,}/s, p99", lambda one: one.p99, "{:.1f} ms"),
        line("memory", lambda one: one.mb, "{:,.0f} MB"),
        Line(
            f"stream: rounds with each of {size.rows:,} rows handled once, and the position acknowledged",
            f"{_complete(size, own)} of {size.rounds}",
            "all",
            _complete(size, own) == size.rounds,
            f"Debezium {_complete(size, theirs)} of {size.rounds}" if theirs else reason,
            is_exact=True,
        ),
    ]


def _complete(size: Size, readings: Sequence[Reading]) -> int:
    """Return in how many rounds a reader handled all rows of the backlog and PostgreSQL had its position."""
    first = size.rows * (2 * _FIRST_ID + size.rows - 1) // 2
    sums = [first + number * 2 * size.rows**2 for number in range(size.rounds)]
    return sum(
        one.rows == size.rows and one.sum == total and one.is_confirmed
        for one, total in zip(readings, sums, strict=True)
    )
