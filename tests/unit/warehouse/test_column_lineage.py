"""The columns of a query are traced to those that they are computed from, through subqueries, joins and stars."""

from __future__ import annotations

import pytest

from quintet.warehouse.column_lineage import UntraceableQueryError, trace_columns

TABLES = {"raw": {"a": {"id": "bigint", "x": "double"}, "b": {"id": "bigint", "y": "double", "day": "date"}}}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select id from raw.a", {"id": ["raw.a.id"]}),
        ("select id as key, x + 1 as more from raw.a", {"key": ["raw.a.id"], "more": ["raw.a.x"]}),
        ("select * from raw.a", {"id": ["raw.a.id"], "x": ["raw.a.x"]}),
        ('from "warehouse"."raw"."a" select x', {"x": ["raw.a.x"]}),
        (
            "with c as (select * from raw.a) select c.x * b.y as z from c join raw.b using (id)",
            {"z": ["raw.a.x", "raw.b.y"]},
        ),
        ("select count(*) as rows, sum(y) as y from raw.b where day is not null", {"rows": [], "y": ["raw.b.y"]}),
        ("select id from raw.a union all by name select id from raw.b", {"id": ["raw.a.id", "raw.b.id"]}),
        ("select * exclude (day) from raw.b", {"id": ["raw.b.id"], "y": ["raw.b.y"]}),
        (
            "select row_number() over (partition by day order by y) as place from raw.b",
            {"place": ["raw.b.day", "raw.b.y"]},
        ),
        ("select id, made as n from raw.a, range(3) as numbers (made)", {"id": ["raw.a.id"], "n": []}),
        ("with long as (unpivot raw.b on y into name what value v) select sum(v) as v from long", {"v": []}),
        ("select * from range(3) as numbers (made)", {"made": []}),
        ("select * from read_parquet('a.parquet')", {"*": []}),
        ("select 1 as one, other.name from elsewhere.other", {"one": [], "name": ["elsewhere.other.name"]}),
    ],
)
def test_each_column_has_its_sources(sql: str, expected: dict[str, list[str]]) -> None:
    assert {name: [".".join(one) for one in found] for name, found in trace_columns(sql, TABLES).items()} == expected


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select from where (", "Expected"),
        ("drop table raw.a", "no query"),
        ("select * from elsewhere.other", "columns are unknown"),
        ("with c as (select * from elsewhere.other) select name from c", "columns are unknown"),
        ("select id from raw.a union all select * from elsewhere.other", "columns are unknown"),
        ("select id, x from raw.a union all by name select y as x, id from raw.b", "BY NAME"),
        ("select id, x from raw.a union all by name select id from raw.b", "BY NAME"),
    ],
)
def test_what_cannot_be_traced_is_an_error_that_says_why(sql: str, why: str) -> None:
    with pytest.raises(UntraceableQueryError, match=why):
        trace_columns(sql, TABLES)
