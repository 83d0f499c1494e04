"""Run a pure function on each group of a table's rows on a Spark cluster, over Parquet files that both sides reach."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from quintet.settings import Settings
from quintet.spark.faults import SparkError, explained, need_answer
from quintet.spark.folders import step_folder
from quintet.spark.steps import ANSWERED, Step, sent

_TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "string",
}

_CONFIGURATION = {
    "spark.sql.session.timeZone": "UTC",
    # groups are small in bytes and long to compute: joined by their bytes, one worker would get them all
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
}
_USUAL_PARTITIONS, _PARTITIONS_BY_GROUP, _ROWS_OF_PARTITION = 200, 4, 20_000
"""Spark's own number of partitions; small steps get fewer, since each costs a task."""


class Groups(Protocol):
    """What runs a step on each group of rows: a `Cluster`, or this process in tests."""

    @property
    def folder(self) -> Path:
        """The folder for what does not fit in memory."""

    @property
    def group_rows(self) -> int:
        """About how many rows a group may have: what makes groups splits larger ones."""

    def by_group(
        self, tables: Iterable[pa.Table], key: str, step: Step, schema: pa.Schema, module: str
    ) -> Any:  # a context manager, see `Cluster`
        """Give the results of `step` for all groups of `key`."""


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster of the settings. Raises SparkError if none is named, or its server does not answer."""
    if settings.spark_remote is None:
        raise SparkError("the engine spark needs QUINTET_SPARK_REMOTE, such as sc://host:15002")
    cluster = Cluster(
        settings.spark_remote.get_secret_value(),
        settings.spark_folder or settings.home / "spark",
        settings.spark_group_rows,
    )
    need_answer(cluster.remote)
    return cluster


@dataclass(frozen=True)
class Cluster:
    """A Spark cluster. remote: the URL of its Spark Connect server. folder: files that it and this machine reach."""

    remote: str = field(repr=False)  # it may have a token
    folder: Path
    group_rows: int = 200_000

    @contextmanager
    def by_group(
        self, tables: Iterable[pa.Table], key: str, step: Step, schema: pa.Schema, module: str
    ) -> Iterator[ds.Dataset]:
        """Give the results of `step` for all groups of `key`, in no order, until the block ends.

        tables: parts of one table, written one by one, so that it needs no memory as a whole. schema: of the results.
        module: the `quintet` module whose code decides them; workers with another version refuse. Raises SparkError if
        the cluster cannot be reached or has not what the step needs.
        """
        with step_folder(self.folder, "groups") as exchange:
            given, results = exchange / "given", exchange / "results"
            count, rows = _write(tables, given, key)
            if count:
                with self._session(_partitions(count, rows)) as session, explained(self.remote, self.group_rows):
                    groups = session.read.parquet(str(given)).groupBy(key)
                    # through pandas, integers beside nulls would become floats
                    answers = groups.applyInArrow(sent(step, module, key), _ddl(schema.append(ANSWERED)))
                    answers.write.parquet(str(results))
            results.mkdir(exist_ok=True)
            yield arrived(ds.dataset(results, schema.append(ANSWERED), format="parquet"), count)

    @contextmanager
    def _session(self, partitions: int) -> Iterator[Any]:
        kind = _session_kind()
        need_answer(self.remote)
        with explained(self.remote, self.group_rows):
            session = kind.builder.remote(self.remote).create()
            for name, value in _CONFIGURATION.items():
                session.conf.set(name, value)
            if partitions < _USUAL_PARTITIONS:
                session.conf.set("spark.sql.shuffle.partitions", str(partitions))
        try:
            yield session
        finally:
            session.stop()


def arrived(results: ds.Dataset, groups: int) -> ds.Dataset:
    """Return the results of a step. Raises SparkError unless each group has answered once."""
    is_answer = ds.field(ANSWERED.name).is_valid()
    answers = results.to_table(columns=[ANSWERED.name], filter=is_answer)[ANSWERED.name]
    if len(answers) != groups or len(pc.unique(answers)) != groups:
        raise SparkError(
            f"{groups:,} groups were sent, and the results of {len(pc.unique(answers)):,} arrived in {len(answers):,} "
            "answers: a worker writes to a folder of its own. Share QUINTET_SPARK_FOLDER with all workers, at the same "
            "path; nothing was changed"
        )
    return results.filter(~is_answer)


def _session_kind() -> Any:
    """Return PySpark's class of sessions. Raises SparkError if the package is not installed."""
    main = sys.modules["__main__"]
    has_file = hasattr(main, "__file__")
    if not has_file:  # in a fork; PySpark would take it for a test of its own documentation, and exit
        main.__file__ = __file__
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of pandas 3, which Arrow functions do not use
            session = importlib.import_module("pyspark.sql.connect.session")  # of an extra, so not in the lock
    except ImportError as error:
        raise SparkError("the engine spark needs an extra: pip install 'quintet[spark]'") from error
    finally:
        if not has_file:
            del main.__file__
    return session.SparkSession


def _write(tables: Iterable[pa.Table], folder: Path, key: str) -> tuple[int, int]:
    """Write the tables as Parquet files; return the numbers of groups and of rows."""
    folder.mkdir()
    groups: set[object] = set()
    rows = 0
    for number, table in enumerate(tables):
        if table.num_rows:
            pq.write_table(table, folder / f"part-{number:05d}.parquet")
            groups.update(pc.unique(table[key]).to_pylist())
            rows += table.num_rows
    return len(groups), rows


def _partitions(groups: int, rows: int) -> int:
    """Return enough partitions that the cores share the groups evenly."""
    return max(min(groups * _PARTITIONS_BY_GROUP, -(-rows // _ROWS_OF_PARTITION)), 1)


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {_type(field.type)}" for field in schema)


def _type(kind: pa.DataType) -> str:
    return f"array<{_type(kind.value_type)}>" if pa.types.is_list(kind) else _TYPES[kind]
