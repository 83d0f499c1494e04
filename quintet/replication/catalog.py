"""What PostgreSQL's catalogs say of a publication and its tables, and which of it prevents replication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from quintet.change_log.change import TableName
from quintet.replicated import Kind, Tables
from quintet.replication.pgoutput import Relation
from quintet.replication.values import Column

KEY = "id"
OPERATIONS = ("insert", "update", "delete", "truncate")

_ACCEPTED: Mapping[Kind, tuple[str, ...]] = {
    "integer": ("int2", "int4", "int8", "numeric without decimals"),
    "double": ("float4", "float8", "numeric", "int2", "int4", "int8"),
    "varchar": ("text", "varchar", "bpchar", "enum"),
    "date": ("date", "timestamp", "timestamptz"),
}
"""By kind of a column: the types whose values convert exactly. Times count as their day, UTC."""

_SHOWN: Mapping[str, str] = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bpchar": "char(n)",
}


@dataclass(frozen=True)
class FoundColumn:
    """A column. number: PostgreSQL's, which a renamed column keeps. written, base: its type, and that below domains."""

    name: str
    number: int
    type_number: int
    modifier: int
    written: str
    base: str


@dataclass(frozen=True)
class FoundTable:
    """A table that exists. identity: `d`, `i`, `f` or `n`. identity_columns: of the replica identity. unique: the
    columns of each unique index without nulls. has_children: whether other tables inherit from it.
    """

    number: int
    kind: str
    identity: str
    identity_columns: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    has_children: bool
    columns: tuple[FoundColumn, ...]


@dataclass(frozen=True)
class Membership:
    """A table's place in the publication. number: PostgreSQL's number of its entry, another one once it is added again.

    columns: the column list, None for all. has_filter: whether only some rows are published.
    """

    number: str
    columns: tuple[str, ...] | None
    has_filter: bool


@dataclass(frozen=True)
class FoundPublication:
    """A publication that exists. version: another one after each change of its options."""

    number: int
    version: str
    operations: tuple[str, ...]
    via_root: bool
    members: Mapping[TableName, Membership]


@dataclass(frozen=True)
class Catalog:
    """What exists at one moment; None where there is none."""

    publication: FoundPublication | None
    tables: Mapping[TableName, FoundTable | None]


_TOKEN = """
    with followed as (
        select c.oid, c.relname, n.nspname, c.relkind, c.relreplident, c.relhassubclass
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where (n.nspname, c.relname) in (select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
    ), published as (
        select oid, xmin from pg_publication where pubname = %(publication)s
    )
    select concat_ws(
        '|',
        (select concat_ws(',', oid, xmin) from published),
        (select string_agg(concat_ws(',', f.*), ';' order by f.oid) from followed f),
        (select string_agg(r.oid || ',' || r.xmin, ';' order by r.oid) from pg_publication_rel r
         where r.prpubid in (select oid from published)),
        (select string_agg(s.oid || ',' || s.xmin, ';' order by s.oid) from pg_publication_namespace s
         where s.pnpubid in (select oid from published)),
        (select string_agg(concat_ws(',', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod), ';'
                           order by a.attrelid, a.attnum)
         from pg_attribute a
         where a.attrelid in (select oid from followed) and a.attnum > 0 and not a.attisdropped),
        (select string_agg(concat_ws(',', i.indexrelid, i.indisprimary, i.indisreplident), ';' order by i.indexrelid)
         from pg_index i where i.indrelid in (select oid from followed))
    )
"""

_PUBLICATION = """
    select p.oid::bigint, p.xmin::text, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
        p.puballtables
    from pg_publication p where p.pubname = %(publication)s
"""

_MEMBERS = """
    select n.nspname, c.relname,
        coalesce('table ' || r.oid, 'schema ' || s.oid, 'all') as entry,
        r.prqual is not null as has_filter,
        (select array_agg(a.attname::text order by a.attnum) from pg_attribute a
         where a.attrelid = c.oid and a.attnum = any (r.prattrs)) as columns
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_publication p on p.pubname = %(publication)s
    left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
    left join pg_publication_namespace s on s.pnpubid = p.oid and s.pnnspid = n.oid
    where (n.nspname, c.relname) in (select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
    and (r.oid is not null or s.oid is not null or p.puballtables)
"""

_TABLES = """
    select n.nspname, c.relname, c.oid::bigint, c.relkind::text, c.relreplident::text,
        exists (select from pg_inherits h where h.inhparent = c.oid),
        coalesce((
            select jsonb_agg(jsonb_build_object(
                'is_primary', i.indisprimary, 'is_identity', i.indisreplident, 'columns', (
                    select jsonb_agg(a.attname order by a.attnum) from pg_attribute a
                    where a.attrelid = c.oid and a.attnum = any (i.indkey)
                ), 'has_nulls', exists (
                    select from pg_attribute a
                    where a.attrelid = c.oid and a.attnum = any (i.indkey) and not a.attnotnull
                )
            ))
            from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null and i.indexprs is null
            and i.indimmediate and i.indisvalid
        ), '[]')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and (n.nspname, c.relname) in (select * from unnest(%(schemas)s::text[], %(tables)s::text[]))
"""

_COLUMNS = """
    select a.attrelid::bigint, a.attname, a.attnum, a.atttypid::bigint, a.atttypmod,
        format_type(a.atttypid, a.atttypmod), (
            with recursive bases as (
                select t.oid, t.typtype, t.typbasetype, t.typname, t.typnamespace
                from pg_type t where t.oid = a.atttypid
                union all
                select t.oid, t.typtype, t.typbasetype, t.typname, t.typnamespace
                from bases b join pg_type t on t.oid = b.typbasetype where b.typtype = 'd'
            )
            select case
                when typtype = 'e' then 'enum' when typnamespace = 'pg_catalog'::regnamespace then typname::text
                else 'other'
            end from bases where typtype <> 'd'
        )
    from pg_attribute a
    where a.attrelid = any (%(numbers)s::oid[]) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    order by a.attrelid, a.attnum
"""


def catalog_token(connection: psycopg.Connection, publication: str, tables: Tables) -> str:
    """Return a text that differs once the publication or a table has changed, also if the change was undone since."""
    row = connection.execute(_TOKEN, _names(publication, tables)).fetchone()
    assert row is not None
    return str(row[0])


def read_catalog(connection: psycopg.Connection, publication: str, tables: Tables) -> Catalog:
    """Return the publication and the tables."""
    names = _names(publication, tables)
    found: dict[TableName, FoundTable | None] = dict.fromkeys(tables)
    rows = connection.execute(_TABLES, names).fetchall()
    columns: dict[int, list[FoundColumn]] = {row[2]: [] for row in rows}
    for number, *fields in connection.execute(_COLUMNS, {"numbers": list(columns)}).fetchall():
        columns[number].append(FoundColumn(*fields))
    for namespace, table, number, kind, identity, has_children, indexes in rows:
        found[TableName(namespace, table)] = FoundTable(
            number,
            kind,
            identity,
            _identity_columns(identity, indexes),
            tuple(tuple(index["columns"]) for index in indexes if not index["has_nulls"]),
            has_children,
            tuple(columns[number]),
        )
    return Catalog(_publication(connection, names), found)


def _publication(connection: psycopg.Connection, names: Mapping[str, Any]) -> FoundPublication | None:
    row = connection.execute(_PUBLICATION, names).fetchone()
    if row is None:
        return None
    number, version, *published, via_root, _ = row
    members = {
        TableName(namespace, table): Membership(entry, None if columns is None else tuple(columns), has_filter)
        for namespace, table, entry, has_filter, columns in connection.execute(_MEMBERS, names).fetchall()
    }
    operations = tuple(name for name, is_sent in zip(OPERATIONS, published, strict=True) if is_sent)
    return FoundPublication(number, version, operations, via_root, members)


def _identity_columns(identity: str, indexes: list[dict[str, Any]]) -> tuple[str, ...]:
    wanted = {"d": "is_primary", "i": "is_identity"}.get(identity)
    return next((tuple(index["columns"]) for index in indexes if wanted and index[wanted]), ())


def _names(publication: str, tables: Tables) -> dict[str, Any]:
    return {
        "publication": publication,
        "schemas": [name.namespace for name in tables],
        "tables": [name.table for name in tables],
    }


def relation_of(name: TableName, found: FoundTable) -> Relation:
    """Return a table's columns as pgoutput would announce them."""
    columns = tuple(
        Column(
            column.name,
            column.type_number,
            column.modifier,
            found.identity == "f" or column.name in found.identity_columns,
        )
        for column in found.columns
    )
    return Relation(found.number, name.namespace, name.table, found.identity, columns)


def table_faults(name: TableName, found: FoundTable, kinds: Mapping[str, Kind]) -> list[str]:
    """Return why the rows of a table cannot be read or identified, as clauses; empty if they can."""
    if found.kind not in ("r", "p"):
        return ["it is not a table but a view or a foreign table"]
    faults = []
    if found.kind == "r" and found.has_children:
        faults.append("other tables inherit from it, and their rows are published under their own names")
    types = {column.name: column for column in found.columns}
    if missing := [column for column in kinds if column not in types]:
        faults.append(f"it lacks the column {', '.join(missing)}")
    faults += [
        f"column {column} is {types[column].written}, and {_list(_shown(kind))} is needed"
        for column, kind in kinds.items()
        if column in types and not _is_accepted(types[column], kind)
    ]
    if (KEY,) not in found.unique:
        faults.append(f"it has no primary key ({KEY}); run: alter table {name} add primary key ({KEY})")
    elif found.identity == "n" or (found.identity in "di" and found.identity_columns != (KEY,)):
        faults.append(
            f"its replica identity is not ({KEY}), so that deletions do not name the row; "
            f"run: alter table {name} replica identity full"
        )
    return faults


def publication_faults(name: TableName, found: FoundTable, publication: FoundPublication) -> list[str]:
    """Return what the publication leaves out of a table, as clauses; empty if it sends everything."""
    member = publication.members.get(name)
    if member is None:
        return ["it is not in the publication"]
    faults = []
    if missing := [operation for operation in OPERATIONS if operation not in publication.operations]:
        faults.append(f"the publication does not send {', '.join(missing)}")
    if member.has_filter:
        faults.append("the publication has a row filter for it")
    if member.columns is not None and set(member.columns) != {column.name for column in found.columns}:
        faults.append(f"the publication sends only its columns {', '.join(member.columns)}")
    if found.kind == "p" and not publication.via_root:
        faults.append("it has partitions, and the publication sends their rows under the names of the partitions")
    return faults


def _is_accepted(column: FoundColumn, kind: Kind) -> bool:
    if kind == "integer" and column.base == "numeric":
        return column.modifier >= 0 and not (column.modifier - 4) & 0x7FF
    return column.base in _ACCEPTED[kind]


def _shown(kind: Kind) -> list[str]:
    return [_SHOWN.get(name, name) for name in _ACCEPTED[kind]]


def _list(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
