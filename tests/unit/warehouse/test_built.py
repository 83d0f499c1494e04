"""The code version that built a table is recorded."""

from __future__ import annotations

import duckdb

from quintet.warehouse.built import built_versions, set_built


def test_the_last_code_that_built_a_table_is_kept(warehouse: duckdb.DuckDBPyConnection):
    assert built_versions(warehouse) == {}

    for versions in ({"a": "1", "b": "1"}, {"b": "2"}):
        set_built(warehouse, versions)

    assert built_versions(warehouse) == {"a": "1", "b": "2"}
