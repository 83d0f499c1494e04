"""Promotions over HTTP: scores of sign-ups, labels of users, and the figures of the overview."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Annotated, Any, Literal

import orjson
from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import Response

from quintet.promotions import overview
from quintet.promotions.accounts import LONGEST_TEXT, code_of
from quintet.promotions.feedback import Confirmed, ContradictionError, confirm, label_in_files
from quintet.promotions.online_state import NotReadyError
from quintet.promotions.service import PromotionsService
from quintet.promotions.store import Label, was_judged
from quintet.web.audit import about, audited, not_audited
from quintet.web.direct import DirectRoute
from quintet.web.problems import Problem, ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import service_of
from quintet.web.times import BirthDay, RecordedMoment, refuse_future

_PREFIX: dict[str, Any] = {"prefix": "/v1/promotions", "tags": ["promotions"]}
reading = guarded_router("promotions:read", **_PREFIX)
scoring = guarded_router("promotions:score", route_class=DirectRoute, **_PREFIX)
labelling = guarded_router("promotions:label", **_PREFIX)
FIRST_ROUTERS, ROUTERS = (scoring,), (reading, labelling)

_MOST_USAGES = 100
_RETRY_SECONDS = 5


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, Field(max_length=LONGEST_TEXT)]


class UsageGiven(BaseModel):
    """A use of a promotion code by the user."""

    model_config = ConfigDict(extra="forbid")

    promo_code: Name = Field(examples=["7618"], description="The code; unknown codes are accepted.")
    used_at: RecordedMoment | None = Field(
        None, examples=["2026-01-01T10:05:00Z"], description="When; UTC without an offset. At most one day ahead."
    )


class SignUpGiven(BaseModel):
    """A sign-up. Omit unknown fields or send null; they do not affect the score."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name = Field(examples=["u-1001"])
    created_at: RecordedMoment | None = Field(
        None, examples=["2026-01-01T10:00:00Z"], description="When; now if omitted. At most one day ahead."
    )
    email: Text | None = Field(None, examples=["ana.kovac+promo@example.com"])
    phone: Text | None = Field(None, examples=["+1-505-555-0100"])
    first_name: Text | None = Field(None, examples=["Ana"])
    last_name: Text | None = Field(None, examples=["Kovač"])
    ip_address: Text | None = Field(None, examples=["203.0.113.7"])
    device_id: Text | None = Field(None, examples=["3f2c9d"])
    dob: BirthDay | None = Field(None, examples=["1990-05-17"], description="Date of birth; not in the future.")
    user_agent: Text | None = Field(None, examples=["Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"])
    is_email_verified: StrictBool | None = Field(None, description="Whether the user has confirmed the e-mail address.")
    is_phone_verified: StrictBool | None = Field(None, description="Whether the user has confirmed the phone number.")
    usages: list[UsageGiven] = Field(default_factory=list, max_length=_MOST_USAGES, description="Uses known so far.")

    def sha256(self) -> str:
        """Return the digest of what was sent."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def plain(self, now: dt.datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the sign-up and its usages as plain JSON. Raises ProblemError for a blank user_id or a future time."""
        refuse_future("body.created_at", self.created_at, now)
        refuse_future("body.dob", self.dob, now)
        for place, usage in enumerate(self.usages):
            refuse_future(f"body.usages.{place}.used_at", usage.used_at, now)
        sign_up = self.model_dump(mode="json")
        usages = sign_up.pop("usages")
        sign_up["user_id"] = sign_up["user_id"].strip()
        if not sign_up["user_id"]:
            raise ProblemError(422, "user_id is blank; send the id of the user")
        sign_up["created_at"] = sign_up["created_at"] or now.isoformat()
        return sign_up, usages


class ReasonAnswered(BaseModel):
    """A reason: a code for programs and a sentence for people."""

    code: str = Field(examples=["DEVICE_SHARED_3"])
    sentence: str = Field(examples=["3 accounts signed up from this device."])


class LinkedAnswered(BaseModel):
    """An account that appears to be the same person's."""

    user_id: str
    weight: float = Field(description="Strength of the link, at least 2.8.")
    shares: list[str] = Field(examples=[["device", "ip"]])


class Judged(BaseModel):
    """The score and decision of a sign-up: the fields of `online_index.Judgement`."""

    user_id: str
    score: float = Field(ge=0, le=1)
    decision: Literal["allow", "review", "block"]
    reasons: list[ReasonAnswered] = Field(description="What counts against it, the strongest first.")
    cluster_id: str | None = Field(description="The smallest user_id of its cluster; null without links.")
    cluster_size: int = Field(description="Accounts in its cluster, itself included.")
    linked: list[LinkedAnswered] = Field(description="The strongest links, at most 20.")
    model_version: str = Field(examples=["logistic-993c944d6b8b"])
    is_new: bool = Field(description="Whether the user was unknown before.")


class LabelGiven(BaseModel):
    """A person's verdict on a user."""

    model_config = ConfigDict(extra="forbid")

    user_id: Name = Field(examples=["u-1001"])
    is_abuser: Annotated[bool, Field(strict=True)]
    note: Annotated[str, Field(max_length=1_000)] | None = Field(None, examples=["same card as u-1000"])
    replace: Annotated[bool, Field(strict=True)] = Field(
        False, description="Whether it may replace the opposite label."
    )


class LabelKept(BaseModel):
    """The current label; the next training uses it."""

    user_id: str
    is_abuser: bool
    labelled_at: dt.datetime
    labelled_by: str
    note: str | None
    is_new: bool = Field(description="False if the user already had this label.")
    replaced: bool = Field(description="Whether it replaced the opposite label.")


class Period(BaseModel):
    """A day, week or month."""

    start: dt.date
    registrations: int
    usages: int


class RankedUser(BaseModel):
    """A user by uses of codes."""

    user_id: str
    uses: int
    codes: int
    score: float | None
    decision: str | None


class RankedCode(BaseModel):
    """A code by uses."""

    promo_code: str
    uses: int
    users: int
    discount_type: str | None
    discount_value: float | None
    is_code_known: bool


class RankedUsers(BaseModel):
    """The users with the most uses; tied: how many users have as many as the last one shown."""

    items: list[RankedUser]
    tied: int
    total: int


class RankedCodes(BaseModel):
    """The codes with the most uses; tied: how many codes have as many as the last one shown."""

    items: list[RankedCode]
    tied: int
    total: int


class ScoreBin(BaseModel):
    """Accounts with a score from low up to high."""

    low: float
    high: float
    accounts: int
    abusers: int = Field(description="Of these, labelled as abusers.")
    honest: int
    unlabelled: int


class Overview(BaseModel):
    """The data of the four charts, and the decisions."""

    snapshot: str
    grain: Literal["day", "week", "month"]
    timeline: list[Period]
    top_users: RankedUsers
    top_codes: RankedCodes
    score_histogram: list[ScoreBin]
    decisions: dict[str, int]
    model_version: str | None


class OverviewQuery(BaseModel):
    """The grain of the timeline."""

    model_config = ConfigDict(extra="forbid")

    grain: Literal["day", "week", "month"] | None = Field(None, description="By the span of the data if omitted.")


@scoring.post("/abuse-score", response_model=Judged)
@not_audited("ops_abuse_judgements has every scored sign-up with the key")
async def abuse_score(request: Request, given: SignUpGiven) -> Response:
    """Score a sign-up and store the user, who is then compared with later sign-ups.

    The result is on the disk before it is returned. A user sent again keeps the first fields; new uses count. The same
    request within 15 minutes gets the same score and decision again, so that it can be repeated safely.
    """
    service = service_of(request)
    now = service.clock()
    sign_up, usages = given.plain(now)
    patience_seconds = service.settings.request_seconds / 2
    try:
        judgement = await service.of(PromotionsService).index.judge_and_record(
            sign_up, usages, now, request.state.key.name, given.sha256(), patience_seconds
        )
    except NotReadyError as error:
        raise ProblemError(503, str(error), {"retry-after": str(_RETRY_SECONDS)}) from error
    return Response(orjson.dumps(judgement), media_type="application/json")


@labelling.post(
    "/labels",
    response_model=LabelKept,
    responses={409: {"description": "The user has the opposite label; `replace` replaces it.", "model": Problem}},
)
@audited("labels.set")
def label(request: Request, given: LabelGiven) -> LabelKept:
    """Confirm a user as an abuser, or clear one; the same label again changes nothing."""
    kept = store_label(request, given)
    return LabelKept(
        user_id=kept.label.user_id,
        is_abuser=kept.label.is_abuser,
        labelled_at=kept.label.labelled_at,
        labelled_by=kept.label.labelled_by,
        note=kept.label.note,
        is_new=kept.is_new,
        replaced=kept.replaced,
    )


def store_label(request: Request, given: LabelGiven) -> Confirmed:
    """Store a label by the request's key. Raises ProblemError 404 for an unknown user, 409 for a contradiction."""
    service = service_of(request)
    user_id = code_of(given.user_id)
    about(request, "user", user_id)
    with service.snapshots.read() as snapshot:
        is_known, of_file = label_in_files(snapshot.cursor, user_id)
    if not is_known and not was_judged(service.store, user_id):
        raise ProblemError(404, f"user {user_id!r} is unknown; label one from a file or a sign-up")
    new = Label(user_id, given.is_abuser, service.clock(), request.state.key.name, given.note)
    try:
        return confirm(service.store, new, of_file, given.replace)
    except ContradictionError as error:
        raise ProblemError(409, str(error)) from error


@reading.get("/overview", response_model=Overview)
def overview_figures(request: Request, asked: Annotated[OverviewQuery, Query()]) -> Response:
    """Return registrations and usages over time, the users and codes with the most uses, and the score histogram."""
    service = service_of(request)
    with service.snapshots.read() as snapshot:
        cursor = snapshot.cursor

        def make() -> dict[str, Any]:
            grain = asked.grain or overview.grain_of(cursor)
            users, codes = overview.top_users(cursor), overview.top_codes(cursor)
            ((version,),) = cursor.execute("select any_value(model_version) from marts.fct_abuse_scores").fetchall()
            return {
                "snapshot": snapshot.snapshot_id,
                "grain": grain,
                "timeline": _items(overview.timeline(cursor, grain).assign(start=lambda rows: rows["start"].dt.date)),
                "top_users": {"items": _items(users.rows), "tied": users.tied, "total": users.total},
                "top_codes": {"items": _items(codes.rows), "tied": codes.tied, "total": codes.total},
                "score_histogram": _items(overview.score_histogram(cursor)),
                "decisions": overview.decisions(cursor),
                "model_version": version,
            }

        answer: Response = service.answers.json(request, snapshot, make)
        return answer


def _items(frame: Any) -> list[dict[str, Any]]:
    """Return the rows as plain values, with null for missing ones."""
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows
