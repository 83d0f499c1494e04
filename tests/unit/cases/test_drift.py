"""Drift of verdicts: found where people contradict the scores, not where they err now and then, once at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from quintet.cases import store as case_store
from quintet.cases.drift import KIND, SURE, drift_kind, drift_of
from quintet.cases.kind import CaseKind, Option
from quintet.cases.opening import open_from_build
from quintet.domains import CASE_KINDS
from quintet.settings import load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
START = dt.datetime(2026, 3, 1)
ORDER = CaseKind(
    "shop", "order", "order", (Option("good", "Good", "", "a"), Option("bad", "Bad", "", "r")),
    truth={"good": True, "bad": False},
)  # fmt: skip
DRIFT = drift_kind("shop", [ORDER], lambda _: 2.0)


def series(says_yes: np.ndarray, score: np.ndarray) -> list[tuple[bool, float, dt.datetime]]:
    return [
        (bool(one), float(of), START + dt.timedelta(minutes=place))
        for place, (one, of) in enumerate(zip(says_yes, score, strict=True))
    ]


def judged(seed: int, verdicts: int, shift: float = 0.0, right: float = 0.95) -> list[tuple[bool, float, dt.datetime]]:
    """Return verdicts of a person who is right in a share of cases, on subjects whose true odds are shifted."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.02, 0.98, verdicts)
    truth = rng.random(verdicts) < 1 / (1 + (1 - score) / score * np.exp(-shift))
    return series(np.where(rng.random(verdicts) < right, truth, ~truth), score)


def test_people_who_agree_with_the_scores_up_to_slips_are_no_drift() -> None:
    found = [seed for seed in range(200) if drift_of(judged(seed, 400)) is not None]

    assert len(found) <= 200 / SURE + 3, "each series is tested after each of its verdicts"


@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_scores_that_are_off_in_either_direction_are_found_within_some_hundred_verdicts(shift: float) -> None:
    found = [drift_of(judged(seed, 300, shift)) for seed in range(20)]

    assert sum(one is not None for one in found) >= 19
    assert all((one.said > one.expected) == (shift > 0) for one in found if one is not None)


def test_certain_scores_with_a_few_contradictions_are_no_drift() -> None:
    verdicts = np.ones(60, dtype=bool)
    verdicts[[10, 40]] = False
    assert drift_of(series(verdicts, np.full(60, 0.999))) is None
    verdicts[::3] = False
    assert drift_of(series(verdicts, np.full(60, 0.999))) is not None


def test_no_verdict_is_no_drift() -> None:
    assert drift_of([]) is None


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema marts; create table marts.ops_verdicts (verdict_id bigint, domain text, kind text, "
            "subject_id text, group_id text, origin text, verdict text, score double, decided_at timestamp, "
            "is_last boolean)"
        )
        yield connection


def contradict(marts: duckdb.DuckDBPyConnection, day: int, verdict: str = "bad", kind: str = "order") -> None:
    marts.execute(
        "insert into marts.ops_verdicts select ? * 100 + n, 'shop', ?, n::text, null, 'build', ?, 0.9, "
        "timestamp '2026-03-01' + to_days(?::int) + to_minutes(n::int), true from range(30) as r(n)",
        [day, kind, verdict, day],
    )


def cases(store: StateStore, marts: duckdb.DuckDBPyConnection) -> dict[str, case_store.Case]:
    assert DRIFT is not None
    open_from_build(store, DRIFT, marts, load_settings({}), NOW)
    return case_store.all_of_kind(store, *DRIFT.key)


def test_a_drift_is_one_case_until_a_person_answers_and_the_count_then_starts_again(store, marts) -> None:
    contradict(marts, 1, "good")
    assert cases(store, marts) == {}
    contradict(marts, 2)
    (first,) = cases(store, marts)
    contradict(marts, 3)
    assert list(cases(store, marts)) == [first]
    marts.execute(
        "insert into marts.ops_verdicts values (999, 'shop', ?, ?, null, 'build', 'people', null, '2026-03-05', true)",
        [KIND, first],
    )
    assert cases(store, marts)[first].verdict == "withdrawn"
    contradict(marts, 6)
    (again,) = [name for name, case in cases(store, marts).items() if not case.is_decided]
    assert again.startswith("order since 2026-03-07")


def test_a_withdrawn_or_unknown_verdict_and_another_kind_do_not_count(store, marts) -> None:
    contradict(marts, 1, "withdrawn")
    contradict(marts, 2, kind="other")
    contradict(marts, 3)
    marts.execute("update marts.ops_verdicts set is_last = false where kind = 'order' and verdict = 'bad'")
    assert cases(store, marts) == {}


@pytest.mark.parametrize(
    ("origin", "groups", "is_found"), [("build", 1, False), ("build", 30, True), ("sample", 1, True)]
)
def test_one_verdict_counts_of_a_group_that_is_judged_alike(
    store, marts, origin: str, groups: int, is_found: bool
) -> None:
    contradict(marts, 1)
    marts.execute("update marts.ops_verdicts set origin = ?, group_id = (verdict_id % ?)::text", [origin, groups])

    assert bool(cases(store, marts)) == is_found


def test_each_business_whose_scores_are_probabilities_has_the_kind() -> None:
    assert {domain for domain, name in CASE_KINDS if name == KIND} == {"conversions", "promotions", "payments"}
