"""The context of each template: the names that it may use, with their types.

A page annotates what it returns with its context, so that mypy compares the two. `tests/unit/web/test_contexts.py`
compares each template with its context. Every template gets the `Shell` as `shell` as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from markupsafe import Markup

from quintet.builds import Progress
from quintet.domain import Waiting
from quintet.web.case_contexts import CaseContext, CasesContext
from quintet.web.lending_contexts import (
    ApplicationContext,
    ApplicationsContext,
    ClientContext,
    DecisionsContext,
    LendingContext,
    ModelContext,
    WhatIfContext,
)
from quintet.web.pipeline_contexts import PipelineContext, SearchContext
from quintet.web.rendering import DataState, DomainCard, Filter, FilterBar, Kpi, Option, Panel, Tab, Table

if TYPE_CHECKING:
    from quintet.conversions.insights import Insight
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


class ScheduledReport(TypedDict):
    """A scheduled report in words."""

    id: int
    what: str
    recipient: str
    timing: str
    next_at: str


class ReportsContext(TypedDict):
    """The report runner. downloads: address and name of each format. problem: why there is no preview.

    written: the PDFs of the last run; None for a bound key. scheduled: the schedules that the key may see.
    can_schedule: whether it may add one. scheduling: the address of the form.
    """

    filters: FilterBar
    announcement: str
    preview: Table | None
    totals: Sequence[Kpi]
    downloads: Sequence[Option]
    problem: str | None
    written: Table | None
    scheduled: Sequence[ScheduledReport]
    can_schedule: bool
    scheduling: str
    history: Table


class SilenceWords(TypedDict):
    """A silence that is active or to begin, in words."""

    id: int
    what: str
    when: str
    is_active: bool
    who: str
    comment: str


class SilenceForm(TypedDict):
    """The choices of the form of a silence: minutes to words, series and dimensions with their names."""

    durations: Mapping[int, str]
    series: Sequence[tuple[str, str]]
    severities: Sequence[str]
    dimensions: Sequence[tuple[str, str]]
    time_zone: str


class PaymentsContext(TypedDict):
    """Payments, live or of a day.

    figures: the HTML of each figure by its name. series: names of the figures of series. incidents: as in the API, with
    `name` and `explained`. checkout_sentences: whether
    an hour is marked, and the words. values: the payments by the chosen dimension, with a sentence about them.
    """

    filters: FilterBar
    announcement: str
    values: Table | None
    values_note: str
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
    silence_form: SilenceForm
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


class ClickContext(TypedDict):
    """One conversion. heading: its match in words. match: labels and texts of its broker row, or empty."""

    conversion_id: int
    heading: str
    facts: Mapping[str, str]
    match: Mapping[str, str]


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
