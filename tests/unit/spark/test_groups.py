"""A step runs once for each group on a real Spark Connect server, exactly, and a fault says what to do."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from quintet.settings import load_settings
from quintet.spark.faults import SparkError
from quintet.spark.groups import Cluster, arrived, cluster_of
from quintet.spark.steps import ANSWERED

GIVEN = pa.schema([("key", pa.int32()), ("amount", pa.int64()), ("name", pa.string())])
BEYOND_FLOATS = 2**53 + 1
ROWS = [(1, BEYOND_FLOATS, "a"), (1, None, None), (2, 3, "é"), (None, 4, "")]


@pytest.fixture
def cluster(spark_remote: str, tmp_path: Path) -> Cluster:
    return Cluster(spark_remote, tmp_path / "exchange")


def table(rows: list[tuple[object, ...]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(GIVEN.names, row, strict=True)) for row in rows], GIVEN)


def same(group: pa.Table) -> pa.Table:
    """The rows with their group's number of rows in place of the name."""
    number = pa.array([str(group.num_rows)] * group.num_rows)
    return group.set_column(2, "name", number)


def failing(group: pa.Table) -> pa.Table:
    raise ValueError(f"a group of {group.num_rows}")


def found(cluster: Cluster, tables: list[pa.Table], step=same) -> list[tuple[object, ...]]:
    with cluster.by_group(tables, "key", step, GIVEN, "quintet.spark.steps") as results:
        rows = results.to_table(columns=GIVEN.names).to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=str)


def test_each_group_comes_whole_and_integers_beside_nulls_stay_exact(cluster: Cluster) -> None:
    parts = [table(ROWS[:1]), table([]), table(ROWS[1:])]

    assert found(cluster, parts) == sorted(
        [(1, BEYOND_FLOATS, "2"), (1, None, "2"), (2, 3, "1"), (None, 4, "1")], key=str
    )
    assert list(cluster.folder.iterdir()) == []


def test_no_rows_give_no_results_and_ask_no_server(tmp_path: Path) -> None:
    assert found(Cluster("sc://127.0.0.1:1", tmp_path), [table([])]) == []


def test_a_fault_of_the_step_is_named_and_nothing_stays_behind(cluster: Cluster) -> None:
    with pytest.raises(SparkError, match=r"could not run the step: .*a group of"):
        found(cluster, [table(ROWS)], failing)
    assert list(cluster.folder.iterdir()) == []
    assert found(cluster, [table(ROWS[:1])]) == [(1, BEYOND_FLOATS, "1")]


@pytest.mark.parametrize("answers", [[], ["1"], ["1", "1"], ["1", "2", "2"]])
def test_results_of_which_a_worker_kept_some_or_sent_some_twice_are_refused(answers: list[str]) -> None:
    rows = [{"key": 1, "amount": 5, "name": "a", "answered": None}, *({"answered": key} for key in answers)]
    results = ds.dataset(pa.Table.from_pylist(rows, GIVEN.append(ANSWERED)))

    with pytest.raises(SparkError, match=r"2 groups were sent.*Share QUINTET_SPARK_FOLDER with all workers"):
        arrived(results, 2)


def test_results_of_all_groups_come_without_their_receipts() -> None:
    rows = [{"key": 1, "amount": 5, "name": "a"}, {"answered": "1"}, {"answered": "2"}]
    results = arrived(ds.dataset(pa.Table.from_pylist(rows, GIVEN.append(ANSWERED))), 2)

    assert results.to_table(columns=GIVEN.names).to_pylist() == [{"key": 1, "amount": 5, "name": "a"}]
    assert results.count_rows(filter=ds.field("key") == 1) == 1


def test_the_cluster_of_the_settings_must_be_named_and_answer(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match="QUINTET_SPARK_REMOTE, such as sc://host:15002"):
        cluster_of(load_settings({"QUINTET_HOME": str(tmp_path)}))
    given = {"QUINTET_HOME": str(tmp_path), "QUINTET_SPARK_REMOTE": "sc://127.0.0.1:1/;token=secret"}
    with pytest.raises(SparkError, match=r"no Spark Connect server answers at 127\.0\.0\.1:1") as raised:
        cluster_of(load_settings(given))
    assert "secret" not in str(raised.value)


def test_the_folder_is_in_the_home_or_where_the_setting_says(cluster: Cluster, tmp_path: Path) -> None:
    given = {"QUINTET_HOME": str(tmp_path), "QUINTET_SPARK_REMOTE": cluster.remote}
    assert cluster_of(load_settings(given)).folder == tmp_path / "spark"
    given |= {"QUINTET_SPARK_FOLDER": str(tmp_path / "shared")}
    assert cluster_of(load_settings(given)).folder == tmp_path / "shared"
