"""The change stream: catch-up beside pg_recvlogical, commit to feature and object, and time per event by size."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.measure import BenchError, Line, MissingError, median_ratio, options, print_lines, run
from quintet.change_log.change import Change, Position, decode_lines
from quintet.change_log.log import Epoch, epochs, open_store
from quintet.embedded.object_store import EmbeddedObjectStore
from quintet.embedded.postgres import EmbeddedPostgres, programs
from quintet.lending.feature_registry import features
from quintet.lending.online import APPLIED_LSN, OnlineFeatures
from quintet.replication.database import HEADER, Replication
from quintet.replication.pgoutput import Decoder
from quintet.samples.lending import LendingWorld, make_book
from quintet.samples.lending_dump import load_book
from quintet.state.features import CheckpointThread, FeatureStore

USUALLY = "4 minutes"

_SECONDS_TO_START = 60.0
_SECONDS_AFTER = 2  # features and objects are watched for this long after the last commit
_INOTIFY = struct.Struct("iIII")  # the kernel's record: watch, event, cookie, length of the name that follows
_IN_CLOSE_WRITE, _IN_MOVED_TO = 0x8, 0x80


@dataclass(frozen=True)
class Size:
    """The size of a measurement.

    clients: of the loan book. rows: of the backlog. rates: commits a second, with the limits in ms at the 99th
    percentile to the feature and to the object, None for no limit. loans: the two sizes at which the time per event is
    compared.
    """

    clients: int
    pairs: int
    rows: int
    rates: Sequence[tuple[int, int | None, int | None]]
    seconds: float
    loans: tuple[int, int]


_FULL = Size(9_000, 5, 100_000, ((200, 10, 50), (1_000, None, 250)), 10, (10_000, 1_000_000))
_QUICK = Size(100, 1, 2_000, ((50, 10, 50),), 1, (100, 10_000))


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    size = _QUICK if options("stream", __doc__).parse_args(arguments).quick else _FULL
    if not (programs() / "pg_recvlogical").is_file():
        raise MissingError("the embedded PostgreSQL has no pg_recvlogical")
    if sys.platform != "linux":
        raise MissingError("objects are watched by inotify, which Linux alone has")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with EmbeddedPostgres(folder / "pg", {"max_replication_slots": "20", "max_wal_senders": "20"}) as postgres:
            with psycopg.connect(postgres.url) as connection:
                load_book(make_book(LendingWorld(clients=size.clients), 7), connection)
            lines = [*_catch_up(postgres.url, size), *_latencies(postgres.url, folder, size)]
        lines += _by_size(folder, size)
    return print_lines("Change stream", lines)


def _catch_up(url: str, size: Size) -> list[Line]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create publication bench for table payment")
        for pair in range(size.pairs):
            for name in ("ours", "theirs"):
                connection.execute(f"select pg_create_logical_replication_slot('{name}_{pair}', 'pgoutput')".encode())
        for begin in range(0, size.rows, 100):
            connection.execute(
                "insert into payment select n, n %% %s::int + 1, 110, 100, 10, 'on_time', date '2020-08-01' "
                "from generate_series(%s::int, %s::int) as n",
                (size.clients, 10_000_000 + begin, 10_000_000 + begin + 99),
            )
        (end,) = connection.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        connection.execute("select pg_logical_emit_message(true, 'bench', 'end')")
    ours, theirs = [], []
    for pair in range(size.pairs):
        theirs.append(_pg_recvlogical(url, f"theirs_{pair}", end))
        ours.append(_decode(url, f"ours_{pair}", size.rows))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        connection.execute("drop publication bench")
    ratio = median_ratio(theirs, ours)
    rates = [f"{size.rows / statistics.median(seconds):,.0f}" for seconds in (ours, theirs)]
    return [
        Line(
            f"catch-up on {size.rows:,} rows",
            f"{rates[0]} rows/s, {ratio:.2f} x pg_recvlogical",
            "at least 1 x",
            ratio >= 1,
            f"pg_recvlogical {rates[1]} rows/s",
        )
    ]


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


def _decode(url: str, slot: str, count: int) -> float:
    began = time.perf_counter()
    replication, decoder, rows = Replication(url), Decoder(binary=True), 0
    replication.start(slot, "bench", 0, binary=True)
    while rows < count:
        messages = decoder.decode_all(replication.receive(1).messages, HEADER)
        rows += sum(type(message) is Change for message in messages)
    replication.close()
    return time.perf_counter() - began


def _latencies(url: str, folder: Path, size: Size) -> list[Line]:
    lines = []
    with EmbeddedObjectStore(folder / "s3") as objects:
        environment = {
            "QUINTET_HOME": str(folder),
            "QUINTET_POSTGRES_URL": url,
            "QUINTET_OBJECT_STORE_URL": objects.url,
            "QUINTET_STREAM_PORT": "0",
        }
        stream = subprocess.Popen([sys.executable, "-m", "quintet.replication"], env=os.environ | environment)
        try:
            _until(lambda: bool(epochs(open_store(objects.url))), stream)
            changes = objects.objects / "changes" / epochs(open_store(objects.url))[-1].name
            store = FeatureStore(folder / "online")
            _until(lambda: store.fact(APPLIED_LSN) is not None, stream)
            store.close()
            for rate, feature_ms, object_ms in size.rates:
                committed, applied, written = _watch(url, rate, size.seconds, folder, changes)
                for what, seen, limit in (("feature", applied, feature_ms), ("object", written, object_ms)):
                    reached = len(committed) / size.seconds
                    lines.append(
                        _latency_line(f"commit to {what} at {rate:,}/s", committed, seen, limit, reached / rate)
                    )
        finally:
            stream.terminate()
            stream.wait()
    return lines


def _until(holds: Callable[[], bool], stream: subprocess.Popen[bytes]) -> None:
    """Wait for the stream. Raises BenchError if it ends or takes too long."""
    until = time.monotonic() + _SECONDS_TO_START
    while not holds():
        if stream.poll() is not None or time.monotonic() > until:
            raise BenchError(f"the stream has not begun after {_SECONDS_TO_START:.0f} s, or has ended: {stream.poll()}")
        time.sleep(0.1)


Seen = list[tuple[int, float]]


def _watch(url: str, rate: int, seconds: float, folder: Path, changes: Path) -> tuple[Seen, Seen, Seen]:
    """Return commits by LSN and time, and when features and objects were first seen to reach an LSN."""
    noted = folder / f"commits-{rate}"
    applied: Seen = []
    written: Seen = []
    ended = threading.Event()
    watchers = [
        threading.Thread(target=_watch_features, args=(folder / "online", applied, ended)),
        threading.Thread(target=_watch_objects, args=(changes, written, ended)),
    ]
    for watcher in watchers:
        watcher.start()
    try:
        run([sys.executable, "-m", "bench.stream_commits", url, str(rate), str(seconds), str(noted)])
        time.sleep(_SECONDS_AFTER)
    finally:
        ended.set()
        for watcher in watchers:
            watcher.join()
    at: dict[int, float] = dict(json.loads(noted.read_text()))
    lsns = _lsn_by_loan(changes, at)
    return [(lsns[number], when) for number, when in at.items()], applied, written


def _lsn_by_loan(changes: Path, wanted: Iterable[int]) -> dict[int, int]:
    """Return the position in the log at which each loan was committed, read from the log."""
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
    """Record new objects in the bucket's folder; each is unpacked, to check that it was complete.

    The kernel reports when a file was written (inotify): repeatedly listing thousands of objects would distort the
    measured time.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(descriptor, os.fsencode(changes), _IN_CLOSE_WRITE | _IN_MOVED_TO)
    last = 0
    while not ended.is_set():
        if not select.select([descriptor], [], [], 0.1)[0]:
            continue
        events, place = os.read(descriptor, 65_536), 0
        while place < len(events):
            length = _INOTIFY.unpack_from(events, place)[3]
            place += _INOTIFY.size + length
            name = events[place - length : place].rstrip(b"\0").decode()
            if name.endswith(".jsonl.gz"):
                gzip.decompress((changes / name).read_bytes())
                end = Position.parse(name.split("-")[1].removesuffix(".jsonl.gz"))
                if end.lsn > last:
                    last = end.lsn
                    seen.append((last, time.time()))
    os.close(descriptor)


def _latency_line(what: str, committed: Seen, seen: Seen, limit: int | None, share_reached: float) -> Line:
    lsns = [lsn for lsn, _ in seen]
    delays = []
    for lsn, at in committed:
        place = bisect_right(lsns, lsn)
        delays.append(1_000 * (seen[place][1] - at) if place < len(seen) else float("inf"))
    p99 = statistics.quantiles(delays, n=100)[98]
    figure = f"p50 {statistics.median(delays):.1f} ms, p99 {p99:.1f} ms ({share_reached:.0%} of the rate reached)"
    holds = (limit is None or p99 <= limit) and share_reached >= 0.95
    return Line(what, figure, "95% of the rate" if limit is None else f"p99 at most {limit} ms", holds)


def _by_size(folder: Path, size: Size) -> list[Line]:
    """Time the same changes on features of few and of many loans, in turns."""
    few, many = size.loans
    contestants = {loans: _filled(folder / f"size-{loans}", loans) for loans in size.loans}
    seconds: dict[int, list[float]] = {loans: [] for loans in contestants}
    with ExitStack() as writing:
        for online in contestants.values():  # as the stream writes
            writing.enter_context(CheckpointThread(online.store, APPLIED_LSN, 0.25))
            writing.enter_context(online.store.writing())
        for turn in range(size.pairs):
            for loans, online in contestants.items():
                changes = [_application(turn * 1_000 + n + 1, loans) for n in range(1_000)]
                began = time.perf_counter()
                for begin in range(0, 1_000, 10):
                    online.apply(changes[begin : begin + 10], Position(turn * 1_000 + begin + 11), None)
                seconds[loans].append(time.perf_counter() - began)
    ratio = median_ratio(seconds[many], seconds[few])
    each, each_few = (1_000 * statistics.median(seconds[loans]) for loans in (many, few))
    return [
        Line(
            f"time per event with {many:,} loans",
            f"{each:.0f} µs, {ratio:.2f} x that with {few:,}",
            "at most 1.5 x",
            ratio <= 1.5,
            f"{few:,} loans: {each_few:.0f} µs",
        )
    ]


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
    row |= {"updated_on": "2020-08-01"}
    return Change(lsn, 0, "2020-08-01T00:00:00.000000Z", "loan", "update", "s", row, None)
