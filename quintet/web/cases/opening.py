"""A thread that opens cases while the service runs: from each new snapshot, and from what the service records."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable

import duckdb
import structlog

from quintet.cases.kind import CaseKind
from quintet.cases.opening import Opened, open_from_build, open_from_service
from quintet.settings import Settings
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.snapshots import Snapshots

_SECONDS = 2.0
_LOG = structlog.get_logger()


class CaseOpener:
    """Opens cases from `start` to `stop`. Two at once open each case once."""

    def __init__(
        self,
        store: StateStore,
        snapshots: Snapshots,
        settings: Settings,
        kinds: Iterable[CaseKind],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._store, self._snapshots, self._settings, self._clock = store, snapshots, settings, clock
        self._kinds = tuple(kinds)
        self._done: dict[tuple[str, str], str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="cases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current round."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def round(self) -> Opened:
        """Open and close what is due now. A kind whose sources cannot be read is tried again in the next round."""
        done = Opened()
        for kind in self._kinds:
            if self._stopped.is_set():
                break
            try:
                done += open_from_service(self._store, kind, self._settings, self._clock()) + self._of_build(kind)
            except Exception:  # of one kind: the others go on, and it is tried again
                _LOG.exception("cases could not be opened", domain=kind.domain, kind=kind.name)
        return done

    def _of_build(self, kind: CaseKind) -> Opened:
        try:
            with self._snapshots.read() as snapshot:
                if self._done.get(kind.key) == snapshot.snapshot_id:
                    return Opened()
                opened = open_from_build(self._store, kind, snapshot.cursor, self._settings, self._clock())
                self._done[kind.key] = snapshot.snapshot_id
        except (NoSnapshotError, duckdb.CatalogException):  # not built yet
            return Opened()
        _LOG.info("cases of a build", domain=kind.domain, kind=kind.name, **vars(opened))
        return opened

    def _run(self) -> None:
        while True:
            self.round()
            if self._stopped.wait(_SECONDS):
                self._store.release()
                return
