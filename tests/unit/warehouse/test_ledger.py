"""The marks that say how far a batch and the build have come."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from quintet.online.loan_decisions import DecisionLog
from quintet.warehouse.ledger import (
    build_fingerprint,
    last_judgement,
    last_loan_decision,
    loaded_batches,
    mark_modelled,
    set_build_fingerprint,
    take_in_judgements,
    take_in_labels,
    take_in_loan_decisions,
    take_in_report_runs,
)
from tests.lending.models import RECORD
from tests.waiting import LONG_SECONDS

AT = dt.datetime(2024, 6, 2)


@pytest.fixture
def loaded(shop: Any, header: str) -> duckdb.DuckDBPyConnection:
    for number in (1, 2):
        shop.put(f"{number}.csv", header + f"{number},2024-05-01,1,1,x\n")
    shop.put("3.csv", "unreadable\n")
    shop.load()
    return shop.connection


def modelled(connection: duckdb.DuckDBPyConnection) -> dict[str, dt.datetime | None]:
    return dict(connection.execute("select file, modelled_at from ops.batches").fetchall())


def test_rejected_batches_are_not_among_the_loaded(loaded: duckdb.DuckDBPyConnection):
    batches = loaded_batches(loaded)

    assert len(batches) == 2
    assert batches == sorted(batches)
    assert {dataset for dataset, _ in batches} == {"orders"}


def test_only_the_batches_that_were_taken_in_are_marked(loaded: duckdb.DuckDBPyConnection):
    ((first,),) = loaded.execute("select batch_id from ops.batches where file = '1.csv'").fetchall()

    mark_modelled(loaded, [("orders", first), ("others", first)], AT)

    assert modelled(loaded) == {"1.csv": AT, "2.csv": None, "3.csv": None}


def test_a_mark_is_set_once(loaded: duckdb.DuckDBPyConnection):
    mark_modelled(loaded, loaded_batches(loaded), AT)
    mark_modelled(loaded, loaded_batches(loaded), AT + dt.timedelta(days=1))

    assert modelled(loaded) == {"1.csv": AT, "2.csv": AT, "3.csv": None}


def test_marking_nothing_changes_nothing(loaded: duckdb.DuckDBPyConnection):
    mark_modelled(loaded, [], AT)

    assert set(modelled(loaded).values()) == {None}


def test_the_last_fingerprint_of_a_build_is_kept(warehouse: duckdb.DuckDBPyConnection):
    assert build_fingerprint(warehouse) is None

    for fingerprint in ("one", "two"):
        set_build_fingerprint(warehouse, fingerprint)

    assert build_fingerprint(warehouse) == "two"


def test_runs_of_reports_are_taken_in_once(warehouse: duckdb.DuckDBPyConnection):
    runs = pd.DataFrame(
        {
            "run_id": [1, 2],
            "report": "premium",
            "written_at": "2026-01-01T01:00:00+01:00",
            "written_by": "Ana",
            "parameters": "{}",
            "format": "csv",
            "rows": 83,
            "total_written_premium": "168988558.48",
            "snapshot": "run",
        }
    )

    assert take_in_report_runs(warehouse, runs.head(1)) == 1
    assert take_in_report_runs(warehouse, runs) == 2
    assert take_in_report_runs(warehouse, runs.head(0)) == 2
    assert warehouse.execute("select distinct written_at, total_written_premium from ops.report_runs").fetchall() == [
        (dt.datetime(2026, 1, 1), Decimal("168988558.48"))
    ]


def test_judgements_and_labels_are_taken_in_once_with_their_types(loaded: duckdb.DuckDBPyConnection):
    judged = {
        "judgement_id": 3,
        "user_id": "u",
        "judged_at": "2026-01-01T10:00:00+02:00",
        "judged_by": "app",
        "sign_up": "{}",
        "usages": "[]",
        "score": 0.5,
        "decision": "review",
        "reasons": '["A_2", "B"]',
        "cluster_id": None,
        "cluster_size": 1,
        "model_version": "m",
    }
    label = {"label_id": 1, "user_id": "u", "is_abuser": 0, "labelled_at": "2026-01-01T10:00:00+00:00"}
    labels = pd.DataFrame([label | {"labelled_by": "Ana", "note": None}])

    assert last_judgement(loaded) == 0
    assert [take_in_judgements(loaded, pd.DataFrame([judged])) for _ in range(2)] == [1, 1]
    assert [take_in_labels(loaded, labels) for _ in range(2)] == [1, 1]
    assert last_judgement(loaded) == 3
    assert loaded.execute("select judged_at, reasons from ops.abuse_judgements").fetchall() == [
        (dt.datetime(2026, 1, 1, 8), ["A_2", "B"])
    ]
    assert loaded.execute("select is_abuser from ops.abuse_labels").fetchall() == [(False,)]


def test_loan_decisions_are_taken_in_once_as_the_log_has_them(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    log = DecisionLog(tmp_path)
    log.start()
    for number in range(3):
        reasons = '["OVERDUE_LOAN"]' if number else "[]"
        log.record(replace(RECORD, application_id=number, decision_id=f"d{number}", reasons=reasons)).result(
            LONG_SECONDS
        )
    assert take_in_loan_decisions(warehouse, log.after(last_loan_decision(warehouse)).head(2)) == 2
    assert take_in_loan_decisions(warehouse, log.after(0)) == 3
    assert last_loan_decision(warehouse) == 3
    assert take_in_loan_decisions(warehouse, log.after(3)) == 3
    log.close()
    rows = warehouse.execute("select application_id, reasons, decided_at from ops.loan_decisions order by 1").fetchall()
    at = dt.datetime(2026, 11, 21, 12)
    assert rows == [(0, [], at), (1, ["OVERDUE_LOAN"], at), (2, ["OVERDUE_LOAN"], at)]
