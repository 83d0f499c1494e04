"""Cases of pairs: the weekly sample, and the second look at verdicts against it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest

from quintet.cases.drift import drift_of
from quintet.cases.kind import Sources
from quintet.cases.opening import open_from_build
from quintet.cases.store import all_of_kind
from quintet.conversions.cases import PAIR, in_build
from quintet.conversions.verdicts import pair_of, second_look_of, subject_of
from quintet.domains import open_state_store
from quintet.settings import load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with closing(open_state_store(tmp_path)) as store:
        yield store


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("""
            create schema marts;
            create table marts.fct_conversion_matches as
                select n as conversion_id, 'row ' || n as broker_row_id, 'one' as partner, 60 as lag_seconds,
                    0.97::double as match_probability, 'matched' as tier from range(40) as r(n);
            create table marts.ops_verdicts (domain text, kind text, subject_id text, origin text, verdict text,
                is_last boolean, score double, share double, group_id text, decided_by text);
        """)
        yield connection


def judge(marts: duckdb.DuckDBPyConnection, subject_id: str, verdict: str, origin: str = "sample") -> None:
    marts.execute(
        "insert into marts.ops_verdicts values ('conversions', 'pair', ?, ?, ?, true, 0.97, 0.1, 'week', 'Ana')",
        [subject_id, origin, verdict],
    )


def test_a_sampled_match_that_one_person_refused_is_shown_once_more_with_the_same_share(store, marts) -> None:
    judge(marts, "3 row 3", "no_link")
    judge(marts, "4 row 4", "link")
    judge(marts, "5 row 5", "no_link", "build")
    found = {one.subject_id: one for one in in_build(marts, Sources(load_settings({}), store, NOW))}

    assert [name for name in found if name.endswith(" again")] == ["3 row 3 again"]
    assert (found["3 row 3 again"].share, found["3 row 3 again"].origin) == (0.1, "sample")
    assert "Ana judged this sampled match not the same" in found["3 row 3 again"].why


def test_a_drift_of_verdicts_does_not_count_second_looks_which_the_first_verdict_selects(store, marts) -> None:
    """Reviewers who are right in 95% of the cases; one in 13 of their verdicts is against a sampled match."""
    judge(marts, "3 row 3", "no_link")
    [second] = [one for one in in_build(marts, Sources(load_settings({}), store, NOW)) if "again" in one.subject_id]
    chance, drifts, with_seconds = np.random.default_rng(5), 0, 0
    for _ in range(20):
        series, all_of_them = [], []
        for is_right in chance.random(1_500) < 0.97:
            says_yes = bool(is_right) == bool(chance.random() < 0.95)
            series.append((says_yes, 0.97, NOW))
            all_of_them.append(series[-1])
            if not says_yes:
                all_of_them.append((bool(is_right) == bool(chance.random() < 0.95), 0.97, NOW))
        drifts += drift_of(series) is not None
        with_seconds += drift_of(all_of_them) is not None

    assert second.score is None, "a verdict without a score is none of the series"
    assert drifts == 0
    assert with_seconds > 5


def test_the_second_verdict_is_the_last_word_and_asks_for_no_third(store, marts) -> None:
    judge(marts, "3 row 3", "no_link")
    judge(marts, "3 row 3 again", "no_link")
    marts.execute("delete from marts.fct_conversion_matches where conversion_id = 3")
    for _ in range(2):
        open_from_build(store, PAIR, marts, load_settings({}), NOW)
    cases = all_of_kind(store, *PAIR.key)

    assert [name for name in cases if "again" in name] == ["3 row 3 again"]
    assert cases["3 row 3 again"].state == "open", "its pair is matched no more, and still waits for the verdict"


@pytest.mark.parametrize(("matches", "share"), [(5, 0.999), (25, 0.999), (40, 25 / 40)])
def test_a_sample_of_all_matches_is_told_apart_from_the_pairs_in_review(store, marts, matches, share) -> None:
    marts.execute("delete from marts.fct_conversion_matches where conversion_id >= ?", [matches])
    marts.execute("insert into marts.fct_conversion_matches values (90, 'row 90', 'one', 60, 0.5, 'review')")
    found = {one.origin: one.share for one in in_build(marts, Sources(load_settings({}), store, NOW))}

    assert found == {"sample": share, "build": 1.0}


def test_both_subjects_of_a_pair_are_that_pair() -> None:
    first = subject_of(7, "one row of a file")

    assert pair_of(first) == pair_of(second_look_of(first)) == (7, "one row of a file")
