"""Conversions over HTTP: the matches, the funnel and the quality of the matches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import Query, Request
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import Response

from quintet.conversions.analysis_tables import read_frame
from quintet.conversions.journeys import MatchFilters, match_page
from quintet.web.lists import Listed, Page, PageQuery, answer_list, split_values
from quintet.web.row_access import restricted_by
from quintet.web.security import guarded_router
from quintet.web.times import RecordedMoment, refuse_swapped, utc

router = guarded_router("conversions:read", prefix="/v1/conversions", tags=["conversions"])
ROUTERS = (router,)

_MOST_VALUES = 200

Texts = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200)]],
    BeforeValidator(split_values),
    Field(default_factory=list, max_length=_MOST_VALUES),
]


class MatchQuery(PageQuery):
    """Filters of matches. A filter accepts several values, repeated or separated by commas."""

    tier: Literal["matched", "review"] = Field("matched", description="Matches, or pairs held for review.")
    country: Texts = Field(description="ISO 3166 alpha-2 codes of the conversion's country.", examples=[["DE"]])
    page_category: Texts = Field(description="Page categories of the conversion.", examples=[["Broker finder"]])
    partner: Texts = Field(description="Brokers.", examples=[["broker"]])
    is_mobile: bool | None = Field(None, description="Whether the visitor used a phone.")
    since: RecordedMoment | None = Field(
        None, description="Earliest time of the conversion, included; UTC without a zone."
    )
    until: RecordedMoment | None = Field(
        None, description="Latest time of the conversion, excluded; UTC without a zone."
    )

    def filters(self) -> MatchFilters:
        """Return the filters in the domain's form."""
        return MatchFilters(
            tier=self.tier,
            countries=self.country,
            page_categories=self.page_category,
            partners=self.partner,
            is_mobile=self.is_mobile,
            since=utc(self.since) if self.since else None,
            until=utc(self.until) if self.until else None,
        )


class Match(BaseModel):
    """A conversion and its broker row."""

    conversion_id: int
    session_id: str | None
    created_at: dt.datetime = Field(description="Of the conversion, UTC.")
    country_iso2: str | None = Field(description="Of the conversion.")
    is_mobile: bool | None
    ui_element: str | None
    page_category: str | None
    partner: str
    broker_row_id: str
    broker_source_file: str
    broker_source_row: int
    broker_at: str = Field(description="By the partner's clock, without a zone.", examples=["2024-05-01T02:22:43"])
    lag_seconds: int = Field(description="From the conversion to the broker row, with the partner's clock corrected.")
    match_probability: float
    runner_up_probability: float
    tier: Literal["matched", "review"]
    residency_iso2: str | None
    ip_iso2: str | None
    important_score: float | None
    important_score_missing_reason: str | None


class MatchPage(Listed):
    """Matches in the order of their conversions."""

    items: list[Match]


@router.get("/matches", response_model=MatchPage)
@restricted_by("partner")
def matches(request: Request, query: Annotated[MatchQuery, Query()]) -> Response:
    """List the matched pairs of conversion and broker row with their probability and the broker's score.

    A conversion and a broker row occur at most once. Pairs held for review are not matches: request them with `tier`.
    """
    refuse_swapped(("since", "until"), query.since, query.until)

    def fetch(cursor: Any, after: tuple[Any, ...] | None) -> Page:
        return match_page(cursor, query.filters(), after, query.page_size)

    return answer_list(request, query, fetch)


class FunnelStep(BaseModel):
    """How many rows of a side reach a step."""

    side: Literal["clicks", "broker_rows"]
    step: Literal["all", "in_reach", "with_candidate", "matched"]
    rows: int
    share: float | None = Field(description="Of the side.")


class Outcome(BaseModel):
    """How many rows of a side have an outcome."""

    side: Literal["clicks", "broker_rows"]
    outcome: str = Field(description="`matched`, or the reason why not.", examples=["no_candidate"])
    rows: int
    share: float | None = Field(description="Of the side.")


class Placebo(BaseModel):
    """The same matching with shifted conversions, where every match is false."""

    hours: int
    broker_rows: int
    matched: int
    false_match_rate: float


class MatchQuality(BaseModel):
    """The quality of the matches that the model expects and that the placebo measures."""

    model_version: str | None
    trained_at: dt.datetime | None = Field(description="UTC.")
    expected_precision: float | None
    expected_recall: float | None
    expected_f1: float | None
    placebo: list[Placebo]


class FunnelPage(Listed):
    """Steps of both sides, in order, with the outcomes and the quality of the matches."""

    items: list[FunnelStep]
    outcomes: list[Outcome]
    quality: MatchQuality


@router.get("/funnel", response_model=FunnelPage)
def funnel(request: Request) -> Response:
    """Return the funnel of conversions and broker rows, the reasons for no match, and the quality of the matches.

    `false_match_rate` is measured by the same matching against conversions shifted by hours.
    """

    def fetch(cursor: Any, _: tuple[Any, ...] | None) -> Page:
        return _records(read_frame(cursor, "funnel")), None

    return answer_list(request, PageQuery(), fetch, match_quality)


def match_quality(cursor: Any) -> dict[str, Any]:
    """Return `outcomes` and `quality` of the answer from a snapshot."""
    figures = dict(cursor.execute("select figure, value from ml.matching_summary").fetchall())
    [(version, trained_at)] = cursor.execute(
        "select version, strftime(trained_at, '%Y-%m-%dT%H:%M:%SZ') from ml.matching_model"
    ).fetchall()
    expected = ("expected_precision", "expected_recall", "expected_f1")
    return {
        "outcomes": _records(read_frame(cursor, "outcomes")),
        "quality": {
            "model_version": version,
            "trained_at": trained_at,
            **{name: figures.get(name) for name in expected},
            "placebo": _records(cursor.execute("from ml.matching_placebo order by hours").df()),
        },
    }


def _records(frame: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
