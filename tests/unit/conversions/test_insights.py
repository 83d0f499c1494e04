import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.conversions.analysis import analyse, rates, residency, residency_summary, session_scores
from quintet.conversions.data_insights import data_quality_insights
from quintet.conversions.insights import Insight, session_insights
from quintet.conversions.rate_insights import rate_insights
from quintet.conversions.residency_insights import residency_insights
from tests.unit.conversions.journeys import counted, every_count, make_journeys, no_effect, open_counts

CONVERSIONS = 12_000


def rates_of(conversions: pd.DataFrame) -> pd.DataFrame:
    return rates(counted(open_counts(conversions), "cells"))


def findings(conversions: pd.DataFrame) -> pd.DataFrame:
    every = rates_of(conversions)
    return every[every["is_finding"]]


def sentences_of(conversions: pd.DataFrame) -> list[str]:
    return [insight.text + insight.action for insight in rate_insights(rates_of(conversions))]


def better_on_desktop(conversions: pd.DataFrame) -> np.ndarray:
    return np.where(conversions["is_mobile"], 0.02, 0.07)


def better_from_germany(conversions: pd.DataFrame) -> np.ndarray:
    return np.where(conversions["country_iso2"] == "DE", 0.09, 0.03)


def rarely_matched_through_the_ribbon(conversions: pd.DataFrame) -> np.ndarray:
    return np.where(conversions["ui_element"] == "ribbon", 0.8, 0.9)


def test_without_an_effect_no_group_has_a_finding():
    worlds = [sentences_of(make_journeys(6_000, seed)) for seed in range(12)]
    # The false discovery rate is held at 5% of worlds without any effect.
    assert sum(bool(sentences) for sentences in worlds) <= 2


def test_a_better_device_is_reported_once_with_its_numbers_and_an_action():
    sentences = [
        text for text in sentences_of(make_journeys(CONVERSIONS, 1, better_on_desktop)) if "on desktop" in text
    ]
    assert len(sentences) == 1
    assert "n = " in sentences[0]
    assert "95% " in sentences[0]
    assert "q < 0.001" in sentences[0]
    assert "on mobile" in sentences[0]


def test_a_page_is_not_a_finding_for_the_device_of_its_visitors():
    conversions = make_journeys(CONVERSIONS, 2, better_on_desktop)
    every = rates_of(conversions).set_index(["measure", "dimension", "level"])
    finder = every.loc["important_share", "page_category", "Finder"]
    assert finder["difference_high"] < 0  # its share is lower, as its visitors are mobile
    assert finder["adjusted_low"] < 0 < finder["adjusted_high"]
    assert not finder["is_finding"]


def test_a_better_country_is_found_and_its_interval_holds_the_truth():
    found = findings(make_journeys(CONVERSIONS, 3, better_from_germany)).set_index(["measure", "level"])
    germany = found.loc["important_share", "DE"]
    assert germany["adjusted_low"] < 0.06 < germany["adjusted_high"]
    assert germany["low"] < 0.09 < germany["high"]


def test_an_element_that_is_rarely_matched_is_a_finding_of_matching_only():
    found = findings(make_journeys(CONVERSIONS, 4, no_effect, rarely_matched_through_the_ribbon))
    ribbon = found[found["level"] == "ribbon"]
    assert list(ribbon["measure"]) == ["match_rate"]
    assert any(
        "“ribbon”" in text and "do not lead to the broker" in text
        for text in sentences_of(make_journeys(CONVERSIONS, 4, no_effect, rarely_matched_through_the_ribbon))
    )


def twice_each(conversions: pd.DataFrame) -> pd.DataFrame:
    """Return each conversion twice in one session, each with a broker row."""
    again = conversions.assign(
        conversion_id=conversions["conversion_id"] + CONVERSIONS, broker_row_id=conversions["broker_row_id"] + " again"
    )
    return pd.concat([conversions, again])


def test_rows_of_one_session_count_once():
    conversions = make_journeys(CONVERSIONS, 5, better_from_germany)
    repeated = twice_each(conversions)
    once, twice = rates_of(conversions), rates_of(repeated)
    pd.testing.assert_frame_equal(once.drop(columns="rows"), twice.drop(columns="rows"))
    assert (twice["rows"] == 2 * once["rows"]).all()


def test_conversions_of_scanners_are_left_out():
    conversions = make_journeys(2_000, 6)
    scanned = conversions.assign(is_scanner_traffic=conversions["conversion_id"] <= 500, session_id=None)
    every = rates_of(scanned)
    by_device = every[(every["measure"] == "match_rate") & (every["dimension"] == "device")]
    assert by_device["n"].sum() == 1_500


def test_a_missing_score_counts_neither_way():
    conversions = make_journeys(2_000, 7)
    conversions.loc[conversions.index % 2 == 0, "important_score"] = np.nan
    every = rates_of(conversions)
    by_device = every[(every["measure"] == "important_share") & (every["dimension"] == "device")]
    assert by_device["n"].sum() == conversions["important_score"].notna().sum()


def test_the_order_of_rows_changes_no_digit():
    conversions = make_journeys(3_000, 8, better_on_desktop)
    conversions["important_score"] = conversions["important_score"] * 1.1
    shuffled = conversions.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(rates_of(conversions), rates_of(shuffled), check_exact=True)


def test_steps_of_the_funnel_leave_out_what_its_reason_says():
    conversions = make_journeys(1_000, 9)
    unmatched = conversions.index[~conversions["is_matched"]]
    conversions.loc[unmatched[:30], "unmatched_reason"] = "outside_time_span"
    conversions.loc[unmatched[30:40], "unmatched_reason"] = "lost_to_better"
    steps = counted(open_counts(conversions, {"no_candidate": 7, "in_review": 3}), "funnel")
    steps = steps.set_index(["side", "step"])["rows"]
    matched = int(conversions["is_matched"].sum())
    assert steps["clicks"].to_list() == [1_000, 970, matched + 10, matched]
    assert steps["broker_rows"].to_list() == [matched + 10, matched + 10, matched + 3, matched]


def test_every_row_of_both_sides_has_one_outcome():
    conversions = make_journeys(1_000, 9)
    outcomes = counted(open_counts(conversions, {"no_candidate": 7}), "outcomes")
    of_side = outcomes.groupby("side")[["rows", "share"]].sum()
    assert of_side["rows"].to_dict() == {"clicks": 1_000, "broker_rows": conversions["is_matched"].sum() + 7}
    assert of_side["share"].to_list() == pytest.approx([1, 1])


def session_sentences(conversions: pd.DataFrame) -> tuple[Insight, ...]:
    return session_insights(session_scores(counted(open_counts(conversions), "session_counts")))


def test_sessions_that_share_their_score_are_reported():
    conversions = make_journeys(CONVERSIONS, 10)
    shared = twice_each(conversions)
    (sentence,) = session_sentences(shared)
    assert sentence.lead == "100%"
    mixed = shared.assign(important_score=shared["important_score"].sample(frac=1, random_state=3).to_numpy())
    assert session_sentences(mixed) == ()


def residency_sentences(connection: duckdb.DuckDBPyConnection) -> list[str]:
    by_country = residency(counted(connection, "residency_counts"))
    found = residency_insights(by_country, residency_summary(counted(connection, "residency_case_counts")))
    return [insight.text for insight in found]


def test_a_residency_that_only_good_rows_state_is_a_step():
    conversions = make_journeys(CONVERSIONS, 11)
    connection = open_counts(conversions)
    texts = residency_sentences(connection)
    assert not any("stated late" in text for text in texts)
    connection.execute("update intermediate.int_broker_rows set important_score = 0 where residency_iso2 is null")
    texts = residency_sentences(connection)
    assert any("stated late" in text for text in texts)


def test_a_country_of_vpn_exits_is_named():
    connection = open_counts(make_journeys(CONVERSIONS, 12))
    before = [text for text in residency_sentences(connection) if "reside elsewhere" in text]
    connection.execute(
        "update intermediate.int_broker_rows set residency_iso2 = 'PL' "
        "where ip_iso2 = 'FR' and residency_iso2 is not null and right(broker_row_id, 1) < '6'"
    )
    after = [text for text in residency_sentences(connection) if "reside elsewhere" in text]
    assert before == []
    assert len(after) == 1
    assert "France reside elsewhere, most often in Poland" in after[0]


def fault_sentences(conversions: pd.DataFrame) -> list[str]:
    return [insight.text for insight in data_quality_insights(counted(open_counts(conversions), "data_quality"))]


def test_faults_of_the_data_are_reported_only_where_they_occur():
    conversions = make_journeys(1_000, 13)
    clean = conversions.assign(page_category=conversions["page_category"].fillna("Guides"))
    assert {text.split(" (")[0] for text in fault_sentences(clean)} == {"broker rows"}  # most state no residency
    texts = fault_sentences(conversions)
    assert any("the mapping does not know; most frequent: 01code" in text for text in texts)


def test_the_last_days_are_not_called_bad_while_scores_may_still_arrive():
    def late(conversions: pd.DataFrame) -> np.ndarray:
        return np.where(conversions["created_at"] >= "2024-04-30", 0.002, 0.06)

    sentences = [text for text in sentences_of(make_journeys(CONVERSIONS, 14, late)) if "30 April 2024" in text]
    assert sentences
    assert all("compare them again" in text for text in sentences)


def test_an_empty_snapshot_has_frames_and_no_sentences():
    analysis = analyse(every_count(open_counts(make_journeys(1, 1).head(0))))
    assert analysis.insights == ()
    assert analysis.rates.empty
    assert analysis.funnel["rows"].sum() == 0


def test_a_scanner_s_payload_is_an_element_like_others():
    conversions = make_journeys(CONVERSIONS, 15, lambda rows: np.where(rows["ui_element"] == "logo link", 0.1, 0.03))
    payload = "'; drop table marts.fct_conversions; --"
    conversions["ui_element"] = conversions["ui_element"].replace("logo link", payload)
    assert any(payload in text for text in sentences_of(conversions))
