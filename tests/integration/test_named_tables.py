"""Every table that a document, the notebook, a page or a report names exists where its reader looks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import nbformat
import pytest

from quintet.warehouse.snapshot import current_snapshot, open_snapshot

_PROJECT = Path(__file__).parents[2]
_QUINTET = _PROJECT / "quintet"
_DOCUMENTS = [_PROJECT / "README.md", _PROJECT / "CONTRIBUTING.md", *sorted((_PROJECT / "docs").rglob("*.md"))]
_SHOWN = [
    *sorted((_PROJECT / "notebooks").glob("*.ipynb")),
    *sorted((_QUINTET / "web" / "templates").glob("*.html")),
    *sorted(
        path
        for path in _QUINTET.rglob("*.py")
        if re.search("report|insights|charts|headline", path.stem) or path.parent.name == "pages"
    ),
]
"""What is shown to people who have the snapshot and not the warehouse."""
_SCHEMAS = ("marts", "ml", "raw", "staging", "intermediate", "matching", "ops")
_NAME = re.compile(
    rf"(?<![\w./-])(?:({'|'.join(_SCHEMAS)})\.(?!(?:md|py|sql|yml)\b)([a-z_]\w*)|((?:fct|dim|agg|stg|int)_\w+))\b"
)
_OF_THE_SIXTH_BUSINESS = {path.stem for path in (_PROJECT / "tests" / "sixth_domain").rglob("*.sql")}

Table = tuple[str, str]


def _named(text: str) -> set[Table]:
    """Return the tables that a text names, with their schema or an empty text."""
    return {(schema, name or bare) for schema, name, bare in _NAME.findall(text)}


def _unknown(text: str, tables: set[Table]) -> set[str]:
    """Return the names that are no table; a name that ends in an underscore stands for all that begin with it."""
    unknown = set()
    for schema, name in _named(text):
        of_schema = {each for where, each in tables if not schema or where == schema}
        is_prefix = name.endswith("_") and any(each.startswith(name) for each in of_schema)
        if name not in of_schema | _OF_THE_SIXTH_BUSINESS and not is_prefix:
            unknown.add(f"{schema}.{name}".lstrip("."))
    return unknown


def _shown_text(path: Path) -> str:
    """Return what a file shows: the cells of a notebook, the strings of a module without docstrings, a template."""
    match path.suffix:
        case ".ipynb":
            return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
        case ".py":
            return "\n".join(_strings(ast.parse(path.read_text("utf-8"))))
        case _:
            return path.read_text("utf-8")


def _strings(tree: ast.AST) -> Iterator[str]:
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def _tables(connection: duckdb.DuckDBPyConnection) -> set[Table]:
    return set(
        connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        + connection.execute("select schema_name, view_name from duckdb_views()").fetchall()
    )


@pytest.fixture(scope="module")
def published(built_home: Path) -> set[Table]:
    with open_snapshot(current_snapshot(built_home / "serving")) as snapshot:
        return _tables(snapshot)


@pytest.fixture(scope="module")
def stored(built_home: Path, published: set[Table]) -> set[Table]:
    with duckdb.connect(str(built_home / "warehouse.duckdb"), read_only=True) as warehouse:
        return published | _tables(warehouse)


@pytest.mark.parametrize("path", _SHOWN, ids=lambda path: str(path.relative_to(_PROJECT)))
def test_what_is_shown_names_published_tables_only(path: Path, published: set[Table]) -> None:
    assert _unknown(_shown_text(path), published) == set()


@pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: str(path.relative_to(_PROJECT)))
def test_a_document_names_tables_that_a_run_builds(path: Path, stored: set[Table]) -> None:
    assert _unknown(path.read_text("utf-8"), stored) == set()


def test_a_table_that_is_not_there_is_found() -> None:
    tables = {("marts", "fct_conversions"), ("raw", "conversions"), ("ml", "matching_model")}
    assert _unknown("`marts.fct_conversions`, fct_conversions, raw.conversions and ml.matching_…", tables) == set()
    text = "`marts.fct_clicks`, `dim_nothing`, raw.fct_conversions and ml.lags_…"
    assert _unknown(text, tables) == {"marts.fct_clicks", "dim_nothing", "raw.fct_conversions", "ml.lags_"}


def test_the_strings_of_a_module_are_read_and_its_docstrings_are_not() -> None:
    module = ast.parse('"""About marts.gone."""\nQUERY = f"from marts.fct_{name}"\n')
    assert list(_strings(module)) == ["from marts.fct_"]
