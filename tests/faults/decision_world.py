"""The stream's world with lending's decisions: a database, a stream, a decision service and a CRM that calls it."""

from __future__ import annotations

import datetime as dt
import os
import threading
from pathlib import Path

import httpx

from quintet.embedded.processes import free_port
from quintet.lending.decision_log import DecisionLog
from quintet.lending.scoring import ScoringModel
from quintet.lending.served import FOLDER
from quintet.ml.model_registry import ModelRegistry
from quintet.samples.crm import Crm, Plan
from quintet.samples.crm_tally import Tally
from tests.command import Python
from tests.faults.stream_world import World
from tests.unit.lending.models import boosted, scorecard
from tests.waiting import wait_until
from tests.web.service import ADMIN_KEY

_PATIENCE_SECONDS = 1_800.0  # time to process the backlog after many kills


class DecisionWorld(World):
    """The stream's world, with the service in its own process and the CRM in a thread."""

    def __init__(self, folder: Path, clients: int, seed: int) -> None:
        super().__init__(folder, clients, seed)
        self.port = free_port()
        self.served = folder / "service.log"
        self._service: Python | None = None
        self._crm: Crm | None = None
        self._simulation: threading.Thread | None = None

    def __exit__(self, *details: object) -> None:
        if self._crm is not None:
            self._crm.stop.set()
        self.stop_service()
        super().__exit__(*details)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def keep_models(self, model: ScoringModel | None = None, challenger: ScoringModel | None = None) -> None:
        """Activate a model, and a challenger beside it."""
        registry = ModelRegistry(self.home / "models" / FOLDER)
        now = dt.datetime(2020, 8, 24, tzinfo=dt.UTC)
        for kept in (challenger or scorecard(), model or boosted()):
            registry.register(kept.version, kept.to_json(), now, "a test", {})
        registry.challenge((challenger or scorecard()).version)

    def start_service(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("QUINTET_")}
        environment |= {
            "QUINTET_HOME": str(self.home),
            "QUINTET_PORT": str(self.port),
            "QUINTET_ADMIN_KEY": ADMIN_KEY,
            "QUINTET_REQUESTS_PER_MINUTE": "1000000",
        }
        self._service = Python(["-m", "quintet.web"], environment, output=self.served)

    def await_service(self) -> None:
        wait_until(self._answers, lambda: self.served.read_text()[-3000:])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").is_success
        except httpx.TransportError:
            return False

    def kill_service(self) -> None:
        assert self._service is not None
        self._service.kill()
        self._service.wait()

    def stop_service(self) -> None:
        if self._service is not None:
            self._service.terminate()
            self._service.wait()

    @property
    def service_pid(self) -> int:
        assert self._service is not None
        return self._service.pid

    @property
    def stream_pid(self) -> int:
        assert self._stream is not None
        return self._stream.pid

    def simulate(self, rate: float, seconds: float | None) -> None:
        """Start to commit applications and to request decisions."""
        plan = Plan(rate, seconds, self.seed, dt.datetime.now(dt.UTC).date(), patience_seconds=_PATIENCE_SECONDS)
        self._crm = Crm(self.postgres.url, self.url, ADMIN_KEY, plan)
        self._simulation = threading.Thread(target=self._crm.run)
        self._simulation.start()

    def end_simulation(self) -> Tally:
        """Stop the commits, wait for the answers, and return the results."""
        assert self._crm is not None
        assert self._simulation is not None
        self._crm.stop.set()
        self._simulation.join()
        return self._crm.tally

    def await_simulation(self) -> Tally:
        """Wait until the simulation ends, and return its results."""
        assert self._crm is not None
        assert self._simulation is not None
        self._simulation.join()
        return self._crm.tally

    def applications(self, after: int) -> set[int]:
        """Return the applications in the database, independent of the CRM's count."""
        return {application for application in self.rows("loan") if application > after}

    def decided(self) -> list[int]:
        """Return the application of every decision in the log."""
        log = DecisionLog(self.home / "online")
        try:
            return list(log.applications())
        finally:
            log.close()
