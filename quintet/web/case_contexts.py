"""The typed contexts of the review queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from quintet.web.rendering import FilterBar, Panel

if TYPE_CHECKING:
    from quintet.cases.kind import Choice
    from quintet.cases.kind import Option as VerdictOption
    from quintet.cases.store import Case
    from quintet.web.cases.evidence import Evidence

Figures = Mapping[str, Panel]
"""Panels by the name of their figure; absent ones are not shown."""


class CaseRow(TypedDict):
    """A case in words. weight: good, warning or none."""

    case_id: str
    title: str
    why: str
    domain: str
    priority: str
    age: str
    owner: str
    state: str
    weight: str


class EventWords(TypedDict):
    """A change of a case in words. text: the note or the reason, if any."""

    at: str
    by: str
    what: str
    text: str


class CasesContext(TypedDict):
    """The review queue. query: the selection, for the links to cases. more: that of a longer list, or empty."""

    filters: FilterBar
    announcement: str
    rows: Sequence[CaseRow]
    total: int
    query: str
    more: str


class CaseContext(TypedDict):
    """One case. group: the undecided cases that can be decided together. place: in the queue, in words."""

    case: Case
    row: CaseRow
    options: Sequence[VerdictOption]
    evidence: Evidence
    history: Sequence[EventWords]
    group: Sequence[Case]
    group_what: str
    can_decide: bool
    choices: Sequence[Choice]
    snoozes: Mapping[int, str]
    page: str
    query: str
    place: str
    next_id: str
    previous_id: str
