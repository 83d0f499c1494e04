"""Prometheus metrics of the stream."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

EVENTS = Counter("quintet_stream_events", "Changes received, repeats included", ["table"], registry=REGISTRY)
BATCHES = Counter("quintet_stream_batches", "Objects acknowledged by the object store", registry=REGISTRY)
BATCH_BYTES = Counter("quintet_stream_batch_bytes", "Bytes of those objects", registry=REGISTRY)
RETRIES = Counter("quintet_stream_retries", "Writes that the object store refused", registry=REGISTRY)
RECONNECTS = Counter("quintet_stream_reconnects", "Reconnections to PostgreSQL", registry=REGISTRY)
WAITING = Gauge("quintet_stream_waiting_events", "Changes that wait for the object store", registry=REGISTRY)
SHEDDING = Gauge("quintet_stream_shedding", "1 while changes are left in PostgreSQL's log", registry=REGISTRY)
LAG_BYTES = Gauge("quintet_stream_lag_bytes", "Bytes of log sent but not acknowledged", registry=REGISTRY)
LAG_SECONDS = Gauge("quintet_stream_lag_seconds", "Age of the last applied commit when applied", registry=REGISTRY)
RETAINED = Gauge("quintet_stream_retained_bytes", "Bytes of log that PostgreSQL keeps for the slot", registry=REGISTRY)
QUARANTINED_ROWS = Counter(
    "quintet_stream_quarantined_rows", "Rows that cannot be read, repeats included", ["table"], registry=REGISTRY
)
QUARANTINED = Gauge("quintet_stream_quarantined", "1 if a table is quarantined", ["table"], registry=REGISTRY)
APPLY_SECONDS = Histogram(
    "quintet_stream_apply_seconds",
    "Commit to features, by the clocks of database and stream",
    registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
