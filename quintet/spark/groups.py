"""Run a pure function on each group of a table's rows on a Spark cluster, over Parquet files that both sides reach."""

from __future__ import annotations

import importlib
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from quintet.settings import Settings

_RAISED = re.compile(r"^(\w*(?:Error|Exception)): (.*)$", re.MULTILINE)
"""A line of a traceback with the exception."""

_CONNECT_SECONDS = 5.0
_PORT = 15_002
_TYPES = {
    pa.bool_(): "boolean",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.string(): "string",
}

Step = Callable[[pa.Table], pa.Table]
"""A pure function of one group's rows. It is sent by name, so it must be importable on the cluster."""


class SparkError(RuntimeError):
    """A step cannot run on the cluster; the message says why and what to do."""


def cluster_of(settings: Settings) -> Cluster:
    """Return the cluster of the settings. Raises SparkError if none is named, or its server does not answer."""
    if settings.spark_remote is None:
        raise SparkError("the engine spark needs QUINTET_SPARK_REMOTE, such as sc://host:15002")
    cluster = Cluster(settings.spark_remote.get_secret_value(), settings.spark_folder or settings.home / "spark")
    _need_answer(cluster.remote)
    return cluster


@dataclass(frozen=True)
class Cluster:
    """A Spark cluster. remote: the URL of its Spark Connect server. folder: files that it and this machine reach."""

    remote: str = field(repr=False)  # it may have a token
    folder: Path

    @contextmanager
    def by_group(self, tables: Iterable[pa.Table], key: str, step: Step, schema: pa.Schema) -> Iterator[ds.Dataset]:
        """Give the results of `step` for all groups of `key`, in no order, until the block ends.

        tables: parts of one table, written one by one, so that it needs no memory as a whole. schema: of the results.
        Raises SparkError if the cluster cannot be reached or has not what the step needs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        exchange = Path(tempfile.mkdtemp(prefix="groups-", dir=self.folder))
        try:
            given, results = exchange / "given", exchange / "results"
            if _write(tables, given):
                with self._session() as session, _explained(self.remote):
                    groups = session.read.parquet(str(given)).groupBy(key)
                    # through pandas, integers beside nulls would become floats
                    groups.applyInArrow(_unhinted(step), _ddl(schema)).write.parquet(str(results))
            else:
                results.mkdir()
            yield ds.dataset(results, schema, format="parquet")
        finally:
            shutil.rmtree(exchange)

    @contextmanager
    def _session(self) -> Iterator[Any]:
        kind = _session_kind()
        _need_answer(self.remote)
        with _explained(self.remote):
            session = kind.builder.remote(self.remote).create()
            session.conf.set("spark.sql.session.timeZone", "UTC")
        try:
            yield session
        finally:
            session.stop()


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


def _unhinted(step: Step) -> Any:
    """Return the step without type hints: Spark then gives it a whole group, as a table."""

    def on_worker(group):
        return step(group)

    return on_worker


def _write(tables: Iterable[pa.Table], folder: Path) -> bool:
    """Write the tables as Parquet files; return whether there was any row."""
    folder.mkdir()
    rows = 0
    for number, table in enumerate(tables):
        if table.num_rows:
            pq.write_table(table, folder / f"part-{number:05d}.parquet")
            rows += table.num_rows
    return rows > 0


def _ddl(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {_TYPES[field.type]}" for field in schema)


def _need_answer(remote: str) -> None:
    """Raise SparkError if nothing listens at the address: the client itself would try for minutes."""
    address = urlsplit(remote)
    try:
        socket.create_connection((address.hostname or "", address.port or _PORT), _CONNECT_SECONDS).close()
    except OSError as error:
        place = f"{address.hostname}:{address.port or _PORT}"
        raise SparkError(
            f"no Spark Connect server answers at {place} ({error.strerror or error}); start it, correct "
            "QUINTET_SPARK_REMOTE, or run with --engine duckdb"
        ) from error


@contextmanager
def _explained(remote: str) -> Iterator[None]:
    """Turn what the cluster reports into a message that says what to do."""
    try:
        yield
    except Exception as error:
        text = str(error)
        place = urlsplit(remote).hostname
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        if "No module named 'quintet" in text:
            why = f"its workers lack the package; install this version of Quintet for their Python {own}"
        elif "PYTHON_VERSION_MISMATCH" in text:
            why = f"its workers run another Python; they need {own}, with this version of Quintet"
        elif "PATH_NOT_FOUND" in text or "does not exist" in text:
            why = "its workers do not see the folder; share it with them, and name it in QUINTET_SPARK_FOLDER"
        else:
            raised = _RAISED.findall(text)
            why = ": ".join(raised[-1] if raised else (type(error).__name__, text.strip()))
        raise SparkError(f"the Spark cluster at {place} could not run the step: {why}") from error
