"""The declaration of a kind of case: its subjects, its verdicts, and what a verdict does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import duckdb

from quintet.settings import Settings
from quintet.state.store import Connection, StateStore

BUILD: Literal["build"] = "build"
SAMPLE: Literal["sample"] = "sample"
"""Where the subject of a case comes from: the results of a build, or a random sample of them; else `service`."""


class UnusableVerdictError(ValueError):
    """A verdict cannot be given on a case; the message says why and what to do."""


@dataclass(frozen=True)
class Option:
    """A verdict that a case of a kind can get.

    label: on its button. means: what it does, in a sentence. key: the key that chooses it on the page. needs_reason:
    whether it must have a reason. takes_choices: whether it says more than its name, by `CaseKind.choices`.
    """

    name: str
    label: str
    means: str
    key: Literal["a", "r", "e"]
    needs_reason: bool = False
    takes_choices: bool = False


@dataclass(frozen=True)
class Choice:
    """What a verdict can choose, such as the column of a file that is read as a column of the contract.

    values: the likeliest first. suggested: the one to begin with; empty for none. group: at least one choice of each
    group is needed; empty if it may be left out. is_exclusive: whether no other choice may have the same value.
    """

    key: str
    label: str
    values: Sequence[str]
    suggested: str = ""
    group: str = ""
    is_exclusive: bool = False


def check_choices(offered: Sequence[Choice], given: Mapping[str, str]) -> None:
    """Raise UnusableVerdictError unless the given choices are among those offered, and complete."""
    by_key = {one.key: one for one in offered}
    for key, value in given.items():
        if key not in by_key:
            known = ", ".join(list(by_key)[:20]) or "none"
            raise UnusableVerdictError(f"choices has {key[:80]!r}, which cannot be chosen here; there are {known}")
        if value not in by_key[key].values:
            known = ", ".join(by_key[key].values[:20])
            raise UnusableVerdictError(f"choices: {key} is {value[:80]!r}; it must be one of {known}")
    exclusive = [value for key, value in given.items() if by_key[key].is_exclusive]
    if twice := sorted({value for value in exclusive if exclusive.count(value) > 1}):
        raise UnusableVerdictError(f"choices has {', '.join(twice)} more than once; choose each once")
    chosen = {by_key[key].group for key in given}
    for group in dict.fromkeys(one.group for one in offered if one.group):
        if group not in chosen:
            raise UnusableVerdictError(f"choices has nothing for {group}; choose one of the values offered for it")


@dataclass(frozen=True)
class Subject:
    """What a case is about, and why a person should look at it.

    subject_id: unique among those of its kind. why: in a sentence. priority: the expected loss or gain, in currency.
    group_id: cases with the same one can be decided together, such as those of a cluster. person_id: of the person
    whose data it is. share: the probability with which it was selected; 1 for all but random samples.
    is_over: whether nobody needs to look at it any more; an undecided case of it is closed.
    reopened_after: the verdicts that do not hold for it any more; a case that has one is opened again.
    """

    subject_id: str
    title: str
    why: str
    priority: float
    score: float | None = None
    group_id: str | None = None
    person_id: str | None = None
    origin: Literal["build", "service", "sample"] = "build"
    share: float = 1.0
    is_over: bool = False
    reopened_after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sources:
    """What subjects are found in.

    store: the state store. now: UTC. has_case: whether a group has a case already. position: what `in_service`
    returned the last time; 0 at first.
    """

    settings: Settings
    store: StateStore
    now: dt.datetime
    has_case: Callable[[str], bool] = lambda _: False
    position: int = 0


@dataclass(frozen=True)
class Decided:
    """A verdict on a case, for `CaseKind.act`.

    before: the verdict that it replaces, if any. decided_at: UTC. choices: by key, as `CaseKind.choices` offers them.
    """

    case_id: str
    version: int
    subject_id: str
    group_id: str | None
    share: float
    verdict: str
    before: str | None
    reason: str
    decided_by: str
    decided_at: dt.datetime
    settings: Settings
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseKind:
    """A kind of case of a domain.

    name: unique in the domain; what: its subject, in the singular. in_build: every subject in the results of a
    snapshot that needs a person; an open case of another subject is closed. exists: SQL of the ids of all subjects in
    a snapshot, to say why one is missing. in_service: subjects that the service recorded after a position, and the next
    position. act: what a verdict does
    besides being recorded, in the transaction that records it; raises UnusableVerdictError.
    choices: what a verdict on a subject can choose, from a snapshot and the id of the subject.
    truth: by verdict, whether it agrees with what the score is the probability of; empty where there is no such score.
    probability: returns from a snapshot what turns a score into this probability; by default the score is one.
    table: the recorded table that `act` writes to, which a run ingests.
    person_kind: the kind of person whom its subjects are about, as `quintet forget` names it.
    evidence: the module of the web layer whose `evidence` shows what a verdict is based on. page: of one subject, with
    `{subject_id}` or `{group_id}` in it.
    """

    domain: str
    name: str
    what: str
    options: Sequence[Option]
    in_build: Callable[[duckdb.DuckDBPyConnection, Sources], Sequence[Subject]] = lambda *_: ()
    exists: str = ""
    in_service: Callable[[Sources], tuple[Sequence[Subject], int]] = lambda _: ((), 0)
    act: Callable[[Connection, Decided], None] = lambda *_: None
    choices: Callable[[duckdb.DuckDBPyConnection, str], Sequence[Choice]] = lambda *_: ()
    truth: Mapping[str, bool] = field(default_factory=dict)
    probability: Callable[[duckdb.DuckDBPyConnection], Callable[[float], float]] = lambda _: float
    table: str = ""
    person_kind: str = ""
    evidence: str = ""
    page: str = ""
    group_what: str = ""
    option_by_name: Mapping[str, Option] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Index the options by name."""
        object.__setattr__(self, "option_by_name", {option.name: option for option in self.options})

    @property
    def key(self) -> tuple[str, str]:
        """The domain and the name."""
        return self.domain, self.name

    def option(self, verdict: str) -> Option:
        """Return the option of a verdict. Raises UnusableVerdictError for an unknown one."""
        if verdict not in self.option_by_name:
            known = ", ".join(self.option_by_name)
            raise UnusableVerdictError(f"verdict is {verdict[:40]!r}; a case about one {self.what} has {known}")
        return self.option_by_name[verdict]
