"""Deciding applications: once each, within the budget, and never without saying what was missing."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from quintet.lending.active import ActiveState
from quintet.lending.application import Application
from quintet.lending.decision_log import DecisionLog
from quintet.lending.decisions import Answered, ConflictError, Decisions, NoPolicyError, RefusedError
from quintet.lending.endpoint import NoScoreError, ScoredBy
from quintet.lending.online import AtApplication
from quintet.lending.policy import known_names, read_policy
from quintet.lending.scoring import Scored

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
APPLICATION = Application(1, 7, 400.0, 30, NOW.date(), NOW, commit_lsn=100)
COVERED = AtApplication(True, True, 120, dict.fromkeys(known_names(), 0.0), "f1")
LATE = AtApplication(False, False, 90, None, None)


@dataclass
class Features:
    """Features that arrive after `late` reads; each read is a change."""

    at: AtApplication = COVERED
    late: int = 0
    error: Exception | None = None
    reads: int = 0

    @property
    def store(self) -> Features:
        return self

    def version(self) -> int:
        return self.reads

    def covered_from(self) -> dt.date:
        """Return a day before all applications."""
        return dt.date(2000, 1, 1)

    def features_at(self, *_: object) -> AtApplication:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return LATE if self.reads <= self.late else self.at


@dataclass
class Scorer:
    """A scorer that counts its calls, and fails with `error`."""

    error: Exception | None = None
    seen: list[Mapping[str, float | None]] = field(default_factory=list)

    async def score(self, values: Mapping[str, float | None], _: float) -> ScoredBy:
        self.seen.append(values)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return ScoredBy(Scored(0.05, 600, ()), "m1", "s1")

    async def close(self) -> None:
        """Do nothing."""


class Serving:
    """The active state."""

    def __init__(self, *, has_policy: bool = True) -> None:
        self.now = ActiveState(read_policy() if has_policy else None, None, None, ("lending.toml is broken",))

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[DecisionLog]:
    found = DecisionLog(tmp_path)
    found.start()
    yield found
    found.close()


@pytest.fixture
def decide(log: DecisionLog) -> Callable[..., list[Any]]:
    """Return a function that decides applications at the same time, and returns the answers and errors."""

    def run(
        *applications: Application,
        features: Features | None = None,
        scorer: Scorer | None = None,
        has_policy: bool = True,
        budget_seconds: float = 30.0,
    ) -> list[Any]:
        parts: Any = (features or Features(), log, Serving(has_policy=has_policy), scorer or Scorer())

        async def scene() -> list[Any]:
            decisions = Decisions(*parts, lambda: NOW, budget_seconds)
            answers = (decisions.decide(one, "a test") for one in applications)
            return await asyncio.gather(*answers, return_exceptions=True)

        return asyncio.run(scene())

    return run


def test_a_decision_is_in_the_log_when_it_is_returned(decide: Callable[..., list[Any]], log: DecisionLog) -> None:
    (answered,) = decide(APPLICATION)

    assert isinstance(answered, Answered)
    assert log.of_application(1) == answered.record
    assert (answered.is_repeat, answered.record.model_version, answered.record.degraded_reason) == (False, "m1", None)
    assert answered.record.features_version == "f1"


def test_a_repeat_returns_the_decision_in_the_log_and_scores_nothing(decide: Callable[..., list[Any]]) -> None:
    (first,) = decide(APPLICATION)
    scorer = Scorer()
    (again,) = decide(replace(APPLICATION, submitted_at=NOW - dt.timedelta(minutes=1)), scorer=scorer)

    assert (again.record, again.is_repeat, scorer.seen) == (first.record, True, [])


def test_requests_at_the_same_time_are_decided_once(decide: Callable[..., list[Any]]) -> None:
    scorer = Scorer()
    answers = decide(*[APPLICATION] * 20, scorer=scorer)

    assert len(scorer.seen) == 1
    assert len({answered.record for answered in answers}) == 1
    assert [answered.is_repeat for answered in answers].count(False) == 1


@pytest.mark.parametrize("together", [True, False])
def test_other_content_under_the_same_id_is_a_conflict(decide: Callable[..., list[Any]], together: bool) -> None:
    changed = replace(APPLICATION, amount=900.0)
    answers = decide(APPLICATION, changed) if together else [*decide(APPLICATION), *decide(changed)]

    assert isinstance(answers[0], Answered)
    assert isinstance(answers[1], ConflictError)
    assert "Give the changed application a new id" in str(answers[1])


def test_a_failure_is_that_of_all_who_wait_and_the_next_request_is_decided(decide: Callable[..., list[Any]]) -> None:
    scorer = Scorer(ZeroDivisionError("a fault of the program"))
    failed = decide(APPLICATION, APPLICATION, scorer=scorer)
    (answered,) = decide(APPLICATION)

    assert [type(error) for error in failed] == [ZeroDivisionError] * 2
    assert isinstance(answered, Answered)


def test_it_waits_until_the_features_cover_the_application(decide: Callable[..., list[Any]]) -> None:
    features = Features(late=5)
    (answered,) = decide(APPLICATION, features=features)

    assert features.reads == 6
    assert answered.record.degraded_reason is None
    assert answered.record.applied_lsn == 120


@pytest.mark.parametrize(
    ("features", "scorer", "reason"),
    [
        (Features(late=10**9), Scorer(), "the stream had not applied the application's commit in time; it was at 90"),
        (Features(error=sqlite3.OperationalError("disk I/O error")), Scorer(), "the features cannot be read: disk I/O"),
        (Features(), Scorer(NoScoreError("no scoring model is active")), "no scoring model is active"),
    ],
)
def test_what_is_missing_refers_to_a_person_and_is_in_the_record(
    decide: Callable[..., list[Any]], features: Features, scorer: Scorer, reason: str
) -> None:
    (answered,) = decide(APPLICATION, features=features, scorer=scorer, budget_seconds=0.05)

    assert answered.record.decision == "refer"
    assert reason in answered.record.degraded_reason


@pytest.mark.parametrize(
    ("application", "features", "field_at_fault", "said"),
    [
        (replace(APPLICATION, submitted_at=NOW - dt.timedelta(days=3)), Features(), "submitted_at", "3.0 days ago"),
        (replace(APPLICATION, submitted_at=NOW + dt.timedelta(hours=1)), Features(), "submitted_at", "in the future"),
        (APPLICATION, Features(replace(COVERED, values=None)), "client_id", "has no client 7"),
    ],
)
def test_an_application_that_is_not_valid_is_refused_and_not_logged(
    decide: Callable[..., list[Any]],
    log: DecisionLog,
    application: Application,
    features: Features,
    field_at_fault: str,
    said: str,
) -> None:
    (refused,) = decide(application, features=features)

    assert isinstance(refused, RefusedError)
    assert refused.field == field_at_fault
    assert said in str(refused)
    assert log.of_application(1) is None


def test_without_a_policy_nothing_is_decided(decide: Callable[..., list[Any]], log: DecisionLog) -> None:
    (refused,) = decide(APPLICATION, has_policy=False)

    assert isinstance(refused, NoPolicyError)
    assert str(refused) == "lending.toml is broken"
    assert log.of_application(1) is None
