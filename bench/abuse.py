"""Promo abuse: score a million users in a batch, then judge sign-ups over HTTP against them.

`--users 100000` takes a minute. Every request is a sign-up of a new user, so that each is judged, written to disk
and added to the index before the response.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb
import httpx
import pyarrow.parquet as pq

from bench.http_load import for_seconds, put_under_load
from bench.measure import BenchError, Line, options, print_lines, run
from bench.serve import service
from quintet.promotions.accounts import accounts_of
from quintet.promotions.model import scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population

USUALLY = "5 minutes"

_FIGURES = "figures.json"
_PATH = "/v1/promotions/abuse-score"
_MOST_SECONDS, _MOST_GIGABYTES = 120, 4.0
_MOST_MILLISECONDS_IN_PROCESS, _MOST_MILLISECONDS = 5.0, 10.0  # half of an answer over HTTP is the judgement's
_CLIENTS = 4
_READY_SECONDS = 300


@dataclass(frozen=True)
class Size:
    """The size of a measurement: users, sign-ups to send in turn, their rate, seconds of a round, and rounds."""

    users: int
    bodies: int
    per_second: int
    seconds_before: float
    seconds: float
    rounds: int


_FULL, _QUICK = Size(1_000_000, 200_000, 300, 20, 10, 5), Size(2_000, 8_000, 100, 0.5, 0.5, 2)


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("abuse", __doc__)
    parser.add_argument("--users", type=int, default=_FULL.users)
    given = parser.parse_args(arguments)
    size = _QUICK if given.quick else _FULL
    users = size.users if given.quick else given.users
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run([sys.executable, "-m", "bench.abuse_batch", str(users), folder])
        lines = _batch_lines(json.loads((home / _FIGURES).read_text("utf-8")))
        _publish(home)
        with service(home, QUINTET_REQUESTS_PER_MINUTE="10000000") as (url, headers):
            lines += _measure_service(url, headers, home, size)
    return print_lines(f"Promo abuse, {users:,} known users", lines)


def _batch_lines(figures: Mapping[str, float]) -> list[Line]:
    seconds, peak, p99 = figures["batch_seconds"], figures["peak_gb"], figures["p99_ms"]
    accounts = f"{figures['accounts']:,.0f} accounts"
    return [
        Line(f"batch over {accounts}", f"{seconds:.1f} s", f"at most {_MOST_SECONDS} s", seconds <= _MOST_SECONDS),
        Line(
            "its memory",
            f"{peak:.2f} GB at most",
            f"at most {_MOST_GIGABYTES:g} GB",
            peak <= _MOST_GIGABYTES,
            f"{figures['peak_before_gb']:.2f} GB to generate the users",
        ),
        Line("index in memory", f"{figures['index_seconds']:.1f} s to build", "", True),
        Line(
            "a sign-up judged in process",
            f"p50 {figures['p50_ms']:.2f} ms, p99 {p99:.2f} ms",
            f"p99 at most {_MOST_MILLISECONDS_IN_PROCESS:g} ms",
            p99 <= _MOST_MILLISECONDS_IN_PROCESS,
        ),
    ]


def _measure_service(url: str, headers: Mapping[str, str], home: Path, size: Size) -> list[Line]:
    ready_seconds = _wait_until_ready(url, headers)
    bodies, quarter = _bodies(home, size.bodies), size.bodies // 4
    # Generating the users leaves a gigabyte to be written to disk, and several for the kernel to free.
    os.sync()
    put_under_load(
        url,
        [_PATH],
        headers,
        _CLIENTS,
        for_seconds(size.seconds_before),
        bodies[:quarter],
        per_second=size.per_second,
    )
    paced = [
        put_under_load(
            url, [_PATH], headers, _CLIENTS, for_seconds(size.seconds), bodies[start:], per_second=size.per_second
        )
        for start in range(quarter, 2 * quarter, quarter // size.rounds)
    ]
    flat_out = put_under_load(url, [_PATH], headers, _CLIENTS, for_seconds(size.seconds), bodies[2 * quarter :])
    failed = [fault for load in (*paced, flat_out) for fault in load.failed]
    p50, p99 = (sorted(load.percentile(share) for load in paced) for share in (50, 99))
    return [
        Line("service ready to judge", f"after {ready_seconds:.1f} s", "", True),
        Line(
            f"p99 at {size.per_second} sign-ups a second",
            f"{median(p99):.1f} ms, median of {size.rounds} rounds from {p99[0]:.1f} to {p99[-1]:.1f} "
            f"(p50 {median(p50):.1f} ms)",
            f"at most {_MOST_MILLISECONDS:.0f} ms",
            median(p99) <= _MOST_MILLISECONDS,
        ),
        Line(
            f"sign-ups a second, {_CLIENTS} clients without a pause",
            f"{flat_out.per_second:.0f} (p99 {flat_out.percentile(99):.1f} ms)",
            f"at least {size.per_second}",
            flat_out.per_second >= size.per_second,
        ),
        Line("requests that failed", f"{len(failed)} {failed[:1] or ''}", "none", not failed, is_exact=True),
    ]


def _publish(home: Path) -> None:
    """Publish a snapshot with what the service needs: users, usages, and the scorecard of their population."""
    serving = home / "serving"
    serving.mkdir()
    users, usages = (pq.read_table(home / f"{name}.parquet") for name in ("users", "usages"))
    policy = read_policy()
    with duckdb.connect(str(serving / "bench.duckdb")) as connection:
        connection.register("users", users)
        connection.register("usages", usages)
        for statement in (
            "create schema marts",
            "create schema ml",
            "create table marts.fct_promo_users as select * from users",
            "create table marts.fct_promo_usages as select * from usages",
            "create table marts.snapshot as select 'bench' as snapshot_id, now()::timestamp as published_at",
            "create table ml.abuse_model (content varchar, review_from double, block_from double, reason_from double)",
        ):
            connection.execute(statement).fetchall()
        model = scorecard(Population.of(accounts_of(users, usages)))
        connection.execute(
            "insert into ml.abuse_model values (?, ?, ?, ?)",
            [model.to_json(), policy.review_from, policy.block_from, policy.reason_from],
        ).fetchall()
    (serving / "current.duckdb").symlink_to("bench.duckdb")


def _bodies(home: Path, count: int) -> list[bytes]:
    """Return sign-ups of new users who share attributes with users of the world."""
    with duckdb.connect() as connection:
        rows = connection.sql(
            f"select email, phone, first_name, last_name, ip_address, device_id, strftime(dob, '%Y-%m-%d') as dob, "
            f"strftime(created_at, '%Y-%m-%dT%H:%M:%SZ') as created_at "
            f"from read_parquet('{home / 'users.parquet'}') order by hash(user_id) limit {count}"
        ).df()
    plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [
        json.dumps({"user_id": f"bench-{number}", **plain[number % len(plain)]}).encode() for number in range(count)
    ]


def _wait_until_ready(url: str, headers: Mapping[str, str]) -> float:
    """Return the seconds until the first sign-up is judged."""
    began = time.perf_counter()
    while True:
        answer = httpx.post(url + _PATH, json={"user_id": "first"}, headers=dict(headers))
        if answer.is_success:
            return time.perf_counter() - began
        if answer.status_code != 503 or time.perf_counter() - began > _READY_SECONDS:
            raise BenchError(f"the service answers a sign-up with {answer.status_code}")
        time.sleep(0.1)
