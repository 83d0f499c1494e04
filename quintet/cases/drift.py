"""Drift of verdicts: people contradict the scores more often than the scores themselves say, and not by chance.

The verdicts since the last answer are a series, tested after each of them: a mixture of likelihood ratios against
shifted scores. If the scores are right, it ever exceeds `SURE` in at most one series of `SURE`, however long people go
on and however often it is looked at (Ville's inequality).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import duckdb

from quintet.cases.kind import CaseKind, Option, Sources, Subject
from quintet.presentation.wording import counted
from quintet.settings import Settings

KIND = "drift"
MODEL, PEOPLE = "model", "people"
SURE = 200.0

_ERROR = 0.05
"""The share of verdicts in which a person errs: without it, a few slips against certain scores would be a drift."""

_SHIFTS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
"""Of the log-odds of the scores."""

_VERDICTS = """
    select verdict, score, decided_at from marts.ops_verdicts
    where domain = $domain and kind = $kind and is_last and list_contains($known, verdict) and score is not null
        and decided_at > coalesce((
            select max(decided_at) from marts.ops_verdicts where domain = $domain and kind = $drift
                and starts_with(subject_id, $kind || ' ')
        ), timestamp '1970-01-01')
    qualify row_number() over (
        partition by if(origin = 'sample', null, group_id), if(origin = 'sample' or group_id is null, verdict_id, null)
        order by decided_at, verdict_id
    ) = 1
    order by decided_at, verdict_id
"""
"""One verdict of each group counts: the accounts of a cluster are judged alike. A group of a sample is independent."""


@dataclass(frozen=True)
class Drift:
    """A drift. verdicts: of the series. said: how many say yes; expected: by the scores. since: of the first, UTC."""

    verdicts: int
    said: int
    expected: float
    since: dt.datetime


def drift_of(series: Sequence[tuple[bool, float, dt.datetime]]) -> Drift | None:
    """Return the drift of a series of verdicts in their order; None if chance explains it.

    series: whether the verdict says yes, the probability of that by the score, and when it was given.
    """
    expected = [probability * (1 - _ERROR) + (1 - probability) * _ERROR for _, probability, _ in series]
    ratios = [0.0] * len(_SHIFTS)
    highest = -math.inf
    for (says_yes, _, _), probability in zip(series, expected, strict=True):
        own = math.log(probability if says_yes else 1 - probability)
        odds = math.log(probability / (1 - probability))
        for place, shift in enumerate(_SHIFTS):
            shifted = 1 / (1 + math.exp(-(odds + shift)))
            ratios[place] += math.log(shifted if says_yes else 1 - shifted) - own
        top = max(ratios)
        highest = max(highest, top + math.log(sum(math.exp(one - top) for one in ratios) / len(ratios)))
    if highest < math.log(SURE):
        return None
    return Drift(len(series), sum(says_yes for says_yes, _, _ in series), sum(expected), series[0][2])


def drift_kind(domain: str, kinds: Iterable[CaseKind], row_value: Callable[[Settings], float]) -> CaseKind | None:
    """Return the kind of cases about drifts of a business; None if none of its kinds has a score to contradict."""
    judged = {kind.name: kind for kind in kinds if kind.truth}
    if not judged:
        return None
    return CaseKind(
        domain=domain,
        name=KIND,
        what="drift",
        options=(
            Option(
                MODEL,
                "The scores are wrong",
                f"Retrain with `quintet models train {domain}` where the business has a model; the count starts again.",
                "a",
            ),
            Option(
                PEOPLE,
                "The verdicts are wrong",
                "Look at these verdicts again: each can be replaced. The count starts again.",
                "r",
                needs_reason=True,
            ),
        ),
        in_build=partial(_in_build, domain, judged, row_value),
        page=f"/cases?domain={domain}&state=decided",
    )


def _in_build(
    domain: str,
    kinds: Mapping[str, CaseKind],
    row_value: Callable[[Settings], float],
    marts: duckdb.DuckDBPyConnection,
    sources: Sources,
) -> list[Subject]:
    """Return the kinds of cases whose verdicts drift: at most one subject each until a person answers."""
    found = []
    for kind in kinds.values():
        probability = kind.probability(marts)
        rows = marts.execute(
            _VERDICTS, {"domain": domain, "kind": kind.name, "drift": KIND, "known": list(kind.truth)}
        ).fetchall()
        drift = drift_of([(kind.truth[verdict], probability(score), at) for verdict, score, at in rows])
        if drift is None:
            continue
        yes = next(kind.option(verdict).label for verdict, is_yes in kind.truth.items() if is_yes)
        found.append(
            Subject(
                f"{kind.name} since {drift.since:%Y-%m-%dT%H:%M:%S}",
                f"Verdicts on each {kind.what} contradict the scores since {drift.since:%Y-%m-%d}",
                f"Of {counted(drift.verdicts, 'verdict')}, {drift.said:,} say {yes!r}; the scores expected "
                f"{drift.expected:,.0f}. If the scores were right, chance would do this in at most one series of "
                f"{SURE:,.0f}.",
                round(abs(drift.said - drift.expected) * row_value(sources.settings), 2),
            )
        )
    return found
