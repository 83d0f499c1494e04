"""Erase a person from what the service and the stream have written."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

from quintet.cases.store import erase_person
from quintet.erasure.warehouse import Person
from quintet.replicated import EPOCH
from quintet.replication.flow import FLUSHED
from quintet.state.features import FILE as FEATURES
from quintet.state.store import FILE, Connection, StateStore
from quintet.state_place import Place, place_of
from quintet.warehouse.sql import quote_identifier

_CASES = "cases"


def erase_from_state(place: Place, person: Person, now: dt.datetime) -> Counter[str]:
    """Erase a person from the tables of its domain, and close its cases; return the rows by table. now: UTC."""
    counts: Counter[str] = Counter()
    persons = person.persons
    state, mentions = persons.state, persons.state_mentions
    for file in sorted({FILE, *(file for file, _ in (*state, *mentions))}):
        named = {table for of, table in (*state, *mentions) if of == file} | ({_CASES} if file == FILE else set())
        with _rewritten(place, file, named) as (connection, tables):
            for (of, table), column in state.items():
                if of == file and table in tables:
                    counts[f"{file} {table}"] += connection.execute(
                        f"delete from {quote_identifier(table)} where cast({quote_identifier(column)} as text) = ?",
                        (person.id,),
                    ).rowcount
            for (of, table), column in mentions.items():
                if of == file and table in tables:
                    counts[f"{file} {table}"] += connection.execute(
                        f"update {quote_identifier(table)} set {quote_identifier(column)} = ? "
                        f"where {quote_identifier(column)} = ?",
                        (person.pseudonym, person.id),
                    ).rowcount
            if file == FILE and _CASES in tables:
                counts[f"{file} cases"] += erase_person(connection, persons.kind, person.id, person.pseudonym, now)
    return counts


def empty_features(place: Place) -> None:
    """Empty the stream's features, which the next start of the stream builds again from the change log.

    What was acknowledged to PostgreSQL stays known, so that a slot that has moved on is still noticed.
    """
    with _rewritten(place, FEATURES, {"rows", "states", "facts"}) as (connection, tables):
        for table in tables - {"facts"}:
            connection.execute(f"delete from {table}")
        if "facts" in tables:
            connection.execute("delete from facts where name not in (?, ?)", (EPOCH, FLUSHED))


@contextmanager
def _rewritten(place: Place, file: str, tables: Collection[str]) -> Iterator[tuple[Connection, set[str]]]:
    """Yield a transaction and those of the tables that exist; rewrite them so that no freed page or log keeps what was
    there. A file that does not exist is not created.
    """
    where = place_of(place)
    if where.url is None and not (where.folder / file).exists():
        yield None, set()
        return
    with closing(StateStore(where, file)) as store:
        present = {table for table in tables if store.has_table(table)}
        if store.is_file:
            store.read().execute("pragma secure_delete = on")
        with store.write() as connection:
            yield connection, present
        store.rewrite(sorted(present))
