"""Export the unified journeys as files for other programs, with a dictionary of their columns.

Parquet keeps every value unchanged. CSV is opened in spreadsheets: a text that starts like a formula gets a leading
apostrophe. The same data gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

TABLE = "marts.fct_unified_journeys"
STEM = "unified_journeys"

_LIKE_A_FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"
_ROWS_BY_GROUP = 122_880


def write_journeys(
    connection: duckdb.DuckDBPyConnection, folder: Path, descriptions: Mapping[str, str]
) -> tuple[Path, ...]:
    """Write `unified_journeys` as parquet and csv, and `unified_journeys_dictionary.csv`; return their paths.

    connection: to a snapshot. descriptions: by column. Files are replaced atomically. Raises ValueError where a column
    has no description, or a description no column.
    """
    columns = connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where schema_name || '.' || table_name = ? and not internal order by column_index",
        [TABLE],
    ).fetchall()
    _hold_complete({name for name, _ in columns}, descriptions)
    folder.mkdir(parents=True, exist_ok=True)
    # conversion_id is unique, so that the order is total.
    rows = f"(select * from {TABLE} order by conversion_id)"
    texts = ", ".join(_as_text(name) for name, kind in columns if kind == "VARCHAR")
    parquet = _copy(
        connection,
        rows,
        folder / f"{STEM}.parquet",
        f"format parquet, compression zstd, row_group_size {_ROWS_BY_GROUP}",
    )
    csv = _copy(
        connection, f"(select * replace ({texts}) from {TABLE} order by conversion_id)", folder / f"{STEM}.csv", _CSV
    )
    return (parquet, csv, _write_dictionary(connection, folder, columns, descriptions))


_CSV = "format csv, header, delimiter ',', quote '\"', escape '\"', nullstr ''"


def _hold_complete(columns: set[str], descriptions: Mapping[str, str]) -> None:
    silent = sorted(name for name in columns if not descriptions.get(name, "").strip())
    unknown = sorted(set(descriptions) - columns)
    if silent or unknown:
        raise ValueError(
            f"{TABLE}: columns without a description: {silent or 'none'}; descriptions without a column: "
            f"{unknown or 'none'}. Fix the descriptions of the model in dbt_project/models."
        )


def _as_text(name: str) -> str:
    column = f'"{name}"'
    return (
        f"case when regexp_matches({column}, '{_LIKE_A_FORMULA}') then '''' || {column} else {column} end as {column}"
    )


def _write_dictionary(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    columns: list[tuple[str, str]],
    descriptions: Mapping[str, str],
) -> Path:
    connection.execute(
        "create or replace temp table dictionary (place integer, name varchar, type varchar, meaning varchar)"
    )
    connection.executemany(
        "insert into dictionary values (?, ?, ?, ?)",
        [(place, name, kind, " ".join(descriptions[name].split())) for place, (name, kind) in enumerate(columns, 1)],
    )
    counts = " union all ".join(
        f"select '{name}' as name, count({name}) as filled, count(distinct {name}) as distinct_values from {TABLE}"
        for name, _ in columns
    )
    path = _copy(
        connection,
        f"(select name as column, type, meaning, filled as rows_filled, distinct_values "
        f"from dictionary join ({counts}) using (name) order by place)",
        folder / f"{STEM}_dictionary.csv",
        _CSV,
    )
    connection.execute("drop table dictionary")
    return path


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, path: Path, options: str) -> Path:
    unfinished = path.with_name(f".{path.name}.tmp")
    target = str(unfinished).replace("'", "''")
    try:
        connection.execute(f"copy {rows} to '{target}' ({options})")
        return unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
