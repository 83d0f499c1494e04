"""Lending's tables in the warehouse: typed, complete, and empty before the first stream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import obstore
import pandas as pd
import pytest
from obstore.store import MemoryStore

from quintet.change_log.change import Change, Position
from quintet.change_log.completeness import Incomplete, write_incomplete
from quintet.change_log.lake import compact
from quintet.change_log.log import Epoch, Stretch, write_epoch, write_stretch
from quintet.lending.feature_registry import features
from quintet.lending.headline import headline
from quintet.lending.tables import (
    OtherFeaturesError,
    catch_up_with_log,
    client_features,
    is_behind,
    training_rows,
    write_client_features,
    write_training_set,
)
from quintet.lending.training import OUTCOME_COLUMNS
from tests.unit.lending.events import change

_AS_OF = date(2020, 8, 23)
_EPOCH = Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")
_LOAN = {
    "client_id": 7, "amount": 100.0, "created_on": "2020-08-01", "status": "paid", "updated_on": "2020-08-20",
}  # fmt: skip


@pytest.fixture
def log() -> MemoryStore:
    store = MemoryStore()
    changes = [
        change(1, "user", 7, {"created_on": "2020-01-01", "birth_date": None}),
        change(2, "user", 9, {"created_on": "2020-01-01", "birth_date": None}),
        change(3, "loan", 1, _LOAN)._replace(operation="insert"),
        change(4, "loan", 2, {**_LOAN, "client_id": 8})._replace(operation="insert"),
    ]
    write_stretch(store, Stretch("E", Position(0), Position(5)), changes)
    write_epoch(store, _EPOCH)
    return store


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("create schema ml; create schema marts")
        yield connection


def _client_features(folder: Path, log: MemoryStore) -> pd.DataFrame:
    catch_up_with_log(folder, log, _EPOCH, features())
    return client_features(folder, features(), _AS_OF)


def test_exactly_the_clients_of_the_crm_have_a_row(log: MemoryStore, tmp_path: Path) -> None:
    rows = _client_features(tmp_path, log)
    assert rows["client_id"].tolist() == [7, 9]
    assert rows["paid_loans_count"].tolist() == [1, 0]


def test_a_second_run_applies_only_new_changes(log: MemoryStore, tmp_path: Path) -> None:
    _client_features(tmp_path, log)
    more = [change(6, "loan", 3, _LOAN)]
    write_stretch(log, Stretch("E", Position(5), Position(7)), more)
    rows = _client_features(tmp_path, log)
    assert rows["paid_loans_count"].tolist() == [2, 0]


def test_a_second_run_does_not_read_settled_parts_of_the_log(log: MemoryStore, tmp_path: Path) -> None:
    assert is_behind(tmp_path, log, _EPOCH, features())
    assert catch_up_with_log(tmp_path, log, _EPOCH, features()) == {"2020-08-23": 2}
    assert not is_behind(tmp_path, log, _EPOCH, features())
    before = training_rows(tmp_path, features())
    obstore.put(log, Stretch("E", Position(0), Position(5)).key, b"who reads this fails")
    later = change(6, "loan", 3, _LOAN)._replace(operation="insert", committed_at="2020-08-24T00:00:00.000000Z")
    paid = change(7, "loan", 1, {**_LOAN, "status": "overdue"})
    write_stretch(log, Stretch("E", Position(5), Position(8)), [later, paid])
    assert is_behind(tmp_path, log, _EPOCH, features())
    assert catch_up_with_log(tmp_path, log, _EPOCH, features()) == {"2020-08-24": 1}
    after = training_rows(tmp_path, features())
    assert after["seen_on"].tolist() == ["2020-08-23", "2020-08-23", "2020-08-24"]
    assert after["outcome"].tolist() == ["overdue", "repaid", "repaid"]
    settled = [name for name in before.columns if name not in OUTCOME_COLUMNS]
    pd.testing.assert_frame_equal(after.loc[:1, settled], before[settled])


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_snapshot_that_ends_with_an_empty_object_is_settled(tmp_path: Path, is_compacted: bool) -> None:
    """The last object of a snapshot has no rows; its applications were never settled once it was compacted."""
    store, epoch = MemoryStore(), Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")
    rows = [
        change(0, "user", 7, {"created_on": "2020-01-01", "birth_date": None}),
        change(0, "loan", 1, _LOAN, sequence=1),
    ]
    snapshot = [one._replace(operation="snapshot") for one in rows]
    write_stretch(store, Stretch("E", Position(0), Position(0, 2)), snapshot)
    write_stretch(store, Stretch("E", Position(0, 2), Position(1)), [])
    write_epoch(store, epoch)
    if is_compacted:
        compact(store, epoch)
    assert catch_up_with_log(tmp_path, store, epoch, features()) == {"2020-08-23": 1}
    assert training_rows(tmp_path, features())["outcome"].tolist() == ["repaid"]
    assert not is_behind(tmp_path, store, epoch, features())


def test_a_new_feature_reads_the_log_from_its_start_and_needs_it(log: MemoryStore, tmp_path: Path) -> None:
    catch_up_with_log(tmp_path, log, _EPOCH, features()[1:])
    with pytest.raises(OtherFeaturesError, match="lending_applications"):
        training_rows(tmp_path, features())
    assert is_behind(tmp_path, log, _EPOCH, features())
    assert catch_up_with_log(tmp_path, log, _EPOCH, features()) == {"2020-08-23": 2}
    assert features()[0].name in training_rows(tmp_path, features()).columns


def test_runs_in_pieces_settle_what_one_run_settles(log: MemoryStore, tmp_path: Path) -> None:
    for lsn in range(5, 40):
        loan = {**_LOAN, "client_id": 7 + lsn % 2, "status": "active" if lsn % 3 else "paid"}
        row = change(lsn, "loan", lsn - lsn % 2, loan)._replace(operation="insert" if lsn % 2 == 0 else "update")
        write_stretch(log, Stretch("E", Position(lsn), Position(lsn + 1)), [row])
        if lsn % 7 == 0:
            catch_up_with_log(tmp_path / "pieces", log, _EPOCH, features())
    for folder in ("pieces", "whole"):
        catch_up_with_log(tmp_path / folder, log, _EPOCH, features())
    pieces, whole = (training_rows(tmp_path / folder, features()) for folder in ("pieces", "whole"))
    assert len(whole) > 15
    pd.testing.assert_frame_equal(pieces, whole)


def test_nulls_and_types_survive_into_the_warehouse(
    log: MemoryStore, tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    write_client_features(warehouse, _client_features(tmp_path, log), features())
    row = warehouse.execute(
        "select as_of, profit_in_last_90_days_rate, days_since_last_late_payment, typeof(paid_loans_count) "
        "from ml.client_features where client_id = 7"
    ).fetchall()
    assert row == [(_AS_OF, 0.0, None, "DOUBLE")]
    write_training_set(warehouse, training_rows(tmp_path, features()), features())
    found = warehouse.execute("select application_id, as_of, seen_by, outcome from ml.lending_training_set").fetchall()
    assert sorted(found) == [(1, date(2020, 8, 1), "stream", "repaid"), (2, date(2020, 8, 1), "stream", "repaid")]


def test_without_a_log_the_tables_are_empty_and_the_summary_says_so(
    tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    assert "loan_book" in headline(warehouse)
    write_client_features(warehouse, client_features(tmp_path, features(), _AS_OF), features())
    write_training_set(warehouse, training_rows(tmp_path, features()), features())
    assert warehouse.execute("select count(*) from ml.lending_training_set").fetchall() == [(0,)]
    warehouse.execute("create view marts.fct_client_features as from ml.client_features")
    assert headline(warehouse).startswith("no data")


def test_the_summary_counts_clients_with_paid_loans(
    log: MemoryStore, tmp_path: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    write_client_features(warehouse, _client_features(tmp_path, log), features())
    warehouse.execute("create view marts.fct_client_features as from ml.client_features")
    expected = "2 clients as of 2020-08-23: 1 with a paid loan (1 loan in all), 0 were ever late; open applications: "
    assert headline(warehouse) == expected + "none"
    warehouse.execute("create table marts.fct_application_decisions as select unnest(['refer', 'refer']) as decision")
    assert headline(warehouse) == expected + "2 refer"
    warehouse.execute(
        "create table ml.lending_model_training as select null as model_version, 'no loan has ended yet' as why"
    )
    assert headline(warehouse).endswith("(no scoring model: no loan has ended yet)")


def _applied(lsn: int, loan: int, client: int = 7) -> Change:
    row = {**_LOAN, "client_id": client, "status": "application"}
    return change(lsn, "loan", loan, row)._replace(operation="insert")


def test_applications_while_a_row_of_the_client_is_quarantined_are_left_out(log: MemoryStore, tmp_path: Path) -> None:
    poison = change(6, "loan", 1, {**_LOAN, "created_on": "infinity"})
    corrected = change(8, "loan", 1, _LOAN)
    changes = [_applied(5, 10), poison, _applied(7, 11), _applied(7, 12, client=9)._replace(sequence=1), corrected]
    write_stretch(log, Stretch("E", Position(5), Position(10)), [*changes, _applied(9, 13)])
    catch_up_with_log(tmp_path, log, _EPOCH, features())
    assert training_rows(tmp_path, features())["application_id"].tolist() == [1, 2, 10, 12, 13]
    assert client_features(tmp_path, features(), _AS_OF)["client_id"].tolist() == [7, 9]


def test_a_client_with_a_quarantined_row_is_not_exported(log: MemoryStore, tmp_path: Path) -> None:
    poison = change(6, "loan", 1, {**_LOAN, "created_on": "infinity"})
    write_stretch(log, Stretch("E", Position(5), Position(7)), [poison])
    catch_up_with_log(tmp_path, log, _EPOCH, features())
    assert client_features(tmp_path, features(), _AS_OF)["client_id"].tolist() == [9]


@pytest.mark.parametrize(("table", "applications"), [("loan", [1]), ("payment", [1]), ("other", [1, 2])])
def test_applications_after_a_table_became_incomplete_are_left_out(
    log: MemoryStore, tmp_path: Path, table: str, applications: list[int]
) -> None:
    found = Incomplete(f"public.{table}", Position(4), "2020-08-10T10:00:00.000000Z", "it was renamed")
    write_incomplete(log, "E", found)
    catch_up_with_log(tmp_path, log, _EPOCH, features())
    assert training_rows(tmp_path, features())["application_id"].tolist() == applications
    (as_of,) = set(client_features(tmp_path, features(), _AS_OF)["as_of"])
    assert as_of == ("2020-08-23" if table == "other" else "2020-08-09")
