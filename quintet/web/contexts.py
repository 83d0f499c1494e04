"""The context of each template: the names that it may use, with their types.

A page annotates what it returns with its context, so that mypy compares the two. `tests/unit/web/test_contexts.py`
compares each template with its context. Every template gets the `Shell` as `shell` as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from markupsafe import Markup

from quintet.builds import Progress
from quintet.domain import Waiting
from quintet.search import Hit
from quintet.web.rendering import DataState, DomainCard, Filter, FilterBar, Kpi, Option, Panel, State, Tab, Table

if TYPE_CHECKING:
    from quintet.cases.kind import Option as VerdictOption
    from quintet.cases.store import Case
    from quintet.conversions.insights import Insight
    from quintet.lending.decision_log import DecisionRecord
    from quintet.web.cases.evidence import Evidence
    from quintet.web.pages.payments_words import SeriesState
    from quintet.web.problems import Problem

Figures = Mapping[str, Panel]
"""Panels by the name of their figure; absent ones are not shown."""


class OverviewContext(TypedDict):
    """The businesses, what waits for a person, the data, and the builds.

    published: when the snapshots that are kept were published, the last one first. following: the next daily build.
    """

    cards: Sequence[DomainCard]
    waiting: Sequence[Waiting]
    data: Sequence[DataState]
    published: Sequence[dt.datetime]
    following: dt.datetime
    batches: Table
    rejected: Table


class ComparedPeriods(TypedDict):
    """Two periods of insurance compared. fields: their years. growth, before, now: of comparable agencies.

    comparable: the number of agencies with premium in both.
    """

    fields: Sequence[Filter]
    growth: float | None
    before: float
    now: float
    before_in_words: str
    now_in_words: str
    comparable: int
    table: Table


class InsuranceContext(TypedDict):
    """All agencies. announcement: a sentence for screen readers. report_url: the report runner with these filters."""

    tab: str
    tabs: Sequence[Tab]
    compared: ComparedPeriods | None
    filters: FilterBar
    announcement: str
    kpis: Sequence[Kpi]
    figures: Figures
    table: Table
    report_url: str


class AgencyContext(TypedDict):
    """One agency. facts: labels and texts. back_url: the insurance page with its filters."""

    agency_id: int
    facts: Mapping[str, str]
    back_url: str
    kpis: Sequence[Kpi]
    figures: Figures
    table: Table


class WorstPage(TypedDict):
    """The page that loses the most customers: shares of its sessions, customers of 1,000 sessions, and those lost."""

    label: str
    match_rate: float
    important_share: float
    per_thousand: float
    why: str
    customers: float


class ConversionsContext(TypedDict):
    """Conversions and matches, the parts of one tab.

    worst: the page that brings the fewest customers, with its figures. insights: by heading. clocks: the trained clock
    of each partner.
    """

    filters: FilterBar
    tab: str
    tabs: Sequence[Tab]
    announcement: str
    has_rows: bool
    is_filtered: bool
    kpis: Sequence[Kpi]
    figures: Figures
    tables: Sequence[Table]
    worst: WorstPage | None
    pages_url: str
    insights: Sequence[tuple[str, Sequence[Insight]]]
    clocks: Sequence[str]
    files: Sequence[Option]


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
    sentence. trace: its live decision, if the log has one.
    """

    tabs: Sequence[Tab]
    application_id: int
    client_id: int
    published: PublishedDecision | None
    decided: str
    reasons: Sequence[tuple[str, str]]
    features: Table
    trace: TraceContext | None


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


class ReportsContext(TypedDict):
    """The report runner. downloads: address and name of each format. problem: why there is no preview."""

    filters: FilterBar
    announcement: str
    preview: Table | None
    totals: Sequence[Kpi]
    downloads: Sequence[Option]
    problem: str | None
    history: Table


class SilenceWords(TypedDict):
    """An active silence in words."""

    id: int
    what: str
    until: str
    who: str
    comment: str


class PaymentsContext(TypedDict):
    """Payments, live or of a day.

    figures: the HTML of each figure by its name. series: names of the figures of series. incidents: as in the API, with
    `name`. silence_for: minutes to words. silence_series: series and name. checkout_sentences: whether an hour is
    marked, and the words.
    """

    filters: FilterBar
    announcement: str
    is_live: bool
    day: str
    states: Sequence[SeriesState]
    summary: str
    kpis: Sequence[Kpi]
    series: Sequence[str]
    series_count: int
    figures: Mapping[str, Markup]
    incidents: Sequence[Mapping[str, Any]]
    incidents_url: str
    silences: Sequence[SilenceWords]
    silence_for: Mapping[int, str]
    silence_series: Sequence[tuple[str, str]]
    can_handle: bool
    checkout_sentences: Sequence[tuple[bool, str]]
    messages: Table


class ModelCard(TypedDict):
    """The active model of promotions: its facts and the tables of its card."""

    facts: Mapping[str, str]
    rings: Table
    worlds: Table
    world_rings: Table
    groups: Table
    trainings: Table


class FormField(TypedDict):
    """A field of the form to try a sign-up. problem: why the value cannot be used, or empty."""

    name: str
    label: str
    value: str
    hint: str
    problem: str


class PromotionsContext(TypedDict):
    """Promotions, the parts of one tab. to_judge: users with their sentences and label. at_threshold: in words.

    card: of the model, None on another tab.
    """

    tab: str
    tabs: Sequence[Tab]
    filters: FilterBar
    announcement: str
    kpis: Sequence[Kpi]
    figures: Figures
    threshold: float
    thresholds: Sequence[Mapping[Any, Any]]
    at_threshold: str
    clusters: Table
    cluster: str
    members: Table
    to_judge: Sequence[Mapping[str, Any]]
    user: str
    labels: Table
    card: ModelCard | None
    review_from: str
    block_from: str
    label_path: str
    rules_path: str
    try_path: str
    try_fields: Sequence[FormField]


class TryContext(TypedDict):
    """The form to try a sign-up, with the judgement or the problem."""

    fields: Sequence[FormField]
    try_path: str
    back_url: str
    judgement: Any
    problem: str | None


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
    """The review queue. query: the selection, for the links to cases."""

    filters: FilterBar
    announcement: str
    rows: Sequence[CaseRow]
    total: int
    query: str


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
    snoozes: Mapping[int, str]
    page: str
    query: str
    place: str
    next_id: str
    previous_id: str


class PipelineCell(TypedDict):
    """A stage of a business: how many parts, the state of the worst, and when one was built last (ISO, UTC)."""

    stage: str
    count: int
    href: str
    state: State
    state_in_words: str
    built_at: str


class PipelineAsset(TypedDict):
    """A part of the pipeline with its state. Moments are ISO, UTC, or empty. upstream: keys of what it is made from.

    elsewhere: its address in Dagster's UI, or empty.
    """

    key: str
    elsewhere: str
    business: str
    stage: str
    kind: str
    state: State
    state_in_words: str
    built_at: str
    rows: int | None
    checks: str
    failed_at: str
    failure: str
    upstream: Sequence[str]
    description: str


class PipelineContext(TypedDict):
    """The lineage. grid: each business with its stages. dagster_url: of Dagster's UI, or empty."""

    filters: FilterBar
    announcement: str
    stages: Sequence[str]
    grid: Sequence[tuple[str, Sequence[PipelineCell]]]
    assets: Sequence[PipelineAsset]
    dagster_url: str
    files: Table
    rejected: Table


class ClickContext(TypedDict):
    """One conversion. heading: its match in words. match: labels and texts of its broker row, or empty."""

    conversion_id: int
    heading: str
    facts: Mapping[str, str]
    match: Mapping[str, str]


class SearchContext(TypedDict):
    """What a text finds, by kind. most: the most hits of a kind."""

    text: str
    found: Mapping[str, Sequence[Hit]]
    most: int


class SignInContext(TypedDict):
    """The sign-in form. next_page: where it leads. message: why the last key was refused."""

    next_page: str
    message: str | None


class BuildingContext(TypedDict):
    """Nothing is published yet, or not this part. progress: of the build at work, if one reports.

    began, reported: how long ago, in words. is_quiet: whether it has reported nothing for long.
    """

    is_part: bool
    progress: Progress | None
    began: str
    reported: str
    is_quiet: bool


class ErrorContext(TypedDict):
    """A problem as a page."""

    problem: Problem


CONTEXTS: Mapping[str, type] = {
    "overview.html": OverviewContext,
    "insurance.html": InsuranceContext,
    "insurance_agency.html": AgencyContext,
    "conversions.html": ConversionsContext,
    "lending.html": LendingContext,
    "lending_applications.html": ApplicationsContext,
    "lending_application.html": ApplicationContext,
    "lending_client.html": ClientContext,
    "lending_decisions.html": DecisionsContext,
    "lending_model.html": ModelContext,
    "lending_what_if.html": WhatIfContext,
    "reports.html": ReportsContext,
    "payments.html": PaymentsContext,
    "promotions.html": PromotionsContext,
    "promotions_try.html": TryContext,
    "cases.html": CasesContext,
    "case.html": CaseContext,
    "pipeline.html": PipelineContext,
    "search.html": SearchContext,
    "conversions_click.html": ClickContext,
    "sign_in.html": SignInContext,
    "error.html": ErrorContext,
    "building.html": BuildingContext,
}
"""The context of each template that is a page. The page module of a business may have a `CONTEXTS` of its own."""
