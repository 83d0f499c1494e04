import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse
from quintet.conversions.insights_report import QUERY, insights_report
from quintet.conversions.pipeline_report import pipeline_report
from quintet.presentation.blocks import Chart, Points, Report, Section, Table, Text, Tiles
from quintet.presentation.report import pdf
from tests.evidence import checked
from tests.unit.conversions.journeys import (
    CHANGES,
    MATCHERS,
    every_count,
    make_journeys,
    open_reported_snapshot,
    write_findings,
)


def better_on_desktop(conversions: pd.DataFrame) -> np.ndarray:
    return np.where(conversions["is_mobile"], 0.02, 0.07)


def make(conversions: pd.DataFrame) -> tuple[Report, Report]:
    connection = open_reported_snapshot(conversions)
    analysis = analyse(every_count(connection))
    return insights_report(connection, analysis), pipeline_report(connection, analysis, CHANGES, MATCHERS)


def words(section: Section) -> str:
    parts = [section.title]
    for block in section.blocks:
        match block:
            case Text():
                parts.append(block.text)
            case Points():
                parts += [" ".join(point) for point in block.points]
            case Tiles():
                parts += [" ".join(tile) for tile in block.tiles]
            case Chart():
                parts += [block.figure.title, block.figure.alternative]
            case Table():
                parts.append(block.caption)
    return "\n".join(parts)


def whole(report: Report) -> str:
    return "\n".join([report.title, *map(words, (*report.sections, *report.appendix))])


def test_the_title_is_the_finding_and_the_foot_names_the_snapshot():
    conversions = make_journeys(4_000, 1)
    report, _ = make(conversions)
    rows = conversions["is_matched"].sum()
    assert report.title.startswith(f"{rows / (rows + 3):.1%} of the broker's rows are matched to a conversion")
    assert (report.snapshot_id, report.published_at) == ("snap-1", dt.datetime(2024, 6, 1, 10))


def test_the_report_has_a_planted_effect_with_its_action_and_no_absent_one():
    found, _ = make(make_journeys(8_000, 1, better_on_desktop))
    none, _ = make(make_journeys(8_000, 1))
    assert "Test the path from conversion to registration on mobile" in whole(found)
    assert "Test the path" not in whole(none)
    assert "important scores by device" in whole(none).split("No significant difference was found in: ")[1]


def test_the_model_report_has_the_expected_quality_and_the_changes():
    report, _ = make(make_journeys(2_000, 2))
    text = whole(report)
    for expected in (
        "Expected precision 99.00%",
        "Placebo rate 0.40%",
        "Against version aaa",
        "Rows matched at random",
    ):
        assert expected in text


def weak_on_mobile_guides(conversions: pd.DataFrame) -> np.ndarray:
    is_weak = conversions["is_mobile"] & (conversions["page_category"] == "Guides")
    return np.where(is_weak, 0.005, 0.2)


def test_the_first_page_names_a_planted_group_and_its_numbers_are_those_of_its_queries():
    conversions = make_journeys(8_000, 1, weak_on_mobile_guides)
    connection = open_reported_snapshot(conversions)
    analysis = analyse(every_count(connection))
    write_findings(connection, analysis.findings)
    report = insights_report(connection, analysis)
    assert any("Visitors with phones" in each.text and "“Guides”" in each.text for each in report.findings)
    assert checked(connection, report) >= 2


def test_without_an_effect_no_group_is_on_the_first_page():
    report, _ = make(make_journeys(8_000, 1))
    assert not any("per 1,000" in each.text for each in report.findings)


def test_the_query_of_the_report_returns_its_figures():
    conversions = make_journeys(2_000, 3)
    again = conversions.assign(
        conversion_id=conversions["conversion_id"] + 2_000, broker_row_id=conversions["broker_row_id"] + " again"
    )
    scanned = conversions.assign(is_scanner_traffic=conversions["conversion_id"] <= 300)
    connection = open_reported_snapshot(pd.concat([scanned, again]))
    rates = analyse(every_count(connection)).rates
    of_device = rates[(rates["measure"] == "important_share") & (rates["dimension"] == "device")]
    expected = {level: (n, total) for level, n, total in of_device[["level", "n", "total"]].itertuples(index=False)}
    found = connection.execute(QUERY).fetchall()
    assert {"mobile" if mobile else "desktop": (n, total) for mobile, n, total in found} == expected


@pytest.fixture(scope="module")
def twice() -> tuple[tuple[Report, Report], tuple[Report, Report]]:
    """Both reports of the same conversions in two orders."""
    conversions = make_journeys(2_000, 3)
    return make(conversions), make(conversions.sample(frac=1, random_state=1))


@pytest.fixture(scope="module")
def empty() -> tuple[Report, Report]:
    """Both reports without any conversion."""
    return make(make_journeys(1, 1).head(0))


@pytest.mark.parametrize("which", [0, 1])
def test_the_same_data_gives_the_same_bytes(twice, which):
    assert pdf(twice[0][which]) == pdf(twice[1][which])


@pytest.mark.parametrize("which", [0, 1])
def test_without_data_the_reports_are_written_too(empty, which):
    assert pdf(empty[which]).startswith(b"%PDF-")


def test_a_payload_in_the_data_is_only_text_in_the_report():
    conversions = make_journeys(8_000, 4, better_on_desktop)
    conversions["ui_element"] = conversions["ui_element"].replace("top list", '#panic("x") \\ $a$ */')
    assert pdf(make(conversions)[0]).startswith(b"%PDF-")


def test_recommendations_are_in_order_of_their_gain():
    conversions = make_journeys(1_000, 5)
    conversions.loc[~conversions["is_matched"], "unmatched_reason"] = "outside_time_span"
    conversions.loc[conversions.index[:10], "country_iso2"] = None
    _, report = make(conversions)
    [asked] = [section for section in report.sections if section.title.startswith("What to ask for")]
    points = [point for block in asked.blocks if isinstance(block, Points) for point in block.points]
    leads = [lead for lead, _ in points]
    assert leads[0] == "Pass a click id through."
    assert leads.index("Back-fill.") < leads.index("Agree on countries.")
    assert "+20.0 points" in dict(points)["Back-fill."]


def asked_for(report: Report) -> str:
    [asked] = [section for section in report.sections if section.title.startswith("What to ask for")]
    return words(asked)


def test_what_is_already_the_case_is_not_asked_for():
    conversions = make_journeys(1_000, 5)
    connection = open_reported_snapshot(conversions)
    analysis = analyse(every_count(connection))
    slow = replace(analysis, lags=analysis.lags.assign(from_second=600, until_second=700, rows=10))
    fast = replace(analysis, lags=analysis.lags.assign(from_second=0, until_second=6, rows=10))

    of_slow, of_fast = (pipeline_report(connection, each, CHANGES, MATCHERS) for each in (slow, fast))

    assert "Send postbacks" in asked_for(of_slow)
    assert "Send postbacks" not in asked_for(of_fast)
    assert "Already the case in the data at hand: rows are sent within a minute" in asked_for(of_fast)
    assert "postback endpoint; join" in whole(of_slow)
    assert "postback endpoint; join" not in whole(of_fast)


def test_no_row_of_the_table_beats_the_title():
    _, report = make(make_journeys(1_000, 5))

    best = CHANGES.loc[CHANGES["change"] != "base", "f1"].max()
    [worlds] = [section for section in report.sections if section.title.startswith("In generated worlds")]
    assert f"{best:.1%}" in worlds.title
