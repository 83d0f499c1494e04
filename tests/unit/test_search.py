"""An id, or its beginning, finds the rows that a business declares; nothing else of a row is searched."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from quintet.search import Hit, Searched, search, search_tables

AGENCY = Searched("agency", "agencies", "id", "/agencies/{id}", "vendor")
INCIDENT = Searched("incident", "incidents", "id", "/payments?day={day}#{id}", "", (("day", "started_at::date"),))
MISSING = Searched("ghost", "not_built", "id", "/ghosts/{id}")


@pytest.fixture
def cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "create table agencies as select * from (values (47, 'V'), (470, null), (5, '47')) t(id, vendor)"
        )
        connection.execute(
            "create table incidents as select 'A%/b' as id, timestamp '2024-01-02 03:04:00' as started_at"
        )
        yield connection


def found(cursor: duckdb.DuckDBPyConnection, text: str, most: int = 9) -> list[Hit]:
    return list(search(cursor, (AGENCY, INCIDENT, MISSING), text, most))


def test_the_same_id_comes_before_longer_ones(cursor: duckdb.DuckDBPyConnection) -> None:
    assert found(cursor, " 47 ") == [Hit("agency", "47", "/agencies/47", "V"), Hit("agency", "470", "/agencies/470")]
    assert [hit.id for hit in found(cursor, "47", most=1)] == ["47"]


def test_a_text_is_no_pattern_and_an_address_is_quoted(cursor: duckdb.DuckDBPyConnection) -> None:
    assert found(cursor, "a%") == [Hit("incident", "A%/b", "/payments?day=2024-01-02#A%25%2Fb")]
    assert found(cursor, "%") == []
    assert found(cursor, "V") == [], "descriptions are not searched"


def test_a_table_is_found_by_a_part_of_its_name_the_published_one_first() -> None:
    names = [hit.id for hit in search_tables("agency_performance", 9)]

    assert names[0] == "inbox.agency_performance"
    assert "marts.fct_agency_performance" in names
    assert search_tables("marts.dim_agency", 9)[0].page == "/pipeline?asset=marts%2Fdim_agency"
    assert search_tables("no such table", 9) == []
