"""Search by id: what each business declares as findable, and what an id or its beginning finds in a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import duckdb

from quintet.pipeline import lineage

FEWEST_LETTERS = 1
LONGEST = 100
"""The longest text that is searched for; no id is longer."""


@dataclass(frozen=True)
class Searched:
    """Rows that are found by an id.

    kind: what one is, in the singular. table: `schema.table`. column: with the id. page: its path, with `{id}` or a
    name of `also` in it. words: an SQL expression that describes a row, or "". also: names with their SQL expressions.
    """

    kind: str
    table: str
    column: str
    page: str
    words: str = ""
    also: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hit:
    """A row that was found: its kind, its id, its path, and a description."""

    kind: str
    id: str
    page: str
    words: str = ""


def search(cursor: duckdb.DuckDBPyConnection, declared: Sequence[Searched], text: str, most: int) -> Iterator[Hit]:
    """Yield what has the text as its id first, then what begins with it; at most `most` of a kind.

    Upper and lower case are the same. A table that is not built yet has no rows.
    """
    for one in declared:
        yield from _hits(cursor, one, text.strip().lower(), most)


def search_tables(text: str, most: int) -> list[Hit]:
    """Return the tables and reports of the pipeline whose name has the text in it."""
    wanted = text.strip().lower().replace(".", "/")
    found = [asset for asset in lineage().values() if wanted in asset.key.lower()]
    found.sort(
        key=lambda asset: (asset.key.rpartition("/")[2] != wanted, not asset.key.startswith("marts/"), asset.key)
    )
    return [
        Hit("table", asset.key.replace("/", "."), f"/pipeline?asset={quote(asset.key, safe='')}", asset.description)
        for asset in found[:most]
    ]


def _hits(cursor: duckdb.DuckDBPyConnection, one: Searched, text: str, most: int) -> list[Hit]:
    columns = [f"({value})::varchar" for _, value in one.also]
    try:
        rows = cursor.execute(
            f"select {one.column}::varchar as found_id, {', '.join([one.words or 'null', *columns])} "
            f"from {one.table} where starts_with(lower({one.column}::varchar), $text) "
            "order by length(found_id), found_id limit $most",
            {"text": text, "most": most},
        ).fetchall()
    except duckdb.CatalogException:
        return []
    hits = []
    for found, words, *others in rows:
        values = {"id": quote(found, safe="")} | {
            name: quote(value or "", safe="") for (name, _), value in zip(one.also, others, strict=True)
        }
        hits.append(Hit(one.kind, found, one.page.format_map(values), words or ""))
    return hits
