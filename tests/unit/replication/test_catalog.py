"""What of a table and a publication prevents replication, each beside a table that can be replicated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quintet.change_log.change import TableName
from quintet.replication.catalog import (
    OPERATIONS,
    FoundColumn,
    FoundPublication,
    FoundTable,
    Membership,
    publication_faults,
    relation_of,
    table_faults,
)

_NAME = TableName("public", "loan")
_KINDS = {"id": "integer", "amount": "double", "status": "varchar", "created_on": "date"}
_COLUMNS = (
    FoundColumn("id", 1, 23, -1, "integer", "int4"),
    FoundColumn("amount", 2, 701, -1, "double precision", "float8"),
    FoundColumn("status", 3, 1043, -1, "character varying", "varchar"),
    FoundColumn("created_on", 4, 1082, -1, "date", "date"),
    FoundColumn("note", 5, 790, -1, "money", "money"),
)
_TABLE = FoundTable(7, "r", "d", ("id",), (("id",),), False, _COLUMNS)
_MEMBER = Membership("table 9", None, False)
_PUBLICATION = FoundPublication(5, "700", OPERATIONS, False, {_NAME: _MEMBER})


def _with(name: str, base: str, modifier: int = -1) -> FoundTable:
    columns = [replace(one, base=base, modifier=modifier) if one.name == name else one for one in _COLUMNS]
    return replace(_TABLE, columns=tuple(columns))


@pytest.mark.parametrize(
    "table",
    [
        _TABLE,
        replace(_TABLE, kind="p", has_children=True),
        replace(_TABLE, identity="f", identity_columns=()),
        replace(_TABLE, identity="i"),
        _with("id", "int8"),
        _with("id", "numeric", (9 << 16) + 4),
        _with("amount", "numeric"),
        _with("status", "enum"),
        _with("created_on", "timestamptz"),
    ],
)
def test_a_table_whose_values_convert_exactly_can_be_replicated(table: FoundTable) -> None:
    assert table_faults(_NAME, table, _KINDS) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (replace(_TABLE, kind="v"), "view"),
        (replace(_TABLE, has_children=True), "inherit"),
        (replace(_TABLE, columns=_COLUMNS[:2]), "lacks the column status, created_on"),
        (replace(_TABLE, unique=(("id", "status"),)), "no primary key (id)"),
        (replace(_TABLE, identity="n", identity_columns=()), "replica identity"),
        (replace(_TABLE, identity="i", identity_columns=("status",)), "replica identity"),
        (_with("id", "numeric", (9 << 16) + 2 + 4), "column id is integer"),
        (_with("id", "numeric"), "column id"),
        (_with("amount", "money"), "column amount"),
        (_with("created_on", "text"), "column created_on"),
        (_with("status", "other"), "column status"),
    ],
)
def test_any_other_table_is_refused_by_name(table: FoundTable, said: str) -> None:
    (fault,) = table_faults(_NAME, table, _KINDS)
    assert said in fault


def test_a_publication_that_sends_everything_has_no_fault() -> None:
    assert publication_faults(_NAME, _TABLE, _PUBLICATION) == []
    whole = Membership("table 9", tuple(column.name for column in _COLUMNS), False)
    assert publication_faults(_NAME, _TABLE, replace(_PUBLICATION, members={_NAME: whole})) == []


@pytest.mark.parametrize(
    ("publication", "said"),
    [
        (replace(_PUBLICATION, members={TableName("archive", "loan"): _MEMBER}), "not in the publication"),
        (replace(_PUBLICATION, operations=("insert",)), "does not send update, delete, truncate"),
        (replace(_PUBLICATION, members={_NAME: replace(_MEMBER, has_filter=True)}), "row filter"),
        (replace(_PUBLICATION, members={_NAME: replace(_MEMBER, columns=("id",))}), "only its columns id"),
    ],
)
def test_what_a_publication_leaves_out_is_named(publication: FoundPublication, said: str) -> None:
    (fault,) = publication_faults(_NAME, _TABLE, publication)
    assert said in fault


def test_partitions_are_published_under_the_name_of_the_table_or_refused() -> None:
    table = replace(_TABLE, kind="p")
    assert "partitions" in publication_faults(_NAME, table, _PUBLICATION)[0]
    assert publication_faults(_NAME, table, replace(_PUBLICATION, via_root=True)) == []


def test_the_relation_is_what_the_log_announces() -> None:
    relation = relation_of(_NAME, _TABLE)
    assert (relation.name, relation.number) == (_NAME, 7)
    assert [column.name for column in relation.columns if column.is_key] == ["id"]
