"""The typed contexts of the pages of lending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from quintet.web.rendering import FilterBar, Kpi, Panel, Tab, Table

if TYPE_CHECKING:
    from quintet.lending.decision_log import DecisionRecord

Figures = Mapping[str, Panel]
"""Panels by the name of their figure; absent ones are not shown."""


class FeatureWords(TypedDict):
    """A feature in words, in code and in SQL."""

    name: str
    definition: str
    null_rule: str
    version: int
    file: str
    code: str
    sql: str


class LendingContext(TypedDict):
    """The feature registry. committed_at: the last commit that the stream has applied. incomplete: tables and why."""

    tabs: Sequence[Tab]
    table: Table
    committed_at: str | None
    incomplete: Sequence[str]
    features: Sequence[FeatureWords]


class ApplicationsContext(TypedDict):
    """Open applications with their decisions. reasons: how often each led to which decision."""

    tabs: Sequence[Tab]
    filters: FilterBar
    announcement: str
    kpis: Sequence[Kpi]
    table: Table
    reasons: Table


class PublishedDecision(TypedDict):
    """The decision on an open application, as the snapshot has it."""

    applied_on: str
    amount: float
    score: float | None
    points: int | None
    model_version: str | None
    policy_version: str | None


class ApplicationContext(TypedDict):
    """One application. published: as the snapshot has it, or None. decided: its decision in words. reasons: code and
    sentence. trace: its live decision, if the log has one. final: of a person, in words. notice: the address of the
    notice for the client; empty if it is not rejected.
    """

    tabs: Sequence[Tab]
    application_id: int
    client_id: int
    published: PublishedDecision | None
    decided: str
    reasons: Sequence[tuple[str, str]]
    features: Table
    trace: TraceContext | None
    final: str
    notice: str


class ClientContext(TypedDict):
    """One client: features, and open applications."""

    tabs: Sequence[Tab]
    client_id: int
    features: Table
    table: Table


class TraceContext(TypedDict):
    """One decision from request to answer, or `problem`: why there is none.

    rules: code, sentence, and whether it applied (None if a figure was unknown). reasons, score_reasons: code and
    sentence. raw, answer: JSON.
    """

    problem: str | None
    has_features: NotRequired[bool]
    record: NotRequired[DecisionRecord]
    raw: NotRequired[str]
    figures: NotRequired[Table]
    score_reasons: NotRequired[Sequence[tuple[str, str]]]
    rules: NotRequired[Sequence[tuple[str, str, bool | None]]]
    reasons: NotRequired[Sequence[tuple[str, str]]]
    challenger: NotRequired[Mapping[str, Any] | None]
    answer: NotRequired[str]
    reproduced: NotRequired[str]


class DecisionsContext(TypedDict):
    """Loan decisions.

    faults: refused files. incomplete: tables and why. active: policy or model, and its version. most: the limit if
    bounded.
    """

    tabs: Sequence[Tab]
    filters: FilterBar
    announcement: str
    faults: Sequence[str]
    incomplete: Sequence[str]
    active: Sequence[tuple[str, str]]
    committed_at: str | None
    kpis: Sequence[Kpi]
    figures: Figures
    trace: TraceContext | None
    table: Table
    is_bounded: bool
    most: int


class ModelContext(TypedDict):
    """The scoring model's card. no_model: why there is none. reasons: sentences by code."""

    tabs: Sequence[Tab]
    kpis: Sequence[Kpi]
    figures: Figures
    facts: Mapping[str, str]
    no_model: str | None
    versions: Table
    reasons: Mapping[str, str]


class WhatIfContext(TypedDict):
    """Other limits. words: the limits in a sentence. no_model: why there is nothing to compare."""

    tabs: Sequence[Tab]
    filters: FilterBar
    announcement: str
    words: str
    kpis: Sequence[Kpi]
    no_model: str | None
    figures: Figures
