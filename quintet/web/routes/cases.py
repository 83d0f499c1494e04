"""Cases over HTTP: list, get, assign, note, snooze, decide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from quintet.cases import changes
from quintet.cases import store as case_store
from quintet.cases.changes import LONGEST_TEXT
from quintet.cases.kind import check_choices
from quintet.cases.store import Case, CaseFilter, Event
from quintet.domains import CASE_KINDS
from quintet.web.addresses import route_path
from quintet.web.audit import audited
from quintet.web.cases.access import DECIDE, READ, as_problems, author, case_of, choices_of, kinds_of
from quintet.web.lists import PageQuery
from quintet.web.problems import Problem, ProblemError
from quintet.web.security import guarded_router
from quintet.web.service import Service, service_of
from quintet.web.times import RecordedMoment

_PREFIX: dict[str, Any] = {"prefix": "/v1/cases", "tags": ["cases"]}
reading = guarded_router(READ, **_PREFIX)
deciding = guarded_router(DECIDE, **_PREFIX)
deciding_several = guarded_router(DECIDE, tags=["cases"])
ROUTERS = (reading, deciding, deciding_several)

MOST_AT_ONCE = 1_000
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "Another change was first, or the case is closed.", "model": Problem}
}

CaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="Id of the case.")]
RequestKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Equal in each attempt of one request: it is then done once.",
    ),
]
_Version = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1, description="The version that the person saw.")]
_Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
_Choices = Annotated[
    dict[Annotated[str, Field(max_length=LONGEST_TEXT)], Annotated[str, Field(max_length=LONGEST_TEXT)]],
    Field(max_length=200, description="By key, the values that the verdict chooses."),
]


class CaseQuery(PageQuery):
    """Filters of cases."""

    domain: Annotated[str, Field(max_length=40)] | None = Field(None, description="The business, such as lending.")
    kind: Annotated[str, Field(max_length=40)] | None = Field(None, description="The kind of subject, such as loan.")
    state: Literal["waiting", "open", "assigned", "snoozed", "decided", "any"] = Field(
        "waiting", description="`waiting`: open, assigned, or snoozed until now."
    )
    owner: Annotated[str, Field(max_length=200)] | None = Field(None, description="A name; empty for nobody.")
    group_id: Annotated[str, Field(max_length=400)] | None = Field(None, description="Such as that of a cluster.")
    least_priority: float | None = Field(None, ge=0, le=1e15, description="In currency.")
    opened_from: RecordedMoment | None = Field(None, description="Opened at this time or later.")
    opened_before: RecordedMoment | None = Field(None, description="Opened before this time.")


class CaseAnswered(BaseModel):
    """A case. priority: expected loss or gain, in currency. share: probability with which it was selected."""

    case_id: str
    version: int
    domain: str
    kind: str
    subject_id: str
    group_id: str | None
    title: str
    why: str
    score: float | None
    priority: float
    origin: Literal["build", "service", "sample"]
    share: float
    opened_at: dt.datetime
    state: Literal["open", "assigned", "snoozed", "decided"]
    owner: str | None
    snoozed_until: dt.datetime | None
    verdict: str | None
    reason: str | None
    changed_at: dt.datetime
    changed_by: str


class CaseList(BaseModel):
    """A page of cases, the largest priority first."""

    items: list[CaseAnswered]
    next_page_token: str | None = Field(description="Send it as `page_token`; null on the last page.")
    snapshot: None = Field(description="Cases are of the service, not of a snapshot.")


class Change(BaseModel):
    """A change of a case."""

    action: str
    at: dt.datetime
    by: str
    version: int
    state: str
    owner: str | None
    verdict: str | None
    reason: str | None
    note: str | None
    snoozed_until: dt.datetime | None


class OptionAnswered(BaseModel):
    """A verdict that the case can get."""

    name: str
    label: str
    means: str
    needs_reason: bool
    takes_choices: bool


class ChoiceAnswered(BaseModel):
    """What a verdict can choose. group: at least one choice of each group is needed; empty if it may be left out."""

    key: str
    label: str
    values: list[str] = Field(description="The likeliest first.")
    suggested: str
    group: str


class CaseWithHistory(CaseAnswered):
    """A case with its changes, the verdicts that it can get, and what they can choose."""

    history: list[Change]
    verdicts: list[OptionAnswered]
    choices: list[ChoiceAnswered]


class Assigned(BaseModel):
    """To whom; null gives the case back."""

    model_config = ConfigDict(extra="forbid")

    version: _Version
    owner: _Word | None


class Noted(BaseModel):
    """A note."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class Snoozed(BaseModel):
    """Until when."""

    model_config = ConfigDict(extra="forbid")

    version: _Version
    until: RecordedMoment


class Verdict(BaseModel):
    """A verdict on one case. choices: by key, what a verdict that takes choices says; the case lists them."""

    model_config = ConfigDict(extra="forbid")

    version: _Version
    verdict: _Word
    reason: _Text = ""
    choices: _Choices = Field(default_factory=dict)


class CaseVersion(BaseModel):
    """A case as the person saw it."""

    model_config = ConfigDict(extra="forbid")

    case_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    version: _Version


class Verdicts(BaseModel):
    """One verdict on several cases: all of them get it, or none."""

    model_config = ConfigDict(extra="forbid")

    cases: list[CaseVersion] = Field(min_length=1, max_length=MOST_AT_ONCE)
    verdict: _Word
    reason: _Text = ""
    choices: _Choices = Field(default_factory=dict)


class Decided(BaseModel):
    """The cases after the verdict."""

    items: list[CaseAnswered]


@reading.get("", response_model=CaseList)
def cases(request: Request, query: Annotated[CaseQuery, Query()]) -> Response:
    """List cases, the largest expected loss or gain first."""
    service = service_of(request)
    question = {"route": route_path(request), **query.model_dump(mode="json", exclude={"page_size", "page_token"})}
    after = service.tokens.read(question, query.page_token)
    kinds = [key for key in kinds_of(request.state.key) if _is_chosen(key, query)]
    chosen = CaseFilter(
        kinds,
        "" if query.state == "any" else query.state,
        query.owner,
        query.group_id,
        _utc(query.opened_from),
        _utc(query.opened_before),
        query.least_priority,
        None if after is None else (float(after[0]), str(after[1])),
    )
    found = case_store.listed(service.store, chosen, service.clock(), query.page_size + 1)
    page = found[: query.page_size]
    last = (page[-1].priority, page[-1].case_id) if len(found) > len(page) else None
    return JSONResponse(
        {
            "items": [as_json(case) for case in page],
            "next_page_token": service.tokens.make(question, last),
            "snapshot": None,
        }
    )


@reading.get("/{case_id}", response_model=CaseWithHistory)
@audited("cases.read")
def case(request: Request, case_id: CaseId) -> Response:
    """Return a case with its history, and the verdicts that it can get."""
    found = case_of(request, case_id)
    history = case_store.history(service_of(request).store, case_id)
    options = [
        {
            "name": one.name,
            "label": one.label,
            "means": one.means,
            "needs_reason": one.needs_reason,
            "takes_choices": one.takes_choices,
        }
        for one in CASE_KINDS[found.domain, found.kind].options
    ]
    choices = [
        {"key": one.key, "label": one.label, "values": list(one.values), "suggested": one.suggested, "group": one.group}
        for one in choices_of(request, found)
    ]
    changes_made = [_event(one) for one in history]
    return JSONResponse(as_json(found) | {"history": changes_made, "verdicts": options, "choices": choices})


@deciding_several.post("/v1/case-verdicts", response_model=Decided, responses=CONFLICT)
@audited("cases.decide")
def decide_several(request: Request, given: Verdicts, request_key: RequestKey = None) -> Response:
    """Give one verdict on several cases, such as all accounts of a cluster: all of them get it, or none."""
    versions = [(one.case_id, one.version) for one in given.cases]
    decided = decide_cases(request, versions, given.verdict, given.reason, request_key, given.choices)
    return JSONResponse({"items": [as_json(one) for one in decided]})


@deciding.post("/{case_id}/assign", response_model=CaseAnswered, responses=CONFLICT)
@audited("cases.assign")
def assign(request: Request, case_id: CaseId, given: Assigned, request_key: RequestKey = None) -> Response:
    """Give a case to a person, or back; again, it changes nothing."""
    case_of(request, case_id)
    with as_problems():
        store, by = service_of(request).store, author(request, request_key)
        return JSONResponse(as_json(changes.assign(store, case_id, given.version, given.owner, by)))


@deciding.post("/{case_id}/note", response_model=CaseAnswered, responses=CONFLICT)
@audited("cases.note")
def note(request: Request, case_id: CaseId, given: Noted, request_key: RequestKey = None) -> Response:
    """Add a note; several people can at once."""
    case_of(request, case_id)
    with as_problems():
        store, by = service_of(request).store, author(request, request_key)
        return JSONResponse(as_json(changes.note(store, case_id, given.note, by)))


@deciding.post("/{case_id}/snooze", response_model=CaseAnswered, responses=CONFLICT)
@audited("cases.snooze")
def snooze(request: Request, case_id: CaseId, given: Snoozed, request_key: RequestKey = None) -> Response:
    """Put a case off until a time; then it waits again."""
    case_of(request, case_id)
    with as_problems():
        store, by = service_of(request).store, author(request, request_key)
        until = _utc(given.until)
        assert until is not None
        return JSONResponse(as_json(changes.snooze(store, case_id, given.version, until, by)))


@deciding.post("/{case_id}/decide", response_model=CaseAnswered, responses=CONFLICT)
@audited("cases.decide")
def decide(request: Request, case_id: CaseId, given: Verdict, request_key: RequestKey = None) -> Response:
    """Give a verdict, which acts at once; another verdict replaces it, the same changes nothing."""
    seen = [(case_id, given.version)]
    (decided,) = decide_cases(request, seen, given.verdict, given.reason, request_key, given.choices)
    return JSONResponse(as_json(decided))


def decide_cases(
    request: Request,
    versions: Sequence[tuple[str, int]],
    verdict: str,
    reason: str,
    request_key: str | None = None,
    choices: Mapping[str, str] | None = None,
) -> list[Case]:
    """Give one verdict on cases in the name of the request's key. Raises ProblemError 403, 404, 409 or 422."""
    service = service_of(request)
    if len(dict(versions)) < len(versions):
        raise ProblemError(422, "cases has one case twice; send each once")
    cases = [case_of(request, case_id) for case_id, _ in versions]
    with as_problems():
        by = author(request, request_key)
        for case in one_of_each_group(cases) if choices else ():
            is_new = request_key is None or not _is_known(service, case, request_key)  # an old one has had its effect
            if is_new and CASE_KINDS[case.domain, case.kind].option(verdict).takes_choices:
                check_choices(choices_of(request, case), choices or {})
        return changes.decide(
            service.store, CASE_KINDS, versions, verdict, reason.strip(), by, service.settings, choices
        )


def _is_known(service: Service, case: Case, request_key: str) -> bool:
    return case_store.event_of_request(service.store.read(), case.case_id, request_key) is not None


def one_of_each_group(cases: Sequence[Case]) -> list[Case]:
    """Return the first case of each group, and all cases without one: a group chooses the same."""
    found: dict[tuple[str, str, str], Case] = {}
    for case in cases:
        found.setdefault((case.domain, case.kind, case.group_id or case.case_id), case)
    return list(found.values())


def as_json(case: Case) -> dict[str, Any]:
    """Return a case as plain JSON; `quintet forget` finds the person in the store, and answers do not name it twice."""
    left_out = {"person_kind", "person_id"}
    return {name: _plain(value) for name, value in vars(case).items() if name not in left_out}


def _event(event: Event) -> Mapping[str, Any]:
    return {name: _plain(value) for name, value in vars(event).items()}


def _utc(at: dt.datetime | None) -> dt.datetime | None:
    return at.replace(tzinfo=dt.UTC) if at is not None and at.tzinfo is None else at


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, dt.datetime) else value


def _is_chosen(key: tuple[str, str], query: CaseQuery) -> bool:
    domain, name = key
    return query.domain in (None, domain) and query.kind in (None, name)
