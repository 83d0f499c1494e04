"""Conversions over HTTP and as a page: answers equal the snapshot, and an invalid query says why."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from markupsafe import escape

from quintet.conversions.analysis_tables import read_analysis, read_frame
from quintet.conversions.executive_summary import beyond_levels
from quintet.conversions.selection import Selection, selected_cells, selected_funnel
from quintet.conversions.visit_groups import visit_groups
from quintet.warehouse.snapshot import open_snapshot
from quintet.web.pages.conversions_parts import FIGURES, TABS
from tests.web.service import items

MATCHES = "/v1/conversions/matches"


@pytest.fixture(scope="module")
def snapshot(built_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_snapshot((built_home / "serving" / "current.duckdb").resolve()) as connection:
        yield connection


def ids(snapshot: duckdb.DuckDBPyConnection, condition: str) -> list[int]:
    found = snapshot.execute(
        "select conversion_id from marts.fct_unified_journeys where is_matched and " + condition + " order by all"
    ).fetchall()
    return [conversion_id for (conversion_id,) in found]


def test_the_pages_of_matches_equal_the_matched_journeys(
    client: TestClient, snapshot: duckdb.DuckDBPyConnection
) -> None:
    listed = items(client, MATCHES, page_size=1_000)

    assert [match["conversion_id"] for match in listed] == ids(snapshot, "true")
    assert len({match["broker_row_id"] for match in listed}) == len(listed) > 1_000
    assert all(match["lag_seconds"] >= 0 for match in listed)


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        ({"country": "DE,FR"}, "country_iso2 in ('DE', 'FR')"),
        ({"page_category": "Broker finder"}, "page_category = 'Broker finder'"),
        ({"is_mobile": "true"}, "is_mobile"),
        ({"partner": "another"}, "false"),
        ({"since": "2024-05-01", "until": "2024-05-03"}, "created_at::date in ('2024-05-01', '2024-05-02')"),
        (
            {"since": "2024-05-01T02:00:00+02:00", "until": "2024-05-03"},
            "created_at::date in ('2024-05-01', '2024-05-02')",
        ),
    ],
)
def test_filters_select_matching_rows(
    client: TestClient, snapshot: duckdb.DuckDBPyConnection, asked: dict[str, Any], condition: str
) -> None:
    listed = items(client, MATCHES, page_size=1_000, **asked)

    assert [match["conversion_id"] for match in listed] == ids(snapshot, condition)
    assert (condition == "false") == (not listed)


def test_pairs_for_review_are_listed_apart(client: TestClient, snapshot: duckdb.DuckDBPyConnection) -> None:
    listed = items(client, MATCHES, tier="review", page_size=1_000)

    assert {match["tier"] for match in listed} == {"review"}
    [(count,)] = snapshot.execute(
        "select count(*) from marts.fct_unified_journeys where unmatched_reason = 'in_review'"
    ).fetchall()
    assert len(listed) == count > 0


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"tier": "sure"}, "query.tier"),
        ({"since": "yesterday"}, "query.since"),
        ({"until": "1.5"}, "query.until"),
        ({"colour": "red"}, "query.colour"),
    ],
)
def test_an_invalid_query_says_why(client: TestClient, asked: dict[str, str], names: str) -> None:
    answer = client.get(MATCHES, params=asked)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == names


def test_the_funnel_adds_up_and_has_the_quality_of_the_matches(
    client: TestClient, snapshot: duckdb.DuckDBPyConnection
) -> None:
    answer = client.get("/v1/conversions/funnel").json()

    steps = {(step["side"], step["step"]): step["rows"] for step in answer["items"]}
    [(conversions, matched)] = snapshot.execute(
        "select count(*), count(*) filter (where is_matched) from marts.fct_unified_journeys"
    ).fetchall()
    assert (steps["clicks", "all"], steps["clicks", "matched"]) == (conversions, matched)
    assert sum(outcome["rows"] for outcome in answer["outcomes"] if outcome["side"] == "clicks") == conversions
    assert answer["quality"]["expected_precision"] > 0.9
    assert max(each["false_match_rate"] for each in answer["quality"]["placebo"]) < 0.05
    assert answer["snapshot"] == client.get("/readyz").json()["snapshot"]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_matches_and_every_finding_of_the_run(
    client: TestClient, snapshot: duckdb.DuckDBPyConnection
) -> None:
    page = client.get("/conversions").text

    [(matched,)] = snapshot.execute("select count(*) from marts.fct_unified_journeys where is_matched").fetchall()
    assert f"{matched:,} of " in page
    findings = snapshot.execute("select finding from ml.conversion_findings").fetchall()
    assert all(str(escape(finding)) in page for (finding,) in findings)
    besides = client.get("/conversions?tab=lost").text
    texts = snapshot.execute(
        "select text from ml.conversion_insights where topic in ('funnel', 'residency', 'data')"
    ).fetchall()
    assert texts
    assert all(html.escape(text[:30], quote=False) in besides for (text,) in texts)


def test_the_page_and_the_report_have_one_ranking(client: TestClient, snapshot: duckdb.DuckDBPyConnection) -> None:
    analysis, groups = read_analysis(snapshot), visit_groups(snapshot)
    listed = pd.read_csv(io.StringIO(client.get("/conversions/figures/findings.csv").text))
    worth = dict(zip(listed["finding"], listed["customers"], strict=True))
    besides = {one.finding.text: one.customers for one in beyond_levels(snapshot, analysis.outcomes, groups)}
    of_levels = dict(zip(analysis.findings["finding"], analysis.findings["customers"], strict=True))

    assert worth == pytest.approx(besides | of_levels)
    assert listed["customers"].is_monotonic_decreasing
    assert besides


def test_the_cube_without_a_filter_equals_the_counts_of_the_run(snapshot: duckdb.DuckDBPyConnection) -> None:
    own, stored = selected_cells(snapshot, Selection()), read_frame(snapshot, "cells")

    pd.testing.assert_frame_equal(own, stored, check_dtype=False)
    funnel = selected_funnel(snapshot, Selection()).set_index("step")["rows"]
    of_run = read_frame(snapshot, "funnel").query("side == 'clicks'").set_index("step")["rows"]
    assert funnel.loc[of_run.index].tolist() == of_run.tolist()


def test_filters_are_in_the_address_and_select_conversions(
    client: TestClient, snapshot: duckdb.DuckDBPyConnection
) -> None:
    query = {"country": "DE", "device": "mobile", "date_from": "2024-05-02", "date_to": "2024-05-03"}
    page = client.get("/conversions", params=query).text

    [(matched,)] = snapshot.execute(
        "select count(*) from marts.fct_unified_journeys where is_matched and country_iso2 = 'DE' and is_mobile "
        "and created_at::date between '2024-05-02' and '2024-05-03'"
    ).fetchall()
    assert f"{matched:,} of " in page
    tabs = re.findall(r'href="(/conversions\?tab=[^"]+)"', page)
    assert len(tabs) == len(TABS) - 1
    assert all("country=DE" in tab and "device=mobile" in tab for tab in tabs), "a tab keeps the filters"


@pytest.mark.parametrize("tab", TABS)
def test_every_figure_and_table_of_a_tab_has_its_csv(client: TestClient, tab: str) -> None:
    page = client.get("/conversions", params={"tab": tab}).text
    links = [html.unescape(link) for link in re.findall(r'href="(/conversions/figures/[^"]+)"', page)]

    assert len(re.findall(r'class="csv"', page)) == len(FIGURES[tab])
    for link in links:
        answer = client.get(link)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), link
        assert len(answer.text.splitlines()) > 1, link


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("date_from=May", "is no day; write one like 2024-05-01"),
        ("date_from=2024-05-03&date_to=2024-05-01", "swap the two"),
        ("country=Atlantis", "is not in the data"),
        ("device=fax", "is none of"),
        ("tab=wrong", "is none of findings, pages"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong(client: TestClient, query: str, words: str) -> None:
    page = client.get(f"/conversions?{query}")

    assert page.status_code == 200
    assert words in page.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/conversions/figures/nothing.csv", 404),
        ("/conversions/figures/lag.csv?partner=unknown", 422),
        ("/conversions/files/..%2Fonline%2Fonline.sqlite", 404),
        ("/conversions/files/unknown.pdf", 404),
    ],
)
def test_an_unknown_file_or_figure_is_refused(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_an_unknown_measure_is_reported_beside_the_filters(client: TestClient) -> None:
    page = client.get("/conversions", params={"measure": "<b>luck</b>"})

    assert page.status_code == 200
    assert "is none of match_rate, important_share, mean_score" in page.text
    assert "<b>luck" not in page.text
