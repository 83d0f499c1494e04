"""Metrics of the state of a home, read when they are scraped: snapshot, domains, outbox and backups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import duckdb
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from quintet.state.outbox import oldest_waiting
from quintet.state.store import StateStore
from quintet.warehouse.domain_states import domain_states
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.snapshots import Snapshots


class OperationMetrics(Collector):
    """Collects the metrics. A metric without a value, such as the age of a backup before the first, is left out."""

    def __init__(self, store: StateStore, snapshots: Snapshots, clock: Callable[[], dt.datetime]) -> None:
        self._store, self._snapshots, self._clock = store, snapshots, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        now = self._clock()
        ages = GaugeMetricFamily("quintet_snapshot_age_seconds", "Seconds since the current snapshot was published.")
        behind = GaugeMetricFamily(
            "quintet_domain_is_behind", "1 if the last build of a domain failed or lost rows.", labels=["domain"]
        )
        try:
            with self._snapshots.read() as snapshot:
                ages.add_metric([], (now.replace(tzinfo=None) - snapshot.published_at).total_seconds())
                for name, state in domain_states(snapshot.cursor).items():
                    behind.add_metric([name], float(state.has_failed))
        except (NoSnapshotError, duckdb.Error):
            pass  # without a snapshot `quintet_snapshot_age_seconds` is absent, which has an alert of its own
        yield from (ages, behind)
        waiting = oldest_waiting(self._store)
        yield GaugeMetricFamily(
            "quintet_outbox_oldest_seconds",
            "Seconds since the oldest message that is not sent was made; 0 if there is none.",
            value=0.0 if waiting is None else max((now - waiting).total_seconds(), 0.0),
        )
        backup = GaugeMetricFamily("quintet_backup_age_seconds", "Seconds since the last `quintet backup`.")
        (made,) = self._store.read().execute("select max(recorded_at) from audit where action = 'backup'").fetchone()
        if made is not None:
            backup.add_metric([], (now - dt.datetime.fromisoformat(made)).total_seconds())
        yield backup
