import datetime as dt

import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse
from quintet.conversions.reports import insights_report, pipeline_report
from quintet.presentation.report import Chart, Points, Report, Section, Table, Text, Tiles, pdf
from tests.unit.conversions.journeys import CHANGES, MATCHERS, every_count, make_clicks, open_reported_snapshot


def better_on_desktop(clicks: pd.DataFrame) -> np.ndarray:
    return np.where(clicks["is_mobile"], 0.02, 0.07)


def make(clicks: pd.DataFrame) -> tuple[Report, Report]:
    connection = open_reported_snapshot(clicks)
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


def whole(paper: Report) -> str:
    return "\n".join([paper.title, *map(words, paper.sections)])


def test_the_title_is_the_finding_and_the_foot_names_the_snapshot():
    clicks = make_clicks(4_000, 1)
    paper, _ = make(clicks)
    rows = clicks["is_matched"].sum()
    assert paper.title.startswith(f"{rows / (rows + 3):.1%} of the broker's rows have their click")
    assert (paper.snapshot_id, paper.published_at) == ("snap-1", dt.datetime(2024, 6, 1, 10))


def test_a_planted_effect_is_in_the_paper_with_its_step_and_an_absent_one_is_not():
    found, _ = make(make_clicks(8_000, 1, better_on_desktop))
    none, _ = make(make_clicks(8_000, 1))
    assert "Walk through the way from click to registration on mobile" in whole(found)
    assert "Walk through the way" not in whole(none)
    assert "Device: no difference in important scores beyond chance" in whole(none)


def test_the_model_report_says_what_was_learned_and_what_changed():
    paper, _ = make(make_clicks(2_000, 2))
    text = whole(paper)
    for expected in (
        "Expected precision 99.00%",
        "Placebo rate 0.40%",
        "Against version aaa",
        "Rows matched by chance",
    ):
        assert expected in text


@pytest.fixture(scope="module")
def twice() -> tuple[tuple[Report, Report], tuple[Report, Report]]:
    """Both papers of the same clicks in two orders."""
    clicks = make_clicks(2_000, 3)
    return make(clicks), make(clicks.sample(frac=1, random_state=1))


@pytest.fixture(scope="module")
def empty() -> tuple[Report, Report]:
    """Both papers where there is no click."""
    return make(make_clicks(1, 1).head(0))


@pytest.mark.parametrize("which", [0, 1])
def test_the_same_data_gives_the_same_bytes(twice, which):
    assert pdf(twice[0][which]) == pdf(twice[1][which])


@pytest.mark.parametrize("which", [0, 1])
def test_without_data_the_papers_are_written_too(empty, which):
    assert pdf(empty[which]).startswith(b"%PDF-")


def test_a_payload_in_the_data_is_only_a_text_of_the_paper():
    clicks = make_clicks(8_000, 4, better_on_desktop)
    clicks["ui_element"] = clicks["ui_element"].replace("top list", '#panic("x") \\ $a$ */')
    assert pdf(make(clicks)[0]).startswith(b"%PDF-")


def test_recommendations_stand_in_the_order_of_what_they_buy():
    _, paper = make(make_clicks(1_000, 5))
    [asked] = [section for section in paper.sections if section.title.startswith("What to ask for")]
    leads = [lead for block in asked.blocks for lead, _ in block.points]
    assert leads[0] == "Pass a click id through."
    assert leads.index("Back-fill.") < leads.index("Agree on countries.")
    assert "+20.0 points" in dict(block for points in asked.blocks for block in points.points)["Back-fill."]
