"""Gather the evidence of accounts on a Spark cluster, by the functions that gather it here.

The cluster works on groups of three kinds: stretches of accounts (keys, names, evidence of an account by itself),
stretches of pairs (their weights), and whole clusters of accounts (evidence of links). The joins between them, pairs
from keys and the connected components, are made here; see `docs/decisions/spark.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import duckdb
import numpy as np
import pyarrow as pa

from quintet.promotions import spark_tables as tables
from quintet.promotions.accounts import Accounts
from quintet.promotions.candidates import PAIRS_SQL, members_of
from quintet.promotions.evidence import EvidenceMatrix, Gathering, own_evidence, stacked
from quintet.promotions.identity import KINDS, identity_keys, number_anywhere
from quintet.promotions.links import (
    LARGEST_CLUSTER,
    LINK_EVIDENCE,
    LINK_FROM,
    components,
    link_evidence,
    pair_weights,
)
from quintet.promotions.profile import Population
from quintet.spark.folders import step_folder
from quintet.spark.groups import Groups
from quintet.warehouse.connect import connect_closed

_MODULE = "quintet.promotions.spark_links"

_KEYS = """
    create view identity_key as select row as account, unnest(kinds) as kind, unnest(keys) as key from member;
    create view signed_up as
    select row as account, case when isfinite(created_at_s) then created_at_s else 'infinity'::double end
        as created_at_s
    from member
"""
_PAIRS = f"""
    create table pair as
    select a, b, [{", ".join(f"of_{number}" for number in range(len(KINDS)))}] as sharers from ({PAIRS_SQL})
"""
_OF_MEMBER = ", ".join(tables.MEMBER)
_WEIGHED_TOGETHER = f"""
    with part_of_pair as (select rowid // {{group_rows}} as part, * from pair),

    ends as (select part, a as row from part_of_pair union select part, b from part_of_pair)

    select part::integer as part, row, {_OF_MEMBER} from ends join member using (row)
    union all by name
    select part::integer as part, a, b, sharers from part_of_pair
"""
_SEEN_TOGETHER = f"""
    with touching as (
        select placed.part, pair.* from pair join placed on pair.a = placed.row
        union
        select placed.part, pair.* from pair join placed on pair.b = placed.row
    ),

    near as (
        select part, row from placed
        union select part, a from touching
        union select part, b from touching
    )

    select near.part::integer as part, row, near.part = placed.part as own, component, size, {_OF_MEMBER}
    from near join placed using (row) join member using (row)
    union all by name
    select part::integer as part, a, b, sharers, weight, shared_code from touching
"""


def gather_on(cluster: Groups) -> Gathering:
    """Return a gathering on the cluster. It raises SparkError if the cluster cannot do it."""

    def gather_there(accounts: Accounts, population: Population) -> EvidenceMatrix:
        evidence = {name: np.zeros(len(accounts)) for name in (*tables.OWN, *LINK_EVIDENCE)}
        with _database(cluster) as connection:
            _run(
                cluster,
                connection,
                tables.stretches(accounts, cluster.group_rows),
                partial(described, population=population),
                tables.DESCRIBED,
                "member",
            )
            _scatter(connection, "member", tables.OWN, evidence)
            connection.execute(_KEYS)
            connection.execute(_PAIRS)
            _run(
                cluster,
                connection,
                _stream(connection, _WEIGHED_TOGETHER.format(group_rows=cluster.group_rows)),
                partial(weighed, population=population),
                tables.WEIGHTS,
                "weights",
            )
            connection.execute(
                "create or replace table pair as select pair.*, weight, shared_code from pair join weights using (a, b)"
            )
            ends = connection.sql("select a, b, weight from pair order by a, b").fetchnumpy()
            a, b, weight = (ends[name] for name in ("a", "b", "weight"))
            is_link = weight >= LINK_FROM
            component = components(len(accounts), a[is_link], b[is_link])
            pairs_held = np.bincount(a, minlength=len(accounts)) + np.bincount(b, minlength=len(accounts))
            connection.register("placed", _placed(component, pairs_held, cluster.group_rows))
            _run(
                cluster,
                connection,
                _stream(connection, _SEEN_TOGETHER),
                partial(linked, population=population),
                tables.LINKED,
                "linked",
            )
            _scatter(connection, "linked", LINK_EVIDENCE, evidence)
        return EvidenceMatrix(stacked(evidence), component, a[is_link], b[is_link], weight[is_link])

    return gather_there


def described(stretch: pa.Table, population: Population) -> pa.Table:
    """Return what is known of each account by itself, on a worker. stretch: columns of `ACCOUNTS`."""
    row, accounts = tables.accounts(stretch)
    own = own_evidence(accounts, population)
    members = members_of(accounts, population, number_anywhere)
    return tables.described(row, members, identity_keys(accounts, population.key_rules), own)


def weighed(group: pa.Table, population: Population) -> pa.Table:
    """Return the weight of each pair of a stretch, on a worker. group: columns of `TOGETHER`."""
    seen = tables.seen_together(group)
    weight, shared_code = pair_weights(seen.pairs, seen.members, population)
    a, b = seen.row[seen.pairs.a], seen.row[seen.pairs.b]
    return pa.table([a, b, weight, shared_code], schema=tables.WEIGHTS)


def linked(group: pa.Table, population: Population) -> pa.Table:
    """Return `LINK_EVIDENCE` of the group's own accounts, on a worker. group: columns of `TOGETHER`."""
    seen = tables.seen_together(group)
    component = np.unique(seen.component, return_inverse=True)[1]
    links = link_evidence(
        seen.pairs, seen.weight, seen.shared_code, seen.members, component, population, size=seen.size
    )
    columns = [links[name][seen.own] for name in LINK_EVIDENCE]
    return pa.table([seen.row[seen.own], *columns], schema=tables.LINKED)


def _placed(component: np.ndarray, pairs_held: np.ndarray, group_rows: int) -> pa.Table:
    """Return the part of each account: whole clusters, and of those above `LARGEST_CLUSTER` each account by itself.

    A part has about `group_rows` accounts and pairs. pairs_held: by account.
    """
    size = np.bincount(component, minlength=1)[component]
    first = np.unique(component, return_index=True)[1] if len(component) else np.zeros(0, dtype=np.int64)
    row = np.arange(len(component))
    unit = np.where(size <= LARGEST_CLUSTER, first[component], row)
    order = np.argsort(unit, kind="stable")
    held = 1 + pairs_held[order]
    before = np.cumsum(held) - held
    is_first = np.r_[True, np.diff(unit[order]) != 0][: len(order)]
    part = np.empty(len(component), dtype=np.int64)
    part[order] = (before // group_rows)[np.maximum.accumulate(np.where(is_first, row, 0))]
    return pa.table({"row": row, "part": part, "component": component.astype(np.int64), "size": size})


@contextmanager
def _database(cluster: Groups) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database that spills to the cluster's folder what does not fit in memory."""
    with (
        step_folder(cluster.folder, "links") as folder,
        connect_closed(memory_limit="2GB", temp_directory=str(folder)) as connection,
    ):
        yield connection


def _run(
    cluster: Groups,
    connection: duckdb.DuckDBPyConnection,
    given: Iterator[pa.Table],
    step: partial[pa.Table],
    schema: pa.Schema,
    table: str,
) -> None:
    """Run a step on the cluster and create a table of its results."""
    with cluster.by_group(given, "part", step, schema, _MODULE) as results:
        connection.register("results", results)
        connection.execute(f"create table {table} as select {', '.join(schema.names)} from results").fetchall()
        connection.unregister("results")


def _stream(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.Table]:
    """Yield the rows of a query, with the columns of `TOGETHER`, in parts."""
    for batch in connection.sql(query).to_arrow_reader(tables.ROWS_AT_ONCE):
        yield tables.together(pa.Table.from_batches([batch]))


def _scatter(
    connection: duckdb.DuckDBPyConnection, table: str, names: tuple[str, ...], into: dict[str, np.ndarray]
) -> None:
    """Put columns of a table into arrays by account."""
    found = connection.sql(f"select row, {', '.join(names)} from {table}").fetchnumpy()
    for name in names:
        into[name][found["row"]] = found[name]
