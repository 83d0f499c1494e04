"""Trace the columns of a query to the table columns that they are computed from."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

_DIALECT = "duckdb"

Tables = Mapping[str, Mapping[str, Mapping[str, str]]]
"""By schema, table and column: the data type."""


class UntraceableQueryError(ValueError):
    """The query's columns cannot be traced; the message says why."""


def trace_columns(sql: str, tables: Tables) -> dict[str, list[tuple[str, str, str]]]:
    """Return for each column of a query the columns that it is computed from, as schema, table and column.

    A column that is computed from none, such as a count of rows, has an empty list; so have columns that a function
    such as `range` or an UNPIVOT makes. Conditions and join keys are no source of a column. Tables that the query reads
    and that are not in `tables` are traced where it names the columns.
    Raises UntraceableQueryError where the query cannot be parsed, reads all columns of a table that is not in `tables`,
    or unites other columns by name than by place.
    """
    known: dict[str, object] = dict(tables)
    try:
        query = parse_one(sql, dialect=_DIALECT)
        for table in query.find_all(exp.Table):
            table.set("catalog", None)  # the schemas of all files of the warehouse are one
        query = qualify(query, schema=known, dialect=_DIALECT, validate_qualify_columns=False)
        if not isinstance(query, exp.Query):
            raise UntraceableQueryError("it is no query")
        _check_is_traceable(query)
        scope = build_scope(query)
        return {
            name: _leaves(lineage(name, query, {}, dialect=_DIALECT, scope=scope, trim_selects=False, copy=False))
            for name in query.named_selects
        }
    except SqlglotError as error:
        raise UntraceableQueryError(str(error).partition("\n")[0]) from None


def _check_is_traceable(query: exp.Query) -> None:
    """Raise UntraceableQueryError for what the tracing would give wrong columns for, or no columns."""
    for select in query.find_all(exp.Select):
        if select.is_star and any(table.db for table in select.find_all(exp.Table)):
            raise UntraceableQueryError("it reads all columns of a table whose columns are unknown")
    for union in query.find_all(exp.SetOperation):
        if union.args.get("by_name") and union.left.named_selects != union.right.named_selects:
            raise UntraceableQueryError("the parts of a UNION BY NAME have other columns, or another order of them")


def _leaves(root: Node) -> list[tuple[str, str, str]]:
    """Return the columns of tables at the ends of a column's lineage, sorted."""
    found = set()
    for node in root.walk():
        if not node.downstream and isinstance(node.expression, exp.Table) and node.expression.db:
            found.add((node.expression.db, node.expression.name, exp.to_column(node.name).name))
    return sorted(found)
