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
    whether it must have a reason.
    """

    name: str
    label: str
    means: str
    key: Literal["a", "r", "e"]
    needs_reason: bool = False


@dataclass(frozen=True)
class Subject:
    """What a case is about, and why a person should look at it.

    subject_id: unique among those of its kind. why: in a sentence. priority: the expected loss or gain, in currency.
    group_id: cases with the same one can be decided together, such as those of a cluster. person_id: of the person
    whose data it is. share: the probability with which it was selected; 1 for all but random samples.
    is_over: whether nobody needs to look at it any more; an undecided case of it is closed.
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
    """A verdict on a case, for `CaseKind.act`. before: the verdict that it replaces, if any. decided_at: UTC."""

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


@dataclass(frozen=True)
class CaseKind:
    """A kind of case of a domain.

    name: unique in the domain; what: its subject, in the singular. in_build: every subject in the results of a
    snapshot that needs a person; an open case of another subject is closed. exists: SQL of the ids of all subjects in
    a snapshot, to say why one is missing. in_service: subjects that the service recorded after a position, and the next
    position. act: what a verdict does
    besides being recorded, in the transaction that records it; raises UnusableVerdictError.
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
