import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse
from quintet.conversions.executive_summary import MOST_FINDINGS, findings
from quintet.conversions.visit_groups import visit_groups
from quintet.presentation.blocks import Finding
from tests.unit.conversions.journeys import every_count, make_journeys, open_reported_snapshot, write_findings


def found(journeys: pd.DataFrame) -> tuple[Finding, ...]:
    """Return the findings, once each number of them is the one that its query returns."""
    connection = open_reported_snapshot(journeys)
    analysis = analyse(every_count(connection))
    write_findings(connection, analysis.findings)
    given = findings(connection, analysis, visit_groups(connection))
    for each in (evidence for finding in given for evidence in finding.evidence):
        assert connection.execute(each.sql).fetchall() == [(pytest.approx(each.value),)], each.name
    return given


def often_important(journeys: pd.DataFrame) -> np.ndarray:
    return np.full(len(journeys), 0.2)


def outage(journeys: pd.DataFrame) -> np.ndarray:
    is_out = journeys["created_at"].between(pd.Timestamp("2024-04-24"), pd.Timestamp("2024-04-26"))
    return np.where(is_out, 0.3, 0.9)


def closed_to_brazil(journeys: pd.DataFrame) -> np.ndarray:
    return np.where(journeys["country_iso2"] == "BR", 0.05, 0.9)


@pytest.fixture(scope="module")
def of_outage() -> tuple[Finding, ...]:
    """The findings where two days have few matches."""
    return found(make_journeys(6_000, 1, often_important, outage))


def test_days_of_an_outage_are_one_finding(of_outage):
    days = [each for each in of_outage if "the broker's file" in each.text]
    assert [each.size for each in days] == ["24 to 25 April 2024"]
    assert "Visits of 24 to 25 April 2024" in days[0].text
    assert "more important customers" in days[0].value


def test_a_country_that_the_broker_does_not_report_is_named():
    [country] = [each for each in found(make_journeys(6_000, 1, often_important, closed_to_brazil))
                 if "the broker's file" in each.text]  # fmt: skip
    assert country.size == "Brazil"


def test_the_report_has_the_worth_of_the_ranking_that_the_page_lists():
    journeys = make_journeys(6_000, 1, lambda given: np.where(given["is_mobile"].astype(bool), 0.1, 0.4))
    ranking = analyse(every_count(open_reported_snapshot(journeys))).findings
    first = ranking.iloc[0]
    [finding] = [each for each in found(journeys) if each.text.startswith("Of the matched visits on")]

    assert first["dimension"] == "device"
    assert finding.action == first["action"]
    assert f"{first['customers']:,.0f} more important customers" in finding.value


def test_conversions_outside_the_broker_s_time_come_with_what_they_would_tell():
    journeys = make_journeys(2_000, 1, often_important)
    journeys.loc[~journeys["is_matched"], "unmatched_reason"] = "outside_time_span"
    [first, *_] = found(journeys)
    assert first.size == f"{(~journeys['is_matched']).sum():,} conversions"
    assert "would be known" in first.value


def test_without_an_effect_there_is_nothing_to_report_and_never_too_much(of_outage):
    assert found(make_journeys(3_000, 1)) == ()
    assert len(of_outage) <= MOST_FINDINGS
