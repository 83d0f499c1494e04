"""Read the rows of examined files, as text, into the temporary table `staged`."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from quintet.ingest.content import pattern_of
from quintet.ingest.examine import Examined, layout_of, path_of
from quintet.ingest.files import Layout, column_names
from quintet.ingest.quarantine import append_to_quarantine
from quintet.ingest.records import chunks, read_records
from quintet.warehouse.connect import connect_to_files
from quintet.warehouse.sql import quote_identifier, quote_literal


class TextLostError(Exception):
    """DuckDB did not read all text of some CSV files."""

    def __init__(self, batch_ids: set[str]) -> None:
        super().__init__(f"DuckDB did not read all of batch {', '.join(sorted(batch_ids))}")
        self.batch_ids = batch_ids


def reads_in_bulk(layout: Layout) -> bool:
    """Return whether DuckDB may read files of this layout."""
    return layout.format == "parquet" or (layout.format == "csv" and layout.plain)


def problem_of_reading(group: Sequence[Examined]) -> duckdb.Error | None:
    """Return DuckDB's error when it reads the files without the warehouse; None if it can read them."""
    source = _source_sql(layout_of(group[0]), [pattern_of(examined.file.path) for examined in group])
    with connect_to_files() as apart:
        try:
            apart.execute(f"select bit_xor(hash(source)) from {source} as source").fetchall()
        except duckdb.Error as error:
            return error
    return None


def stage_in_bulk(connection: duckdb.DuckDBPyConnection, group: list[Examined]) -> str:
    """Let DuckDB read the files into the table `staged`; return the SQL of its rows with batch, file and row.

    A row's number is its position in the table, which keeps the order of the files: numbering while reading would
    limit the reader to one thread. Inside a transaction DuckDB counts positions from a large number, not from 0.
    """
    layout = layout_of(group[0])
    source = _source_sql(layout, [pattern_of(examined.file.path) for examined in group])
    if len(group) == 1:
        connection.execute(f"create or replace temp table staged as select * exclude (filename) from {source}")
        _require_all_text(connection, group, quote_literal(path_of(group[0])))
        batch_id, name = quote_literal(group[0].batch_id), quote_literal(group[0].file.name)
        number = "rowid - (select min(rowid) from staged) + 1"
        return f"(select *, {batch_id} as batch_id, {name} as file, {number} as source_row from staged)"
    connection.execute(f"create or replace temp table staged as select * from {source}")
    _require_all_text(connection, group, "filename")
    starts = "(select filename, min(rowid) as start from staged group by filename)"
    return (
        f"(select staged.*, batch_id, file, staged.rowid - start + 1 as source_row from staged join {starts} "
        "using (filename) join files_of_group on path = filename)"
    )


def _require_all_text(connection: duckdb.DuckDBPyConnection, group: Sequence[Examined], path: str) -> None:
    """Raise TextLostError unless the staged cells are as long as the files.

    DuckDB's reader is too lenient, and not consistently: among many files, it silently drops everything after a
    quotation mark that is never closed, and spaces around a quoted cell.
    path: SQL for the file of a staged row.
    """
    layout = layout_of(group[0])
    if layout.format != "csv":
        return
    together = f"concat({', '.join(map(quote_identifier, column_names(layout)))})"
    uncounted = "strlen(cells) - strlen(translate(cells, chr(34) || chr(10) || chr(13), ''))"
    has_any = " or ".join(f"contains(cells, chr({code}))" for code in (34, 10, 13))
    delimiters = len(layout.header) - 1
    staged = dict(
        connection.execute(
            f"select path, sum(strlen(cells) - case when {has_any} then {uncounted} else 0 end + {delimiters}) "
            f"from (select {path} as path, {together} as cells from staged) group by path"
        ).fetchall()
    )
    lossy = {one.batch_id for one in group if staged.get(path_of(one), 0) + layout.header_bytes != one.text_bytes}
    if lossy:
        raise TextLostError(lossy)


def _source_sql(layout: Layout, paths: Sequence[str]) -> str:
    """Return the SQL that reads the files; columns have the contract's names, unknown ones their position."""
    listed = f"[{', '.join(quote_literal(path) for path in paths)}]"
    names = column_names(layout)
    if layout.format == "parquet":
        identifiers = [quote_identifier(name) for name in names]
        columns = ", ".join(f"{_parquet_text(layout, index)} as {name}" for index, name in enumerate(identifiers))
        return (
            f"(select {columns}, filename from read_parquet({listed}, filename = '_path', hive_partitioning = false) "
            f"as source ({', '.join(identifiers)}, filename))"
        )
    columns = ", ".join(f"{quote_literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({listed}, columns = {{{columns}}}, auto_detect = false, header = true, strict_mode = true, "
        f"delim = {quote_literal(layout.delimiter)}, quote = '\"', escape = '\"', "
        f"filename = true, hive_partitioning = false, skip = {int(layout.has_sep_line)})"
    )


def _parquet_text(layout: Layout, index: int) -> str:
    """Return the SQL of a Parquet column as text; a whole number has no decimals.

    A whole float that is not the only integer it may stand for is in exponent notation, which no id accepts.
    """
    name = quote_identifier(column_names(layout)[index])
    if index in layout.floats:
        exact_below = 2**53 if layout.types[index].endswith("double") else 2**24
        return (
            f"case when isnan({name}) then null when {name} != trunc({name}) or isinf({name}) "
            f"then cast({name} as varchar) when abs({name}) < {exact_below} "
            f"then cast(cast({name} as bigint) as varchar) else format('{{:.16e}}', cast({name} as double)) end"
        )
    if index in layout.decimals:
        return (
            f"case when {name} = trunc({name}) then cast(cast({name} as decimal(38, 0)) as varchar) "
            f"else cast({name} as varchar) end"
        )
    return f"nullif(cast({name} as varchar), '')"


def extra_sql(layout: Layout) -> str:
    """Return the SQL of the unknown columns as one JSON object; null where all are empty."""
    if not layout.extra:
        return "cast(null as varchar)"
    unknown = [quote_identifier(f"_unknown_{index}") for index in layout.extra]
    pairs = ", ".join(
        f"{quote_literal(title)}, {column}" for title, column in zip(layout.extra.values(), unknown, strict=True)
    )
    return f"case when coalesce({', '.join(unknown)}) is not null then cast(json_object({pairs}) as varchar) end"


def stage_by_record(connection: duckdb.DuckDBPyConnection, group: list[Examined]) -> str:
    """Read one file record by record into the table `staged`; quarantine records that cannot be split."""
    (examined,) = group
    layout = layout_of(examined)
    names = column_names(layout)
    columns = ", ".join(f"{quote_identifier(name)} varchar" for name in names)
    connection.execute(f"create or replace temp table staged ({columns}, source_row bigint)")
    for records in chunks(read_records(examined.file, layout)):
        whole = [record for record in records if record.cells is not None]
        cells = list(zip(*(record.cells for record in whole if record.cells), strict=True)) or [()] * len(names)
        arrays = [pa.array(column, pa.string()) for column in cells]
        arrays.append(pa.array([record.row for record in whole], pa.int64()))
        connection.register("records", pa.table(arrays, names=[*names, "source_row"]))
        connection.execute("insert into staged select * from records")
        connection.unregister("records")
        broken = [record for record in records if record.cells is None]
        append_to_quarantine(
            connection,
            examined.batch_id,
            [record.row for record in broken],
            [record.problem for record in broken],
            [record.text for record in broken],
        )
    batch_id, name = quote_literal(examined.batch_id), quote_literal(examined.file.name)
    return f"(select *, {batch_id} as batch_id, {name} as file from staged)"
