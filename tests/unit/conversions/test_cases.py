"""Cases of conversions: every pair in review, and one random sample a week of the matches that nobody has judged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from quintet.cases.kind import Sources, Subject
from quintet.conversions.cases import in_build
from quintet.domains import open_state_store
from quintet.settings import load_settings

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    with closing(open_state_store(tmp_path)) as store:
        yield Sources(load_settings({"QUINTET_MATCH_SAMPLE": "10"}), store, NOW)


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.fct_conversion_matches as
            select id as conversion_id, 'row-' || id as broker_row_id, 'first' as partner, 5 as lag_seconds,
                (case when id <= 200 then 0.9 else 0.4 end)::double as match_probability,
                case when id <= 200 then 'matched' else 'review' end as tier
            from range(1, 221) as ids(id);
            create table marts.ops_verdicts (kind varchar, subject_id varchar);
            """
        )
        yield connection


def sample(found: list[Subject]) -> set[str]:
    return {one.subject_id for one in found if one.origin == "sample"}


def test_pairs_in_review_and_a_sample_of_the_matches_with_its_share(
    marts: duckdb.DuckDBPyConnection, sources: Sources
) -> None:
    found = list(in_build(marts, sources))
    review = [one for one in found if one.origin == "build"]
    assert {one.subject_id for one in review} == {f"{one} row-{one}" for one in range(201, 221)}
    assert {one.share for one in found if one.origin == "sample"} == {10 / 200}
    assert len(sample(found)) == 10
    assert sample(list(in_build(marts, sources))) == sample(found), "a rebuild draws the same"


def test_a_week_has_one_sample_and_the_next_one_another(marts: duckdb.DuckDBPyConnection, sources: Sources) -> None:
    first = sample(list(in_build(marts, sources)))
    assert sample(list(in_build(marts, replace(sources, has_case=lambda group: group == "sample 2026-W10")))) == set()
    later = sample(list(in_build(marts, replace(sources, now=NOW + dt.timedelta(days=7)))))
    assert len(later) == 10
    assert later != first


def test_what_a_person_has_judged_is_not_drawn_again(marts: duckdb.DuckDBPyConnection, sources: Sources) -> None:
    judged = sample(list(in_build(marts, sources)))
    marts.executemany("insert into marts.ops_verdicts values ('pair', ?)", [[one] for one in judged])
    again = list(in_build(marts, sources))
    assert not sample(again) & judged
    assert {one.share for one in again if one.origin == "sample"} == {10 / 190}


def test_without_matches_there_is_no_sample(marts: duckdb.DuckDBPyConnection, sources: Sources) -> None:
    marts.execute("delete from marts.fct_conversion_matches")
    assert list(in_build(marts, sources)) == []
