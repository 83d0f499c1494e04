"""Run Dagster's daemon, which evaluates a sensor at once when its inbox changes: `python -m cli.dagster_daemon FILE`.

FILE is the workspace; `cli.dagster_dev` starts it. By itself, Dagster looks every five seconds for sensors whose
interval has passed. Evaluating them more often would cost a tenth of a core; looking at the times of the folders costs
nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dagster._core.remote_representation.external import RemoteSensor
from dagster._core.scheduler.instigation import InstigatorState
from dagster._daemon import sensor as sensor_loop
from dagster._daemon.cli import cli

from quintet.settings import load_settings
from resources.inboxes import INBOX_TAG

_LOOP_SECONDS = 0.5


class ChangedInboxes:
    """Reports the inboxes whose folder has changed after some time, by the time of the folder.

    A file that arrives, is renamed or removed changes it. One that grows does not: it waits for the sensor's interval.
    """

    def __init__(self, raw: Path, clock: Callable[[], float]) -> None:
        self._raw, self._clock = raw, clock
        self._seen: dict[str, tuple[int, float]] = {}

    def has_changed_since(self, inbox: str, moment: float) -> bool:
        """Return whether a change of the folder was noticed after `moment`, in seconds of the clock."""
        version = self._version(inbox)
        known, noticed_at = self._seen.get(inbox, (version, 0.0))
        if version != known:
            noticed_at = self._clock()
        self._seen[inbox] = version, noticed_at
        return noticed_at > moment

    def _version(self, inbox: str) -> int:
        try:
            return (self._raw / inbox).stat().st_mtime_ns
        except OSError:
            return 0


def is_waiting(
    has_to_wait: Callable[..., bool],
    inboxes: ChangedInboxes,
    clock: Callable[[], float],
    state: InstigatorState,
    sensor: RemoteSensor,
    *rest: int | None,
) -> bool:
    """Return whether a sensor waits for its interval: as Dagster says, unless its inbox has changed since its tick.

    has_to_wait: Dagster's own function, with the arguments from `state` on.
    """
    if not has_to_wait(state, sensor, *rest):
        return False
    inbox, elapsed = sensor.tags.get(INBOX_TAG), sensor_loop.get_elapsed(state)
    return inbox is None or elapsed is None or not inboxes.has_changed_since(inbox, clock() - elapsed)


def main(workspace: str) -> None:
    """Run until interrupted."""
    inboxes = ChangedInboxes(load_settings().raw, time.time)
    sensor_loop.is_under_min_interval = partial(is_waiting, sensor_loop.is_under_min_interval, inboxes, time.time)
    sensor_loop.MIN_INTERVAL_LOOP_TIME = _LOOP_SECONDS  # type: ignore[assignment]  # it is added to seconds
    cli(["run", "--workspace", workspace], obj={})


if __name__ == "__main__":
    main(sys.argv[1])
