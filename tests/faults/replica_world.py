"""Three services, two streams, nginx, PostgreSQL and S3 as processes: one system, each part of which can be killed."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg

from quintet.change_log.log import epochs, open_store
from quintet.domains import open_state_store
from quintet.embedded.processes import free_port
from quintet.lending.decision_log import DecisionLog
from quintet.lending.served import FOLDER
from quintet.ml.model_registry import ModelRegistry
from quintet.payments.monitor import Item
from quintet.samples.crm import Crm, Plan
from quintet.settings import load_settings
from quintet.shared_files import share_files
from quintet.shared_serving import share
from quintet.state.store import StateStore
from quintet.state_place import StatePlace
from tests.command import Python
from tests.faults.payment_world import as_json, minutes
from tests.faults.stream_world import World
from tests.machine import require_program
from tests.unit.lending.models import scorecard
from tests.unit.payments.teams import Receiver
from tests.waiting import LONG_SECONDS, wait_until
from tests.web.service import ADMIN, ADMIN_KEY

SERVICES, STREAMS = ("service 1", "service 2", "service 3"), ("stream 1", "stream 2")
OTHERS = ("nginx", "postgres", "objects")
VICTIMS = (*SERVICES, *STREAMS, *OTHERS)

_MINUTES_A_REQUEST, _STATUSES = 4, 2
_CLIENTS = 8
_SENT_TWICE = 10
_PATIENCE_SECONDS = 1_800.0  # time to process the backlog after many kills


@dataclass(frozen=True)
class Rates:
    """What clients send, each a second: loan applications, sign-ups, minute counts."""

    applications: float
    sign_ups: float
    counts: float


class Answered(NamedTuple):
    """An answer: how long it took, its status, and its path with the service that gave it."""

    seconds: float
    status: int
    about: str


@dataclass
class Task:
    """A process with a home on a disk of its own, as a container has it. cache: drawn charts, which are derived."""

    arguments: list[str]
    environment: Mapping[str, str]
    home: Path
    log: Path
    cache: Path
    process: Python | None = None

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (self.home / "cache").symlink_to(self.cache)
        own = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        self.process = Python(
            self.arguments, own | self.environment | {"QUINTET_HOME": str(self.home)}, output=self.log
        )

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    def kill(self, is_wiped: bool) -> None:
        """Kill the process, and delete its disk."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if is_wiped:
            shutil.rmtree(self.home)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def last_log(self) -> str:
        return self.log.read_text("utf-8")[-3_000:] if self.log.exists() else ""


@dataclass
class Sent:
    """What clients have sent until it was answered. sign_ups: by user, the different answers."""

    sign_ups: dict[str, set[tuple[float, str]]] = field(default_factory=dict)
    minutes: list[list[Item]] = field(default_factory=list)


class ReplicaWorld(World):
    """The stream's world with the rest of the system, and clients of it. snapshot: the published file."""

    def __init__(self, folder: Path, snapshot: Path, cache: Path, webhook: Receiver, rates: Rates, seed: int) -> None:
        super().__init__(folder, clients=100, seed=seed)
        self.folder, self.rates, self.webhook = folder, rates, webhook
        self._snapshot, self._cache = snapshot, cache
        self._port, self.access = free_port(), folder / "access.log"
        self._nginx: subprocess.Popen[bytes] | None = None
        self.tasks: dict[str, Task] = {}
        self.sent, self._stopping = Sent(), threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> ReplicaWorld:
        super().__enter__()
        self.first_application = max(self.rows("loan"))
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("create database state")
        self.state_url = self.postgres.url.rpartition("/")[0] + "/state"
        self._share()
        for name in STREAMS:
            self._add(name, ["-m", "quintet.replication", "--standby"])
            self.tasks[name].start()
        wait_until(lambda: epochs(self.log), lambda: [self.tasks[name].last_log() for name in STREAMS])
        self.ports = {name: free_port() for name in SERVICES}
        for name in SERVICES:
            self._add(name, ["-m", "quintet.web"])
            self.tasks[name].start()
        for name in SERVICES:
            self.await_service(name)
        self._start_nginx()
        return self

    def __exit__(self, *details: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._nginx is not None:
            self._nginx.kill()
            self._nginx.wait()
        for task in self.tasks.values():
            task.stop()
        super().__exit__(*details)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def state(self) -> StateStore:
        return open_state_store(StatePlace(self.folder / "reader", self.state_url))

    # -- processes -----------------------------------------------------------------------------------------------------

    def _share(self) -> None:
        """Share a snapshot, a model and a policy, as the machine that builds does."""
        home, bucket = self.folder / "build", f"file://{self.folder}/bucket"
        model = scorecard()
        ModelRegistry(home / "models" / FOLDER).register(
            model.version, model.to_json(), dt.datetime(2020, 8, 24, tzinfo=dt.UTC), "a test", {}
        )
        share_files(load_settings({"QUINTET_HOME": str(home), "QUINTET_SERVING_URL": bucket}))
        share(open_store(bucket), self._snapshot, {"marts.snapshot": 1}, 2)

    def _add(self, name: str, arguments: list[str]) -> None:
        folder = self.folder / name.replace(" ", "-")
        environment = {
            "QUINTET_PORT": str(self.ports[name]) if name in SERVICES else "0",
            "QUINTET_ADMIN_KEY": ADMIN_KEY,
            "QUINTET_REQUESTS_PER_MINUTE": "1000000",
            "QUINTET_TRUSTED_PROXIES": "127.0.0.1",
            "QUINTET_STATE_URL": self.state_url,
            "QUINTET_SERVING_URL": f"file://{self.folder}/bucket",
            "QUINTET_POSTGRES_URL": self.postgres.url,
            "QUINTET_OBJECT_STORE_URL": self.objects.url,
            "QUINTET_STREAM_PORT": "0",
            "QUINTET_ALERT_WEBHOOK_URL": self.webhook.url,
        }
        if name in STREAMS:
            environment.pop("QUINTET_PORT")
        self.tasks[name] = Task(arguments, environment, folder / "home", folder / "log", self._cache)
        folder.mkdir()

    def _start_nginx(self) -> None:
        folder = self.folder / "nginx"
        folder.mkdir(exist_ok=True)
        servers = "\n".join(f"server 127.0.0.1:{port} fail_timeout=1s;" for port in self.ports.values())
        paths = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in _TEMPORARY)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            _NGINX.format(user=user, folder=folder, servers=servers, paths=paths, port=self._port, log=self.access)
        )
        program = require_program("nginx")
        with (folder / "log").open("ab") as log:
            self._nginx = subprocess.Popen([program, "-c", f"{folder}/nginx.conf"], stderr=log)
        wait_until(lambda: answers(self.url), lambda: (folder / "log").read_text("utf-8"))

    def await_service(self, name: str) -> None:
        task = self.tasks[name]

        def is_up() -> bool:
            assert task.is_running, f"{name} has ended: {task.last_log()}"
            return answers(f"http://127.0.0.1:{self.ports[name]}")

        wait_until(is_up, task.last_log)

    def await_all(self) -> None:
        """Wait until every service answers; fail if a process has ended by itself."""
        for name in SERVICES:
            self.await_service(name)
        for name in STREAMS:
            assert self.tasks[name].is_running, f"{name} has ended: {self.tasks[name].last_log()}"

    def kill(self, victim: str, is_wiped: bool) -> None:
        """Kill a process and start it again, with an empty disk if it is wiped."""
        if victim == "postgres":
            self.postgres.kill()
            self.postgres.start()
        elif victim == "objects":
            self.objects.kill()
            self.objects.start()
        elif victim == "nginx":
            assert self._nginx is not None
            self._nginx.kill()
            self._nginx.wait()
            self._start_nginx()
        else:
            self.tasks[victim].kill(is_wiped)
            self.tasks[victim].start()

    # -- clients -------------------------------------------------------------------------------------------------------

    def start_clients(self) -> None:
        """Start a CRM, a shop that sends sign-ups, and a payment system that sends minutes."""
        plan = Plan(
            self.rates.applications, None, self.seed, dt.datetime.now(dt.UTC).date(), patience_seconds=_PATIENCE_SECONDS
        )
        self.crm = Crm(self.postgres.url, self.url, ADMIN_KEY, plan)
        numbers, began = itertools.count(), time.monotonic()
        works = [self.crm.run, self._send_minutes, *[lambda: self._send_sign_ups(numbers, began)] * _CLIENTS]
        self._threads = [threading.Thread(target=work) for work in works]
        for thread in self._threads:
            thread.start()

    def end_clients(self) -> None:
        """Stop what is new, and wait until everything that was sent is answered."""
        self._stopping.set()
        self.crm.stop.set()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
            assert not thread.is_alive(), "a client still waits for an answer"

    def _send_sign_ups(self, numbers: Iterator[int], began: float) -> None:
        with self._client() as client:
            while not self._stopping.is_set():
                with self._lock:
                    number = next(numbers)
                if self._stopping.wait(max(began + number / self.rates.sign_ups - time.monotonic(), 0.0)):
                    return
                user = f"new-{number}"
                sign_up = {"user_id": user, "email": f"{user}@example.com", "device_id": f"device {number // 3}"}
                for _ in range(2 if number % _SENT_TWICE == 0 else 1):
                    answer = self._until_answered(client, "/v1/promotions/abuse-score", sign_up).json()
                    with self._lock:
                        self.sent.sign_ups.setdefault(user, set()).add((answer["score"], answer["decision"]))

    def _send_minutes(self) -> None:
        first = int(dt.datetime.now(dt.UTC).timestamp()) // 60 - 200 * 1_440
        source, began = minutes(first, self.seed), time.monotonic()
        with self._client() as client:
            for number in itertools.count():
                due = began + number * _MINUTES_A_REQUEST * _STATUSES / self.rates.counts
                if self._stopping.wait(max(due - time.monotonic(), 0.0)):
                    return
                together = [next(source) for _ in range(_MINUTES_A_REQUEST)]
                body = [as_json(item) for items in together for item in items]
                answer = self._until_answered(client, "/v1/payments/transactions", body).json()
                assert all(item["is_accepted"] for item in answer["items"])
                self.sent.minutes += together

    def _until_answered(self, client: httpx.Client, path: str, body: Any) -> httpx.Response:
        while True:
            with suppress(httpx.TransportError):
                answer = client.post(path, json=body)
                if answer.is_success:
                    return answer
                assert answer.status_code in (408, 429, 500, 502, 503, 504), answer.text
            time.sleep(0.05)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=ADMIN, timeout=LONG_SECONDS)

    # -- what has come of it -------------------------------------------------------------------------------------------

    def applications(self) -> set[int]:
        return {application for application in self.rows("loan") if application > self.first_application}

    def decided(self) -> list[int]:
        with closing(DecisionLog(StatePlace(self.folder / "reader", self.state_url))) as log:
            return list(log.applications())

    def judged(self) -> list[str]:
        """Return the user of each judgement in the log."""
        with closing(self.state()) as store:
            return [row["user_id"] for row in store.read().execute("select user_id from abuse_judgements").fetchall()]

    def answered(self) -> list[Answered]:
        """Return each answer, from the proxy's log."""
        lines = [line.split(" ", 2) for line in self.access.read_text("utf-8").splitlines()]
        return [Answered(float(seconds), int(status), about) for seconds, status, about in lines]


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz").is_success
    return False


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_NGINX = """{user}
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    log_format times '$request_time $status $request_uri $upstream_addr $upstream_response_time';
    access_log {log} times;
    {paths}
    upstream services {{
        {servers}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_connect_timeout 1s;
        location / {{
            proxy_pass http://services;
        }}
    }}
}}
"""
