"""Maintain the table of country spellings: one row for each spelling in any file."""

from __future__ import annotations

import duckdb

from quintet.conversions.countries import canonicalise

TABLE = "staging.stg_country_names"

_COLUMNS = "spelling varchar, country_iso2 varchar, method varchar, confidence double"

_SPELLINGS = """
select country_name as spelling from raw.conversions
union
select country_residency from raw.broker_rows
union
select ip_country from raw.broker_rows
"""


def resolve_new_spellings(connection: duckdb.DuckDBPyConnection, *, from_scratch: bool) -> int:
    """Add the spellings that `TABLE` lacks, with country, method and confidence; return their number.

    from_scratch: resolve all of them again, because the method has changed.
    """
    if from_scratch:
        connection.execute(f"drop table if exists {TABLE}")
    connection.execute(f"create table if not exists {TABLE} ({_COLUMNS})")
    lacking = connection.execute(
        f"select spelling from ({_SPELLINGS}) anti join {TABLE} using (spelling) "
        "where spelling is not null order by all"
    ).fetchall()
    if not lacking:
        return 0
    resolved = canonicalise([spelling for (spelling,) in lacking])
    connection.register("resolved", resolved)
    connection.execute(f"insert into {TABLE} by name select * from resolved")
    connection.unregister("resolved")
    return len(resolved)
