"""Report how far the run is that this process executes, and how its assets ended, whoever started it."""

import datetime as dt
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, EventLogEntry

from quintet.builds import Reporter
from quintet.pipeline import add_builds, lineage

_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)


class RunProgress:
    """Writes the progress of runs to the folder QUINTET_HOME, where pages read it; nothing without one."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def take(self, event: EventLogEntry, planned: Callable[[], int]) -> None:
        """Report an event of a run that began in this process. planned: returns how many assets the run will build."""
        home, own = os.environ.get("QUINTET_HOME"), event.dagster_event
        if own is None or not home:
            return
        if own.event_type is DagsterEventType.RUN_START:
            self._runs[event.run_id] = _Run(Path(home), event.run_id, planned())
        run = self._runs.get(event.run_id)
        if run is None:
            return
        run.take(event)
        if own.event_type in _ENDS:
            self._runs.pop(event.run_id).close()


class _Run:
    """A run that is executed: its progress, and how its assets have ended so far."""

    def __init__(self, home: Path, run_id: str, total: int) -> None:
        self._home, self._run_id = home, run_id
        self._reporter = Reporter(home, total, lambda: dt.datetime.now(dt.UTC))
        self._ended: defaultdict[str, dict[str, Any]] = defaultdict(dict)

    def take(self, event: EventLogEntry) -> None:
        """Take an event of the run."""
        own: Any = event.dagster_event
        moment = dt.datetime.fromtimestamp(event.timestamp, dt.UTC).isoformat(timespec="seconds")
        match own.event_type:
            case DagsterEventType.STEP_START:
                self._reporter.begin(str(own.step_key).replace("__", " ").replace("_", " "))
            case DagsterEventType.ASSET_MATERIALIZATION:
                self._reporter.end()
                built = {"built_at": moment, "run_id": self._run_id}
                rows = own.step_materialization_data.materialization.metadata.get("dagster/row_count")
                self._ended[own.asset_key.to_user_string()] |= built | ({"rows": rows.value} if rows else {})
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                check = own.asset_check_evaluation_data
                checks = self._ended[check.asset_key.to_user_string()].setdefault("checks", {})
                checks[check.check_name] = bool(check.passed)
            case DagsterEventType.STEP_FAILURE:
                error = own.step_failure_data.error
                failure = {"failed_at": moment, "failure": (error.cause or error).message.strip() if error else ""}
                for key in [asset.key for asset in lineage().values() if asset.step == own.step_key]:
                    if "built_at" not in self._ended[key]:
                        self._ended[key] |= failure | {"run_id": self._run_id}

    def close(self) -> None:
        """Report that the run has ended, and how its assets did."""
        self._reporter.close()
        add_builds(self._home, self._ended)
