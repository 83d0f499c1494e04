"""Files as cases: which are opened, what can be mapped, what a verdict records, and when a case is opened again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pandera.pandas as pa
import pytest

from quintet.cases import changes, file_mappings
from quintet.cases import store as case_store
from quintet.cases.changes import Author
from quintet.cases.files import CLOSE, MAP, file_kind
from quintet.cases.kind import Choice, Sources, Subject, UnusableVerdictError, check_choices
from quintet.cases.opening import open_from_build
from quintet.ingest.contract import Dataset, fold_header, integer, one_of, timestamp
from quintet.ingest.mapping import shape_of
from quintet.settings import Settings, load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
SALES = Dataset(
    "sales",
    "shop",
    "Sales.",
    pa.DataFrameSchema(
        {
            "sold_at": timestamp("When."),
            "count": integer("How many."),
            "line": one_of("The line.", ("CL", "PL")),
        }
    ),
)
FILE = file_kind("shop", [SALES], ["dumps"], lambda _: 0.5)
TITLES = ["when", "n", "line"]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings({})


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a snapshot with one unread file, one loaded without two rows, one rejected dump, and one without fault."""
    with duckdb.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.ops_batches (dataset text, batch_id text, file text, status text, "at" timestamp,
                message text, rows bigint, rejected bigint, bytes bigint);
            create table marts.ops_unread_files (dataset text, batch_id text, file text, message text, titles text[],
                lacking text[], first_rows text[][], bytes bigint);
            create table marts.ops_rejected_rows (dataset text, batch_id text, file text, reason text);
            insert into marts.ops_batches values
                ('sales', 'good', 'good.csv', 'loaded', '2026-03-01', null, 100, 0, 1000),
                ('sales', 'part', 'part.csv', 'loaded', '2026-03-01', null, 100, 3, 1000),
                ('sales', 'bad', 'bad.csv', 'rejected', '2026-03-01', 'lacks count', 0, 0, 4000),
                ('dumps', 'dump', 'a.sql', 'rejected', '2026-03-01', 'is no dump', 0, 0, 10),
                ('else', 'other', 'b.csv', 'rejected', '2026-03-01', 'of another business', 0, 0, 10);
            insert into marts.ops_unread_files values ('sales', 'bad', 'bad.csv', 'lacks count',
                ['when', 'n', 'line'], ['sold_at', 'count'],
                [['2026-03-01 10:00:00', '7', 'CL'], ['2026-03-01 11:00:00', '8', 'PL']], 4000);
            insert into marts.ops_rejected_rows values
                ('sales', 'part', 'part.csv', 'line must be one of CL, PL, not ''Commercial lines'''),
                ('sales', 'part', 'part.csv', 'count is empty; line must be one of CL, PL, not ''P.L.'''),
                ('sales', 'part', 'part.csv', 'the person was forgotten');
        """)
        yield connection


def opened(store: StateStore, marts: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, case_store.Case]:
    open_from_build(store, FILE, marts, settings, NOW)
    return case_store.all_of_kind(store, *FILE.key)


def decide(store: StateStore, case: case_store.Case, verdict: str, settings: Settings, **choices: str) -> None:
    given = {name.replace("_is_", "="): value for name, value in choices.items()}
    seen = [(case.case_id, case_store.all_of_kind(store, *FILE.key)[case.subject_id].version)]
    changes.decide(
        store, {FILE.key: FILE}, seen, verdict, "known" if verdict == CLOSE else "", Author("Ana", NOW), settings, given
    )


def test_each_file_that_was_not_loaded_or_lost_rows_is_a_case_by_what_it_costs(store, marts, settings) -> None:
    found = opened(store, marts, settings)

    assert {name: (case.title, case.priority) for name, case in found.items()} == {
        "sales bad": ("bad.csv of sales was not loaded", 200.0),  # 4,000 bytes of 10 a row
        "sales part rows": ("part.csv of sales was loaded without 2 rows", 1.0),
        "dumps dump": ("a.sql of dumps was not loaded", 0.5),
    }
    assert found["sales bad"].group_id == f"sales {shape_of(map(fold_header, TITLES))}"


def test_titles_are_offered_by_their_letters_and_by_the_values_below_them(marts) -> None:
    offered = {one.key: one for one in FILE.choices(marts, "sales bad")}

    assert {key: (one.suggested, one.group) for key, one in offered.items()} == {
        "sold_at": ("when", "sold_at"),
        "count": ("n", "count"),
    }
    assert offered["count"].values == ["n", "when"]


def test_spellings_are_offered_with_the_likeliest_value_first(marts) -> None:
    offered = {one.key: one.suggested for one in FILE.choices(marts, "sales part rows")}

    assert offered == {"line=Commercial lines": "CL", "line=P.L.": "PL"}
    assert FILE.choices(marts, "dumps dump") == []


def test_no_value_is_suggested_for_a_spelling_unlike_all_of_them(marts) -> None:
    marts.execute("delete from marts.ops_rejected_rows")
    for spelling in ("yes", "private", "commercial"):
        reason = f"line must be one of CL, PL, not '{spelling}'"
        marts.execute("insert into marts.ops_rejected_rows values ('sales', 'part', 'part.csv', ?)", [reason])
    offered = {one.key: (one.suggested, list(one.values)) for one in FILE.choices(marts, "sales part rows")}

    assert offered == {
        "line=commercial": ("CL", ["CL", "PL"]),
        "line=private": ("PL", ["PL", "CL"]),
        "line=yes": ("", ["CL", "PL"]),
    }


def test_a_verdict_maps_the_titles_for_files_of_this_shape(store, marts, settings) -> None:
    case = opened(store, marts, settings)["sales bad"]
    decide(store, case, MAP, settings, count="n", sold_at="when")

    found = file_mappings.active(store)["sales"]
    assert found.columns == {shape_of(map(fold_header, TITLES)): {"n": "count", "when": "sold_at"}}
    (event,) = [one for one in case_store.history(store, case.case_id) if one.action == "decided"]
    assert event.reason == "count: n; sold_at: when"


def test_the_same_verdict_again_changes_nothing_and_another_choice_replaces_it(store, marts, settings) -> None:
    case = opened(store, marts, settings)["sales bad"]
    for _ in range(2):
        decide(store, case, MAP, settings, count="n", sold_at="when")
    assert len(case_store.history(store, case.case_id)) == 2
    decide(store, case, MAP, settings, count="when", sold_at="n")

    (columns,) = file_mappings.active(store)["sales"].columns.values()
    assert columns == {"when": "count", "n": "sold_at"}


def test_leaving_a_file_out_takes_its_mapping_back(store, marts, settings) -> None:
    case = opened(store, marts, settings)["sales part rows"]
    decide(store, case, MAP, settings, **{"line_is_P.L.": "PL"})
    assert file_mappings.active(store)["sales"].spellings == {"line": {"P.L.": "PL"}}
    decide(store, case, CLOSE, settings)

    assert file_mappings.active(store) == {}


def test_a_mapped_file_waits_for_the_build_and_its_case_opens_again_if_another_case_takes_the_mapping_back(
    store, marts, settings
) -> None:
    marts.execute(
        "insert into marts.ops_unread_files select * replace ('twin' as batch_id) from marts.ops_unread_files"
    )
    first, second = (opened(store, marts, settings)[name] for name in ("sales bad", "sales twin"))
    for case in (first, second):
        decide(store, case, MAP, settings, count="n", sold_at="when")
    assert opened(store, marts, settings)["sales twin"].verdict == MAP
    decide(store, first, CLOSE, settings)
    again = opened(store, marts, settings)

    assert (again["sales twin"].state, again["sales bad"].verdict) == ("open", CLOSE)


def test_taking_a_mapping_back_leaves_what_another_case_has_mapped_differently_since(store, marts, settings) -> None:
    marts.execute(
        "insert into marts.ops_unread_files select * replace ('twin' as batch_id, ['when', 'N', 'line'] as titles) "
        "from marts.ops_unread_files"
    )
    first, second = (opened(store, marts, settings)[name] for name in ("sales bad", "sales twin"))
    decide(store, first, MAP, settings, count="n", sold_at="when")
    decide(store, second, MAP, settings, count="when", sold_at="N")
    decide(store, first, CLOSE, settings)

    (columns,) = file_mappings.active(store)["sales"].columns.values()
    assert columns == {"when": "count", "n": "sold_at"}
    decide(store, second, CLOSE, settings)
    assert file_mappings.active(store) == {}


def test_a_spelling_that_another_case_takes_back_opens_its_case_again_beside_other_spellings(
    store, marts, settings
) -> None:
    marts.execute(
        "insert into marts.ops_rejected_rows select * replace ('twin' as batch_id) from marts.ops_rejected_rows"
    )
    first, second = (opened(store, marts, settings)[f"sales {name} rows"] for name in ("part", "twin"))
    decide(store, first, MAP, settings, **{"line_is_P.L.": "PL"})
    decide(store, second, MAP, settings, **{"line_is_P.L.": "PL", "line_is_Commercial lines": "CL"})
    assert opened(store, marts, settings)["sales twin rows"].verdict == MAP
    decide(store, first, CLOSE, settings)
    again = opened(store, marts, settings)

    assert (again["sales twin rows"].state, again["sales part rows"].verdict) == ("open", CLOSE)


def test_a_verdict_while_the_cases_of_a_build_are_opened_stays(store, marts, settings) -> None:
    case = opened(store, marts, settings)["sales bad"]
    decide(store, case, MAP, settings, count="n", sold_at="when")
    decide(store, case, CLOSE, settings)

    def in_build(marts: duckdb.DuckDBPyConnection, sources: Sources) -> list[Subject]:
        found = [replace(one, reopened_after=frozenset({MAP})) for one in FILE.in_build(marts, sources)]
        decide(store, case, MAP, settings, count="n", sold_at="when")
        return found

    open_from_build(store, replace(FILE, in_build=in_build), marts, settings, NOW)

    assert case_store.all_of_kind(store, *FILE.key)["sales bad"].verdict == MAP


def test_a_key_of_a_request_belongs_to_its_choices(store, marts, settings) -> None:
    case = opened(store, marts, settings)["sales bad"]
    author = Author("Ana", NOW, "key")

    def send(**choices: str) -> None:
        changes.decide(store, {FILE.key: FILE}, [(case.case_id, 1)], MAP, "", author, settings, choices)

    send(count="n", sold_at="when")
    send(count="n", sold_at="when")
    with pytest.raises(changes.ConflictError, match="belongs to another change"):
        send(count="when", sold_at="n")


def test_a_file_that_was_loaded_meanwhile_needs_nobody(store, marts, settings) -> None:
    opened(store, marts, settings)
    marts.execute("delete from marts.ops_unread_files")

    assert opened(store, marts, settings)["sales bad"].verdict == "withdrawn"


@pytest.mark.parametrize(("verdict", "choices"), [(MAP, {}), (CLOSE, {"count": "n"})])
def test_a_verdict_has_choices_exactly_where_it_takes_them(store, marts, settings, verdict, choices) -> None:
    case = opened(store, marts, settings)["sales bad"]
    with pytest.raises(UnusableVerdictError, match="choices"):
        decide(store, case, verdict, settings, **choices)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"size": "n"}, "choices has 'size', which cannot be chosen here; there are count, sold_at, line"),
        ({"count": "m"}, "choices: count is 'm'; it must be one of n, when"),
        ({"count": "n", "sold_at": "n"}, "choices has n more than once"),
        ({"count": "n"}, "choices has nothing for sold_at"),
        ({"count": "n", "sold_at": "when"}, None),
    ],
)
def test_choices_are_among_those_offered_and_complete(given: dict[str, str], problem: str | None) -> None:
    offered = [
        Choice("count", "", ["n", "when"], group="count", is_exclusive=True),
        Choice("sold_at", "", ["n", "when"], group="sold_at", is_exclusive=True),
        Choice("line", "", ["n"]),
    ]
    if problem is None:
        check_choices(offered, given)
        return
    with pytest.raises(UnusableVerdictError, match=problem):
        check_choices(offered, given)


def test_a_spelling_in_another_case_is_one_mapping_and_the_last_one_applies(store) -> None:
    for known, given in (("CL", " Old "), ("PL", "old")):
        with store.write() as connection:
            one = file_mappings.Mapped("sales", "", "line", given, known)
            file_mappings.record(connection, "case", [one], NOW, "Ana", is_active=True)

    assert file_mappings.active(store)["sales"].spellings == {"line": {"old": "PL"}}
