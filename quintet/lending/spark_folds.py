"""Fold the change log from its start on a Spark cluster, by the function that folds it here.

The log is divided by clients: rows that ever named the same client, loan or payment stay together, in the order of the
log. Where a row of an unknown client is quarantined, it concerns every client; the log is then folded in one group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from quintet.change_log.change import Change, Position, decode_lines, encode_lines
from quintet.change_log.log import Epoch
from quintet.lending.book import ANYBODY, MARK
from quintet.lending.contract import LOAN, PAYMENT, SCHEMA, TABLES, USER
from quintet.lending.feature import Feature
from quintet.lending.feature_registry import features
from quintet.lending.folding import Folded, Folding, Part, RowsInMemory, StoredRow
from quintet.lending.training import settle
from quintet.spark.folders import step_folder
from quintet.spark.groups import Groups
from quintet.warehouse.connect import connect_closed

_MODULE = "quintet.lending.spark_folds"

CHANGES = pa.schema([("part", pa.int32()), ("number", pa.int64()), ("content", pa.string())])
"""Changes of the log by their number in it, as lines of JSON."""
_ROW, _STATES, _SETTLED, _EVERYBODY = "row", "states", "settled", "everybody"
FOLDED = pa.schema([(name, pa.string()) for name in ("kind", "table", "key", "parent", "content")])
"""Rows, states, counts of settled applications by day, and a mark where a row concerns every client."""

_ROWS_AT_ONCE = 50_000

# An id may be written in several ways; ids that merely look alike stay together as well, which does no harm.
_NODE = (
    "hash('{table}', coalesce(try_cast(regexp_extract({value}, '^(-?[0-9]+)(\\.0*)?$', 1) as hugeint)::varchar, "
    "{value}))"
)


def _node(table: str, path: str) -> str:
    """Return SQL for the number of a row that is named at a path of a change; null if it is not named."""
    value = f"content->>'$.{path}'"
    return f"case when {value} is not null then {_NODE.format(table=table, value=f'({value})')} end"


def _named(table: str, column: str, parent_table: str) -> str:
    """Return SQL with the rows that each change of a table names, before and after it."""
    columns = [_node(table, "row.id"), _node(table, "old.id")]
    columns += [_node(parent_table, f"row.{column}"), _node(parent_table, f"old.{column}")]
    return f"select number, unnest([{', '.join(columns)}]) as node from change where changed = '{table}'"


_TOUCHED = f"""
    create table touched as
    from ({_named(USER, "id", USER)} union all {_named(LOAN, "client_id", USER)}
        union all {_named(PAYMENT, "loan_id", LOAN)})
    where node is not null
"""
_OF_PARTS = """
    select part::integer as part, number, content from change join part_of_change using (number)
    union all
    select part::integer as part, number, content
    from change, (select distinct part from part_of_change) where operation = 'truncate'
"""


def fold_on(cluster: Groups) -> Folding:
    """Return a folding on the cluster. It raises SparkError if the cluster cannot do it."""

    @contextmanager
    def fold_there(
        history: Iterable[tuple[list[Change], Position]],
        known: Sequence[Feature],
        epoch: Epoch,
        complete_until: Position | None,
    ) -> Iterator[Folded]:
        with (
            step_folder(cluster.folder, "folds") as folder,
            connect_closed(memory_limit="2GB", temp_directory=str(folder)) as connection,
        ):
            end = _load(connection, history, epoch.start)
            step = partial(
                fold_part,
                names=tuple(feature.name for feature in known),
                snapshot_ends=end >= epoch.snapshot_end,
                complete_until=complete_until,
            )
            for group_rows in (cluster.group_rows, None):
                _divide(connection, group_rows)
                with cluster.by_group(_changes(connection), "part", step, FOLDED, _MODULE) as results:
                    if group_rows is not None and _concerns_everybody(results):
                        continue
                    yield Folded(_parts(results), _settled(results), end)
                    return

    return fold_there


def fold_part(
    changes: pa.Table, names: Sequence[str], snapshot_ends: bool, complete_until: Position | None
) -> pa.Table:
    """Fold the changes of some clients, on a worker. changes: columns of `CHANGES`. Returns columns of `FOLDED`.

    names: of the features. snapshot_ends, complete_until: see `settle`.
    """
    content = changes.sort_by("number")["content"].to_pylist()
    known = [feature for feature in features() if feature.name in names]
    rows = _WatchedRows()
    settled = settle(rows, known, list(decode_lines("".join(content).encode())), snapshot_ends, complete_until)
    found: list[tuple[str, str | None, str | None, str | None, str | None]] = [
        (_ROW, table, key, parent, orjson.dumps(row).decode()) for table, key, parent, row in rows.all_rows()
    ]
    found += [(_STATES, None, owner, None, orjson.dumps(states).decode()) for owner, states in rows.all_states()]
    found += [(_SETTLED, None, day, None, str(count)) for day, count in settled.items()]
    if rows.has_marked_everybody:
        found.append((_EVERYBODY, None, None, None, None))
    columns = zip(*found, strict=True) if found else [()] * len(FOLDED)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=FOLDED)


class _WatchedRows(RowsInMemory):
    """Notes whether a row was ever quarantined whose client is unknown."""

    has_marked_everybody = False

    def put_row(self, table: str, key: str, parent: str | None, row: dict[str, Any] | None) -> None:
        """Set a row and the key of its parent; None removes the row."""
        self.has_marked_everybody |= table == MARK and parent == ANYBODY
        super().put_row(table, key, parent, row)


def _load(
    connection: duckdb.DuckDBPyConnection, history: Iterable[tuple[list[Change], Position]], start: Position
) -> Position:
    """Write the changes of lending's tables to `change` in their order; return the place reached."""
    connection.execute(
        "create table change (number bigint, changed varchar, operation varchar, content varchar)"
    ).fetchall()
    end, number = start, 0
    for changes, reached in history:
        end = reached
        read = [one for one in changes if one.namespace == SCHEMA and one.table in TABLES]
        if read:
            columns = {
                "number": np.arange(number, number + len(read)),
                "changed": [one.table for one in read],
                "operation": [one.operation for one in read],
                "content": [encode_lines([one]).decode() for one in read],
            }
            connection.register("more", pa.table(columns))
            connection.execute("insert into change from more").fetchall()
            connection.unregister("more")
            number += len(read)
    return end


def _divide(connection: duckdb.DuckDBPyConnection, group_rows: int | None) -> None:
    """Register `part_of_change`: the part of each change, None for a single one. Changes that name no row are in 0."""
    if group_rows is None:
        connection.execute(
            "create or replace view part_of_change as select number, 0 as part from change "
            "where operation <> 'truncate'"
        )
        return
    connection.execute(_TOUCHED).fetchall()
    touched = connection.sql("select number, node from touched order by number").fetchnumpy()
    numbers, node = np.asarray(touched["number"]), np.unique(touched["node"], return_inverse=True)[1]
    changes = np.unique(numbers, return_inverse=True)[1] if len(numbers) else numbers
    count = int(changes.max()) + 1 if len(changes) else 0
    size = count + (int(node.max()) + 1 if len(node) else 0)
    graph = coo_array((np.ones(len(node), dtype=np.int8), (changes, node + count)), shape=(size, size))
    client = connected_components(graph, directed=False)[1][:count] if size else np.zeros(0, dtype=np.int64)
    held = np.bincount(client) if count else np.zeros(0, dtype=np.int64)
    part = (np.cumsum(held) - held) // group_rows
    divided = pa.table({"number": np.unique(numbers), "part": part[client] if count else client})
    connection.register("divided", divided)
    connection.execute(
        "create or replace view part_of_change as select number, coalesce(part, 0) as part "
        "from change left join divided using (number) where operation <> 'truncate'"
    )


def _changes(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.Table]:
    for batch in connection.sql(_OF_PARTS).to_arrow_reader(_ROWS_AT_ONCE):
        yield pa.Table.from_batches([batch]).cast(CHANGES)


def _concerns_everybody(results: ds.Dataset) -> bool:
    return results.count_rows(filter=ds.field("kind") == _EVERYBODY) > 0


def _settled(results: ds.Dataset) -> Counter[str]:
    counts = results.to_table(filter=ds.field("kind") == _SETTLED)
    found: Counter[str] = Counter()
    for day, count in zip(counts["key"].to_pylist(), counts["content"].to_pylist(), strict=True):
        found[day] += int(count)
    return found


def _parts(results: ds.Dataset) -> Iterator[Part]:
    for batch in results.to_batches(batch_size=_ROWS_AT_ONCE):
        rows = batch.filter(pc.equal(batch["kind"], _ROW))
        states = batch.filter(pc.equal(batch["kind"], _STATES))
        yield Part(_rows(rows), zip(states["key"].to_pylist(), _read(states), strict=True))


def _rows(rows: pa.RecordBatch) -> Iterator[StoredRow]:
    columns = (rows[name].to_pylist() for name in ("table", "key", "parent"))
    return zip(*columns, _read(rows), strict=True)


def _read(rows: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    return map(orjson.loads, rows["content"].to_pylist())
