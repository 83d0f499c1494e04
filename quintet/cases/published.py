"""Which verdicts of the state store the current snapshot does not have yet."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import duckdb

from quintet.cases import store as case_store
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot


def count_new_verdicts(store: StateStore, serving: Path) -> dict[tuple[str, str], int]:
    """Return the number of new verdicts by kind of case; none if there is no such snapshot.

    Compares the verdicts themselves: a store that was restored uses their numbers again.
    """
    try:
        with open_snapshot(current_snapshot(serving)) as snapshot:
            rows = snapshot.execute("select case_id, decided_at from marts.ops_verdicts").fetchall()
    except (NoSnapshotError, duckdb.CatalogException):
        return {}
    known = {(case_id, at.replace(tzinfo=dt.UTC)) for case_id, at in rows}
    return dict(Counter(kind for kind, case_id, at in case_store.verdicts(store) if (case_id, at) not in known))
