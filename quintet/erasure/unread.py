"""Erase a person from what is stored of the files that could not be loaded."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from quintet.forgotten import REASON
from quintet.ingest.unread import MOST_CHARACTERS
from quintet.warehouse.sql import quote_identifier, quote_literal


def erase_unread(connection: duckdb.DuckDBPyConnection, dataset: str, texts: Sequence[str]) -> int:
    """Remove the first rows of the files that name a person by one of the texts; return the number of these files.

    A file without a header has its first row in place of its titles, and in its message.
    """
    if not _is_built(connection):
        return 0
    ((without_header,),) = connection.execute(
        "update ops.unread_files set first_rows = [], titles = [], lacking = [], message = ? "
        "where dataset = ? and list_has_any(titles, ?::varchar[])",
        [REASON, dataset, list(texts)],
    ).fetchall()
    connection.execute(
        "update ops.batches set message = ? where dataset = ? "
        "and batch_id in (select batch_id from ops.unread_files where dataset = ? and message = ?)",
        [REASON, dataset, dataset, REASON],
    ).fetchall()
    cells = "array_to_string(flatten(first_rows), chr(31))"
    is_named = " or ".join(f"contains({cells}, {quote_literal(text[:MOST_CHARACTERS])})" for text in texts)
    ((named,),) = connection.execute(
        f"update ops.unread_files set first_rows = [] where dataset = ? and ({is_named})", [dataset]
    ).fetchall()
    return int(without_header) + int(named)


def erase_unread_of_snapshot(connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
    """Erase from an attached snapshot what was erased of these files from the warehouse."""
    if not _is_built(connection):
        return
    marts = f"{quote_identifier(catalog)}.marts"
    of_file = "where own.dataset = copy.dataset and own.batch_id = copy.batch_id"
    columns = ", ".join(f"{name} = own.{name}" for name in ("first_rows", "titles", "lacking", "message"))
    connection.execute(
        f"update {marts}.ops_unread_files as copy set {columns} from ops.unread_files as own {of_file}"
    ).fetchall()
    connection.execute(
        f"update {marts}.ops_batches as copy set message = own.message from ops.batches as own {of_file} "
        "and own.message = ?",
        [REASON],
    ).fetchall()


def _is_built(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether a build has created the table: the warehouse of an earlier release has none."""
    found = "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'unread_files'"
    return bool(connection.execute(found).fetchall())
