"""The change stream: catching up beside pg_recvlogical, commit to feature and to object, and time per event by size.

`make bench NAME=stream`. Rounds take turns, so that a machine that slows down slows both; the load is told beside.
"""

from __future__ import annotations

import ctypes
import gzip
import itertools
import json
import os
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.measure import Line, median_ratio, print_lines
from quintet.changelog.change import Change, Position, decode_lines
from quintet.changelog.log import Epoch, epochs, open_store
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres, programs
from quintet.lending.online import APPLIED_LSN, OnlineFeatures
from quintet.lending.registry import features
from quintet.online.features import FeatureStore, Keeper
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.samples.lending_traffic import run_at_rate
from quintet.stream.pgoutput import Decoder
from quintet.stream.source import HEADER, Replication

_PAIRS = 5
_BACKLOG_ROWS = 100_000
_RATES = ((200, 10, 50), (1_000, None, 250))  # commits a second, limits in ms to the feature and to the object
_SECONDS = 10
_CONNECTIONS = 8
_INOTIFY = struct.Struct("iIII")  # what the kernel tells: watch, event, cookie, length of the name that follows
_IN_CLOSE_WRITE, _IN_MOVED_TO = 0x8, 0x80


def main() -> int:
    """Measure; 0 if all limits hold."""
    folder = Path(tempfile.mkdtemp(prefix="quintet-bench-"))
    try:
        with EmbeddedPostgres(folder / "pg", {"max_replication_slots": "20", "max_wal_senders": "20"}) as postgres:
            with psycopg.connect(postgres.url) as connection:
                load_book(make_book(LendingWorld(clients=9_000), 7), connection)
            lines = [*_catch_up(postgres.url), *_latencies(postgres.url, folder), *_by_size(folder)]
    finally:
        shutil.rmtree(folder)
    return print_lines("change stream", lines)


def _catch_up(url: str) -> list[Line]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create publication bench for table payment")
        for pair in range(_PAIRS):
            for name in ("ours", "theirs"):
                connection.execute(f"select pg_create_logical_replication_slot('{name}_{pair}', 'pgoutput')".encode())
        for begin in range(0, _BACKLOG_ROWS, 100):
            connection.execute(
                "insert into payment select n, n %% 9000, 110, 100, 10, 'on_time', date '2020-08-01' "
                "from generate_series(%s::int, %s::int) as n",
                (10_000_000 + begin, 10_000_000 + begin + 99),
            )
        (end,) = connection.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        connection.execute("select pg_logical_emit_message(true, 'bench', 'end')")
    ours, theirs = [], []
    for pair in range(_PAIRS):
        theirs.append(_pg_recvlogical(url, f"theirs_{pair}", end))
        ours.append(_decode(url, f"ours_{pair}"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        connection.execute("drop publication bench")
    ratio = median_ratio(theirs, ours)
    rates = [f"{_BACKLOG_ROWS / statistics.median(seconds):,.0f}" for seconds in (ours, theirs)]
    return [Line("catch-up, by pg_recvlogical", f"{ratio:.2f}x ({rates[0]} and {rates[1]} rows/s)", "1.0x", ratio >= 1)]


def _pg_recvlogical(url: str, slot: str, end: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [
            str(programs() / "pg_recvlogical"), f"--dbname={url}", f"--slot={slot}", "--start", f"--endpos={end}",
            "--no-loop", "-o", "proto_version=1", "-o", "publication_names=bench", f"--file={os.devnull}",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - began


def _decode(url: str, slot: str) -> float:
    began = time.perf_counter()
    replication, decoder, rows = Replication(url), Decoder(binary=True), 0
    replication.start(slot, "bench", 0, binary=True)
    while rows < _BACKLOG_ROWS:
        messages = decoder.decode_all(replication.receive(1).messages, HEADER)
        rows += sum(type(message) is Change for message in messages)
    replication.close()
    return time.perf_counter() - began


def _latencies(url: str, folder: Path) -> list[Line]:
    lines = []
    with EmbeddedObjectStore(folder / "s3") as objects:
        environment = {
            "QUINTET_HOME": str(folder),
            "QUINTET_POSTGRES_URL": url,
            "QUINTET_OBJECT_STORE_URL": objects.url,
            "QUINTET_STREAM_PORT": "0",
        }
        stream = subprocess.Popen([sys.executable, "-m", "quintet.stream"], env=os.environ | environment)
        while not epochs(open_store(objects.url)):
            time.sleep(0.1)
        changes = objects.objects / "changes" / epochs(open_store(objects.url))[-1].name
        store = FeatureStore(folder / "online")
        while store.fact(APPLIED_LSN) is None:
            time.sleep(0.1)
        store.close()
        for rate, feature_ms, object_ms in _RATES:
            committed, applied, written = _watch(url, rate, folder, changes)
            for what, seen, limit in (("feature", applied, feature_ms), ("object", written, object_ms)):
                lines.append(_latency_line(f"commit to {what} at {rate:,}/s", committed, seen, rate, limit))
        stream.terminate()
        stream.wait()
    return lines


Seen = list[tuple[int, float]]


def _watch(url: str, rate: int, folder: Path, changes: Path) -> tuple[Seen, Seen, Seen]:
    """Commits by LSN and time, and when features and objects were first seen to reach an LSN."""
    told = folder / f"commits-{rate}"
    applied: Seen = []
    written: Seen = []
    ended = threading.Event()
    watchers = [
        threading.Thread(target=_watch_features, args=(folder / "online", applied, ended)),
        threading.Thread(target=_watch_objects, args=(changes, written, ended)),
    ]
    for watcher in watchers:
        watcher.start()
    subprocess.run([sys.executable, "-m", "bench.stream", "commit", url, str(rate), str(told)], check=True)
    time.sleep(2)
    ended.set()
    for watcher in watchers:
        watcher.join()
    at: dict[int, float] = dict(json.loads(told.read_text()))
    lsns = _lsn_by_loan(changes, at)
    return [(lsns[number], when) for number, when in at.items()], applied, written


def _lsn_by_loan(changes: Path, wanted: Iterable[int]) -> dict[int, int]:
    """Where in the log each loan was committed, as the log itself tells."""
    found, those = {}, set(wanted)
    for file in sorted(changes.iterdir(), reverse=True):
        for change in decode_lines(gzip.decompress(file.read_bytes())):
            if change.operation == "insert" and change.row is not None and change.row["id"] in those:
                found[change.row["id"]] = change.commit_lsn
        if len(found) == len(those):
            break
    return found


def _watch_features(folder: Path, seen: Seen, ended: threading.Event) -> None:
    store, last = FeatureStore(folder), 0
    while not ended.is_set():
        lsn = int(store.fact(APPLIED_LSN) or 0)
        if lsn > last:
            last = lsn
            seen.append((lsn, time.time()))
        time.sleep(0.0005)
    store.close()


def _watch_objects(changes: Path, seen: Seen, ended: threading.Event) -> None:
    """New objects as a reader of the bucket's folder finds them; each is unpacked, so that it was whole.

    The kernel tells when a file was written (inotify): to list thousands of objects again and again would take the time
    that is to be measured.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(descriptor, os.fsencode(changes), _IN_CLOSE_WRITE | _IN_MOVED_TO)
    last = 0
    while not ended.is_set():
        if not select.select([descriptor], [], [], 0.1)[0]:
            continue
        told, place = os.read(descriptor, 65_536), 0
        while place < len(told):
            length = _INOTIFY.unpack_from(told, place)[3]
            place += _INOTIFY.size + length
            name = told[place - length : place].rstrip(b"\0").decode()
            if name.endswith(".jsonl.gz"):
                gzip.decompress((changes / name).read_bytes())
                end = Position.parse(name.split("-")[1].removesuffix(".jsonl.gz"))
                if end.lsn > last:
                    last = end.lsn
                    seen.append((last, time.time()))
    os.close(descriptor)


def _latency_line(what: str, committed: Seen, seen: Seen, rate: int, limit: int | None) -> Line:
    lsns = [lsn for lsn, _ in seen]
    delays = []
    for lsn, at in committed:
        place = bisect_right(lsns, lsn)
        delays.append(1_000 * (seen[place][1] - at) if place < len(seen) else float("inf"))
    p99 = statistics.quantiles(delays, n=100)[98]
    reached = len(committed) / _SECONDS
    figure = f"p50 {statistics.median(delays):.1f} ms, p99 {p99:.1f} ms ({reached:,.0f} commits/s)"
    holds = (limit is None or p99 <= limit) and reached >= 0.95 * rate
    return Line(what, figure, "none" if limit is None else f"p99 {limit} ms", holds)


def _commit(url: str, rate: int, told: Path) -> None:
    """Commit `rate` times a second over several connections, noting the loan and when each commit was answered.

    Every commit is on disk when it is answered (synchronous_commit = on, fsync = on).
    """
    committed: Seen = []
    with psycopg.connect(url) as connection:
        (first,) = connection.execute("select max(id) + 1 from loan").fetchone() or (1,)
    numbers = itertools.count(first)

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set synchronous_commit = on")

            def step() -> None:
                number = next(numbers)
                connection.execute(
                    "insert into loan (id, client_id, amount, created_on, duration, status, updated_on) "
                    "values (%s, %s, 100, '2020-08-24', 30, 'application', '2020-08-24')",
                    (number, number % 9_000 + 1),
                )
                committed.append((number, time.time()))

            run_at_rate(step, rate / _CONNECTIONS, _SECONDS, time.monotonic, time.sleep)

    workers = [threading.Thread(target=work) for _ in range(_CONNECTIONS)]
    for worker in workers:
        worker.start()
        time.sleep(1 / rate)  # so that they do not all commit at one moment
    for worker in workers:
        worker.join()
    told.write_text(json.dumps(committed))


def _by_size(folder: Path) -> list[Line]:
    """Seconds for the same changes on features of 10,000 and of 1,000,000 loans, in turns."""
    contestants = {size: _filled(folder / f"size-{size}", size) for size in (10_000, 1_000_000)}
    seconds: dict[int, list[float]] = {size: [] for size in contestants}
    with ExitStack() as writing:
        for online in contestants.values():  # as the stream writes
            writing.enter_context(Keeper(online.store, APPLIED_LSN, 0.25))
            writing.enter_context(online.store.writing())
        for turn in range(_PAIRS):
            for size, online in contestants.items():
                changes = [_application(turn * 1_000 + n + 1, size) for n in range(1_000)]
                began = time.perf_counter()
                for begin in range(0, 1_000, 10):
                    online.apply(changes[begin : begin + 10], Position(turn * 1_000 + begin + 11), None)
                seconds[size].append(time.perf_counter() - began)
    ratio = median_ratio(seconds[1_000_000], seconds[10_000])
    each = statistics.median(seconds[1_000_000])
    return [Line("time per event, 1M loans by 10k", f"{ratio:.2f}x ({1_000 * each:.0f} µs)", "1.5x", ratio <= 1.5)]


def _filled(folder: Path, size: int) -> OnlineFeatures:
    store = FeatureStore(folder)
    online = OnlineFeatures(store, features())
    online.begin(Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1"))
    row = '{"id":1,"client_id":1,"amount":1.0,"created_on":"2020-01-01","status":"paid","updated_on":"2020-01-01"}'
    with store.change() as draft:
        draft._many(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) "
            "insert into rows select 'loan', i, i % 100000, ? from n",
            [(size, row)],
        )
    return online


def _application(lsn: int, size: int) -> Change:
    key = lsn * 7919 % size + 1
    row = {"id": key, "client_id": key % 100_000, "amount": 5.0, "created_on": "2020-08-01", "status": "active"}
    told = row | {"updated_on": "2020-08-01"}
    return Change(lsn, 0, "2020-08-01T00:00:00.000000Z", "loan", "update", "s", told, None)


def _run(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["commit"]:
        _commit(arguments[1], int(arguments[2]), Path(arguments[3]))
        return 0
    return main()


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
