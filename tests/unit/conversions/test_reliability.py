"""How reliable the matches are: the model, the placebo and the verdicts side by side, each with what it rests on."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from quintet.conversions.reliability import reliability

_VERDICTS = (
    "sampled_matches_judged, precision, precision_low, precision_high, reviewed_pairs_judged, review_link_share, recall"
)


@pytest.fixture
def snapshot() -> Iterator[duckdb.DuckDBPyConnection]:
    """A snapshot with 1,000 matches, of which the model expects 990 to be right, without verdicts."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create schema ml; create schema marts;
            create table ml.matching_summary as from (values
                ('matched', 1000::double), ('expected_precision', 0.99), ('expected_recall', 0.97)) as t(figure, value);
            create table ml.matching_placebo as from (values (5, 4), (-7, 12)) as t(hours, matched);
            create table marts.agg_match_verdicts as
                from (values (1, 0.5::double, 0.1::double, 0.9::double, 1, 0.5::double, 0.5::double)) as t({_VERDICTS})
                limit 0;
            """
        )
        yield connection


def _by_way(snapshot: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return reliability(snapshot).set_index("measured_by")


def test_without_verdicts_the_model_and_the_placebo_stand_alone(snapshot: duckdb.DuckDBPyConnection) -> None:
    found = _by_way(snapshot)

    assert found["precision"].fillna(-1).to_dict() == {
        "The model's own estimate": 0.99,
        "Placebo": 0.988,
        "People's verdicts": -1,
    }
    assert "Nobody has judged a pair yet" in found.loc["People's verdicts", "basis"]


@pytest.mark.parametrize(("low", "high", "is_doubted"), [(0.90, 0.97, True), (0.90, 0.995, False)])
def test_verdicts_come_with_their_interval_and_contradict_an_estimate_outside_of_it(
    snapshot: duckdb.DuckDBPyConnection, low: float, high: float, is_doubted: bool
) -> None:
    snapshot.execute("insert into marts.agg_match_verdicts values (1, 0.94, ?, ?, 20, 0.5, 0.93)", [low, high])
    row = _by_way(snapshot).loc["People's verdicts"]

    assert row[["precision", "low", "high", "recall"]].tolist() == [0.94, low, high, 0.93]
    assert row["basis"].startswith("1 match of the weekly samples and 20 pairs in review.")
    assert ("trust the verdicts" in row["basis"]) is is_doubted


def test_verdicts_on_pairs_in_review_alone_measure_no_precision(snapshot: duckdb.DuckDBPyConnection) -> None:
    snapshot.execute("insert into marts.agg_match_verdicts values (0, null, null, null, 3, 1.0, null)")
    row = _by_way(snapshot).loc["People's verdicts"]

    assert row[["precision", "low", "high", "recall"]].isna().all()
    assert "0 matches of the weekly samples and 3 pairs in review." in row["basis"]


def test_before_the_first_match_there_is_nothing_to_measure(snapshot: duckdb.DuckDBPyConnection) -> None:
    snapshot.execute("update ml.matching_summary set value = 0 where figure = 'matched'")

    assert reliability(snapshot).empty
