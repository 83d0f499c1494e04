import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse, rates, residency, residency_summary, session_scores
from quintet.conversions.data_insights import data_quality_insights
from quintet.conversions.insights import Insight, session_insights
from quintet.conversions.rate_insights import rate_insights
from quintet.conversions.residency_insights import residency_insights
from tests.unit.conversions.journeys import counted, every_count, make_clicks, no_effect, open_counts

CLICKS = 12_000


def rates_of(clicks: pd.DataFrame) -> pd.DataFrame:
    return rates(counted(open_counts(clicks), "cells"))


def findings(clicks: pd.DataFrame) -> pd.DataFrame:
    every = rates_of(clicks)
    return every[every["is_finding"]]


def told(clicks: pd.DataFrame) -> list[str]:
    return [insight.text + insight.action for insight in rate_insights(rates_of(clicks))]


def better_on_desktop(clicks: pd.DataFrame) -> np.ndarray:
    return np.where(clicks["is_mobile"], 0.02, 0.07)


def better_from_germany(clicks: pd.DataFrame) -> np.ndarray:
    return np.where(clicks["country_iso2"] == "DE", 0.09, 0.03)


def rarely_matched_through_the_ribbon(clicks: pd.DataFrame) -> np.ndarray:
    return np.where(clicks["ui_element"] == "ribbon", 0.8, 0.9)


def test_without_an_effect_no_sentence_is_said_of_any_group():
    worlds = [told(make_clicks(6_000, seed)) for seed in range(12)]
    # The false discovery rate is held at 5% of worlds without any effect.
    assert sum(bool(sentences) for sentences in worlds) <= 2


def test_a_better_device_is_said_once_with_its_numbers_and_a_step():
    sentences = [text for text in told(make_clicks(CLICKS, 1, better_on_desktop)) if "on desktop" in text]
    assert len(sentences) == 1
    assert "n = " in sentences[0]
    assert "95% " in sentences[0]
    assert "q < 0.001" in sentences[0]
    assert "on mobile" in sentences[0]


def test_a_page_is_not_blamed_for_the_device_of_its_visitors():
    clicks = make_clicks(CLICKS, 2, better_on_desktop)
    every = rates_of(clicks).set_index(["measure", "dimension", "level"])
    finder = every.loc["important_share", "page_category", "Finder"]
    assert finder["difference_high"] < 0  # its share is lower, as its visitors are mobile
    assert finder["adjusted_low"] < 0 < finder["adjusted_high"]
    assert not finder["is_finding"]


def test_a_better_country_is_found_and_its_interval_holds_the_truth():
    found = findings(make_clicks(CLICKS, 3, better_from_germany)).set_index(["measure", "level"])
    germany = found.loc["important_share", "DE"]
    assert germany["adjusted_low"] < 0.06 < germany["adjusted_high"]
    assert germany["low"] < 0.09 < germany["high"]


def test_an_element_that_is_rarely_matched_is_a_finding_of_matching_only():
    found = findings(make_clicks(CLICKS, 4, no_effect, rarely_matched_through_the_ribbon))
    ribbon = found[found["level"] == "ribbon"]
    assert list(ribbon["measure"]) == ["match_rate"]
    assert any(
        "“ribbon”" in text and "do not lead to the broker" in text
        for text in told(make_clicks(CLICKS, 4, no_effect, rarely_matched_through_the_ribbon))
    )


def twice_each(clicks: pd.DataFrame) -> pd.DataFrame:
    """Each click with another of its session, and that one's own broker row."""
    again = clicks.assign(
        conversion_id=clicks["conversion_id"] + CLICKS, broker_row_id=clicks["broker_row_id"] + " again"
    )
    return pd.concat([clicks, again])


def test_rows_of_one_session_count_once():
    clicks = make_clicks(CLICKS, 5, better_from_germany)
    repeated = twice_each(clicks)
    once, twice = rates_of(clicks), rates_of(repeated)
    pd.testing.assert_frame_equal(once.drop(columns="rows"), twice.drop(columns="rows"))
    assert (twice["rows"] == 2 * once["rows"]).all()


def test_clicks_of_scanners_are_left_out():
    clicks = make_clicks(2_000, 6)
    scanned = clicks.assign(is_scanner_traffic=clicks["conversion_id"] <= 500, session_id=None)
    every = rates_of(scanned)
    by_device = every[(every["measure"] == "match_rate") & (every["dimension"] == "device")]
    assert by_device["n"].sum() == 1_500


def test_a_score_that_is_missing_counts_neither_way():
    clicks = make_clicks(2_000, 7)
    clicks.loc[clicks.index % 2 == 0, "important_score"] = np.nan
    every = rates_of(clicks)
    by_device = every[(every["measure"] == "important_share") & (every["dimension"] == "device")]
    assert by_device["n"].sum() == clicks["important_score"].notna().sum()


def test_the_order_of_rows_changes_no_digit():
    clicks = make_clicks(3_000, 8, better_on_desktop)
    clicks["important_score"] = clicks["important_score"] * 1.1
    shuffled = clicks.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(rates_of(clicks), rates_of(shuffled), check_exact=True)


def test_steps_of_the_funnel_leave_out_what_its_reason_says():
    clicks = make_clicks(1_000, 9)
    unmatched = clicks.index[~clicks["is_matched"]]
    clicks.loc[unmatched[:30], "unmatched_reason"] = "outside_time_span"
    clicks.loc[unmatched[30:40], "unmatched_reason"] = "lost_to_better"
    steps = counted(open_counts(clicks, {"no_candidate": 7, "in_review": 3}), "funnel")
    steps = steps.set_index(["side", "step"])["rows"]
    matched = int(clicks["is_matched"].sum())
    assert steps["clicks"].to_list() == [1_000, 970, matched + 10, matched]
    assert steps["broker_rows"].to_list() == [matched + 10, matched + 10, matched + 3, matched]


def test_every_row_of_both_sides_has_one_outcome():
    clicks = make_clicks(1_000, 9)
    outcomes = counted(open_counts(clicks, {"no_candidate": 7}), "outcomes")
    of_side = outcomes.groupby("side")[["rows", "share"]].sum()
    assert of_side["rows"].to_dict() == {"clicks": 1_000, "broker_rows": clicks["is_matched"].sum() + 7}
    assert of_side["share"].to_list() == pytest.approx([1, 1])


def said_of_sessions(clicks: pd.DataFrame) -> tuple[Insight, ...]:
    return session_insights(session_scores(counted(open_counts(clicks), "session_counts")))


def test_sessions_that_share_their_score_are_said():
    clicks = make_clicks(CLICKS, 10)
    shared = twice_each(clicks)
    (sentence,) = said_of_sessions(shared)
    assert sentence.lead == "100%"
    mixed = shared.assign(important_score=shared["important_score"].sample(frac=1, random_state=3).to_numpy())
    assert said_of_sessions(mixed) == ()


def said_of_residency(connection: duckdb.DuckDBPyConnection) -> list[str]:
    by_country = residency(counted(connection, "residency_counts"))
    said = residency_insights(by_country, residency_summary(counted(connection, "residency_case_counts")))
    return [insight.text for insight in said]


def test_a_residency_that_only_good_rows_state_is_a_step_and_not_a_trait():
    clicks = make_clicks(CLICKS, 11)
    connection = open_counts(clicks)
    texts = said_of_residency(connection)
    assert not any("stated late" in text for text in texts)
    connection.execute("update intermediate.int_broker_rows set important_score = 0 where residency_iso2 is null")
    texts = said_of_residency(connection)
    assert any("stated late" in text for text in texts)


def test_a_country_of_vpn_exits_is_named():
    connection = open_counts(make_clicks(CLICKS, 12))
    before = [text for text in said_of_residency(connection) if "reside elsewhere" in text]
    connection.execute(
        "update intermediate.int_broker_rows set residency_iso2 = 'PL' "
        "where ip_iso2 = 'FR' and residency_iso2 is not null and right(broker_row_id, 1) < '6'"
    )
    after = [text for text in said_of_residency(connection) if "reside elsewhere" in text]
    assert before == []
    assert len(after) == 1
    assert "France reside elsewhere, most often in Poland" in after[0]


def said_of_faults(clicks: pd.DataFrame) -> list[str]:
    return [insight.text for insight in data_quality_insights(counted(open_counts(clicks), "data_quality"))]


def test_faults_of_the_data_are_said_only_where_they_occur():
    clicks = make_clicks(1_000, 13)
    clean = clicks.assign(page_category=clicks["page_category"].fillna("Guides"))
    assert {text.split(" (")[0] for text in said_of_faults(clean)} == {"broker rows"}  # most state no residency
    texts = said_of_faults(clicks)
    assert any("the mapping does not know; most frequent: 01code" in text for text in texts)


def test_last_days_are_not_called_bad_before_scores_can_have_come():
    def late(clicks: pd.DataFrame) -> np.ndarray:
        return np.where(clicks["created_at"] >= "2024-04-30", 0.002, 0.06)

    sentences = [text for text in told(make_clicks(CLICKS, 14, late)) if "30 April 2024" in text]
    assert sentences
    assert all("judge them again" in text for text in sentences)


def test_an_empty_snapshot_has_frames_and_no_sentences():
    analysis = analyse(every_count(open_counts(make_clicks(1, 1).head(0))))
    assert analysis.insights == ()
    assert analysis.rates.empty
    assert analysis.funnel["rows"].sum() == 0


def test_a_scanner_s_payload_as_element_stays_a_level_like_others():
    clicks = make_clicks(CLICKS, 15, lambda rows: np.where(rows["ui_element"] == "logo link", 0.1, 0.03))
    payload = "'; drop table marts.fct_conversions; --"
    clicks["ui_element"] = clicks["ui_element"].replace("logo link", payload)
    assert any(payload in text for text in told(clicks))
