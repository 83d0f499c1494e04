"""The typed contexts of the pipeline page and of search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from quintet.search import Hit
from quintet.web.rendering import FilterBar, Panel, State, Table

if TYPE_CHECKING:
    pass

Figures = Mapping[str, Panel]
"""Panels by the name of their figure; absent ones are not shown."""


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


class SearchContext(TypedDict):
    """What a text finds, by kind. most: the most hits of a kind."""

    text: str
    found: Mapping[str, Sequence[Hit]]
    most: int
