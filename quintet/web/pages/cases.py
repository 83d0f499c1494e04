"""The review queue: what waits for a person, and one case with its evidence and its verdicts."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

import duckdb
from fastapi import Form, Request
from starlette.responses import Response

from quintet.cases import changes
from quintet.cases import store as case_store
from quintet.cases.changes import LONGEST_TEXT
from quintet.cases.kind import CaseKind, Choice
from quintet.cases.store import Case, CaseFilter
from quintet.domains import CASE_KINDS, DOMAINS
from quintet.presentation.design import format_value
from quintet.presentation.wording import counted, lasting
from quintet.warehouse.snapshot import NoSnapshotError
from quintet.web.addresses import redirect
from quintet.web.audit import audited
from quintet.web.case_contexts import CaseContext, CaseRow, CasesContext, EventWords
from quintet.web.cases.access import DECIDE, READ, as_problems, author, case_of, choices_of, kinds_of
from quintet.web.cases.evidence import Evidence, evidence_of
from quintet.web.forms import whole_number
from quintet.web.pages.shell import show
from quintet.web.problems import ProblemError
from quintet.web.rendering import Filter, FilterBar, Option
from quintet.web.routes.cases import MOST_AT_ONCE, CaseId, decide_cases
from quintet.web.security import guarded_router
from quintet.web.service import Service, service_of
from quintet.web.snapshots import Snapshot

_reading = guarded_router(READ, include_in_schema=False)
_deciding = guarded_router(DECIDE, include_in_schema=False)
ROUTERS = (_reading, _deciding)
PATH = "/cases"

_SHOWN = 30
_STATES = {"waiting": "Waiting", "snoozed": "Put off", "decided": "Decided", "any": "All"}
_AGES = {"1": "Older than a day", "7": "Older than a week", "30": "Older than 30 days"}
_MINE, _NOBODY = "me", "nobody"
_SNOOZES = {1: "a day", 7: "a week", 30: "30 days"}
_PARAMETERS = ("domain", "owner", "state", "age", "priority")
_VERSION = 2**31 - 1


@dataclass(frozen=True)
class _Queue:
    """The selection of cases in the address of the list; wrong values fall back and set `problem`."""

    chosen: CaseFilter
    filters: Sequence[Filter]
    query: str
    problem: str | None


@_reading.get(PATH)
@audited("cases.list")
def cases(request: Request) -> Response:
    """Show what waits for a person, the largest expected loss or gain first."""
    service = service_of(request)
    now = service.clock()
    queue = _queue(request, request.query_params)
    shown = _shown(request.query_params.get("shown", ""))
    found = case_store.listed(service.store, queue.chosen, now, shown)
    total = sum(case_store.count(service.store, queue.chosen, now).values())
    context: CasesContext = {
        "filters": FilterBar(PATH, queue.filters, queue.problem),
        "announcement": counted(total, "case"),
        "rows": [_row(case, now) for case in found],
        "total": total,
        "query": queue.query,
        "more": f"{queue.query}&shown={shown + _SHOWN}".lstrip("&") if len(found) < min(total, MOST_AT_ONCE) else "",
    }
    return show(request, "cases.html", "Cases", context)


@_reading.get(f"{PATH}/{{case_id}}")
@audited("cases.read")
def case(request: Request, case_id: CaseId) -> Response:
    """Show a case: why it is here, the evidence, and the verdicts beside it."""
    service = service_of(request)
    now = service.clock()
    found = case_of(request, case_id)
    kind = CASE_KINDS[found.domain, found.kind]
    queue = _queue(request, request.query_params)
    ids = [one.case_id for one in case_store.listed(service.store, queue.chosen, now, MOST_AT_ONCE)]
    place = ids.index(case_id) if case_id in ids else -1
    with ExitStack() as stack:
        snapshot = _snapshot(stack, service)
        group = _group(service, kind, found)
        context: CaseContext = {
            "case": found,
            "row": _row(found, now),
            "options": kind.options,
            "evidence": _evidence(request, kind, found, snapshot),
            "history": [_event(one, kind) for one in case_store.history(service.store, case_id)],
            "group": group,
            "group_what": kind.group_what,
            "choices": choices_of(request, found),
            "can_decide": request.state.key.allows(DECIDE) and found.verdict != case_store.WITHDRAWN,
            "snoozes": _SNOOZES,
            "page": kind.page.format(subject_id=found.subject_id, group_id=found.group_id) if kind.page else "",
            "query": queue.query,
            "place": f"{place + 1:,} of {len(ids):,}" if place >= 0 else "",
            "next_id": ids[(place + 1) % len(ids)] if ids and ids != [case_id] else "",
            "previous_id": ids[place - 1] if place > 0 else "",
        }
        return show(request, "case.html", found.title, context, snapshot)


@_deciding.post(f"{PATH}/decide")
@audited("cases.decide")
def decide(
    request: Request,
    cases: Annotated[list[str], Form()],
    verdict: Annotated[str, Form()],
    reason: Annotated[str, Form()] = "",
    queue: Annotated[str, Form()] = "",
    key: Annotated[list[str] | None, Form()] = None,
    value: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Give one verdict on one or several cases, and go to the next one that waits.

    cases: each `id:version`. key, value: what the verdict chooses, in pairs; an empty value chooses nothing.
    """
    versions = [_id_and_version(text) for text in cases[: MOST_AT_ONCE + 1]]
    if len(versions) > MOST_AT_ONCE:
        raise ProblemError(413, f"more than {MOST_AT_ONCE:,} cases at once; decide a part of them")
    choices = {}
    if _takes_choices(request, versions, verdict):
        offered = choices_of(request, case_of(request, versions[0][0]))
        choices = as_offered(offered, zip(key or [], value or [], strict=False))
    decide_cases(request, versions, verdict, reason[:LONGEST_TEXT], choices=choices)
    return redirect(request, _after(request, queue))


@_deciding.post(f"{PATH}/{{case_id}}/assign")
@audited("cases.assign")
def assign(
    request: Request,
    case_id: CaseId,
    version: Annotated[str, Form()],
    owner: Annotated[str, Form()] = "",
    queue: Annotated[str, Form()] = "",
) -> Response:
    """Take a case, or give it back, and return to it. owner: `me`, or empty for nobody."""
    case_of(request, case_id)
    with as_problems():
        by = author(request)
        changes.assign(service_of(request).store, case_id, _version(version), by.name if owner == _MINE else None, by)
    return redirect(request, _address(case_id, queue))


@_deciding.post(f"{PATH}/{{case_id}}/note")
@audited("cases.note")
def note(
    request: Request, case_id: CaseId, text: Annotated[str, Form()], queue: Annotated[str, Form()] = ""
) -> Response:
    """Add a note and return to the case."""
    case_of(request, case_id)
    if not text.strip():
        raise ProblemError(422, "the note is empty; write something")
    with as_problems():
        changes.note(service_of(request).store, case_id, text.strip()[:LONGEST_TEXT], author(request))
    return redirect(request, _address(case_id, queue))


@_deciding.post(f"{PATH}/{{case_id}}/snooze")
@audited("cases.snooze")
def snooze(
    request: Request,
    case_id: CaseId,
    version: Annotated[str, Form()],
    days: Annotated[str, Form()],
    queue: Annotated[str, Form()] = "",
) -> Response:
    """Put a case off for some days and go to the next one."""
    case_of(request, case_id)
    number = whole_number(days, max(_SNOOZES))
    if number not in _SNOOZES:
        raise ProblemError(422, f"days is {days[:20]!r}; choose one of {', '.join(map(str, _SNOOZES))}")
    with as_problems():
        by = author(request)
        until = by.at.replace(microsecond=0) + dt.timedelta(days=number)
        changes.snooze(service_of(request).store, case_id, _version(version), until, by)
    return redirect(request, _after(request, queue))


def as_offered(offered: Sequence[Choice], posted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what a form chooses, as it was offered: a browser posts each line break in a title as CR and LF.

    A key or value that is not offered stays as it is.
    """
    texts = {_as_posted(text): text for one in offered for text in (one.key, *one.values)}
    return {texts.get(_as_posted(key), key): texts.get(_as_posted(value), value) for key, value in posted if value}


def _as_posted(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _takes_choices(request: Request, versions: Sequence[tuple[str, int]], verdict: str) -> bool:
    """Return whether the verdict takes the choices of the form, which has them beside every verdict."""
    kinds = [CASE_KINDS[found.domain, found.kind] for found in (case_of(request, one) for one, _ in versions)]
    options = [kind.option_by_name.get(verdict) for kind in kinds]
    return any(option is not None and option.takes_choices for option in options)


def _queue(request: Request, given: Mapping[str, str]) -> _Queue:
    service, key = service_of(request), request.state.key
    kinds = kinds_of(key)
    domains = [domain for domain in DOMAINS if any(name == domain.name for name, _ in kinds)]
    domain, owner, state = given.get("domain", ""), given.get("owner", ""), given.get("state", "waiting")
    age, priority_text = given.get("age", ""), given.get("priority", "").strip()
    problem = None
    if domain and domain not in {one.name for one in domains}:
        problem, domain = f"domain is {domain[:40]!r}; choose one of the list", ""
    if state not in _STATES:
        problem, state = f"state is {state[:40]!r}; choose one of the list", "waiting"
    if age not in ("", *_AGES):
        problem, age = f"age is {age[:40]!r}; choose one of the list", ""
    priority = _priority(priority_text)
    if priority is None and priority_text:
        problem = f"priority is {priority_text[:40]!r}; it must be a number of currency, such as 100"
    name = {_MINE: key.name, _NOBODY: "", "": None}.get(owner, owner[:200])
    chosen = CaseFilter(
        [name for name in kinds if not domain or name[0] == domain],
        "" if state == "any" else state,
        name,
        opened_before=service.clock() - dt.timedelta(days=int(age)) if age else None,
        least_priority=priority,
    )
    people = [Option(_MINE, "Me"), Option(_NOBODY, "Nobody")]
    people += [Option(one, one) for one in case_store.owners(service.store) if one != key.name]
    filters = [
        Filter("domain", "Business", "select", [Option(one.name, one.title) for one in domains], [domain]),
        Filter("state", "State", "select", [Option(*one) for one in _STATES.items()], [state], "Waiting"),
        Filter("owner", "Owner", "select", people, [owner], "Anyone"),
        Filter("age", "Age", "select", [Option(*one) for one in _AGES.items()], [age], "Any"),
        Filter("priority", "Priority from", "text", (), [priority_text] if priority_text else [], "0"),
    ]
    query = urlencode([(one, given[one]) for one in _PARAMETERS if given.get(one)])
    return _Queue(chosen, filters, query, problem)


def _shown(text: str) -> int:
    """Return how many cases to list; a text that is no number lists the first."""
    return min(max(int(text), _SHOWN), MOST_AT_ONCE) if text.isascii() and text.isdigit() and len(text) < 9 else _SHOWN


def _priority(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _row(case: Case, now: dt.datetime) -> CaseRow:
    return {
        "case_id": case.case_id,
        "title": case.title,
        "why": case.why,
        "domain": case.domain.capitalize(),
        "priority": format_value(case.priority, "money"),
        "age": lasting(max(0.0, (now - case.opened_at).total_seconds())),
        "owner": case.owner or "nobody",
        "state": _state_words(case, now),
        "weight": "good" if case.is_decided else "warning" if case.is_waiting(now) else "none",
    }


def _state_words(case: Case, now: dt.datetime) -> str:
    if case.is_decided:
        return case.verdict or "decided"
    if case.state == case_store.SNOOZED and case.snoozed_until is not None and not case.is_waiting(now):
        return f"put off until {case.snoozed_until:%Y-%m-%d %H:%M} UTC"
    return "assigned" if case.owner else "open"


def _event(event: case_store.Event, kind: CaseKind) -> EventWords:
    verdict = event.verdict or ""
    words = {
        "opened": "opened it",
        "reopened": "opened it again",
        "assigned": f"assigned it to {event.owner}" if event.owner else "gave it back",
        "noted": "wrote a note",
        "snoozed": f"put it off until {event.snoozed_until:%Y-%m-%d %H:%M} UTC" if event.snoozed_until else "",
        "decided": f"decided: {kind.option_by_name[verdict].label if verdict in kind.option_by_name else verdict}",
        "withdrawn": "closed it",
        "erased": "erased it",
    }
    return {
        "at": f"{event.at:%Y-%m-%d %H:%M} UTC",
        "by": event.by,
        "what": words[event.action],
        "text": event.note or (event.reason if event.action in ("decided", "withdrawn") else None) or "",
    }


def _group(service: Service, kind: CaseKind, case: Case) -> list[Case]:
    """Return the undecided cases that can be decided together with this one; empty for this one alone."""
    if case.group_id is None or case.is_decided:
        return []
    found = case_store.of_group(service.store, case.domain, kind.name, case.group_id, MOST_AT_ONCE)
    undecided = [one for one in found if not one.is_decided]
    return undecided if len(undecided) > 1 else []


def _evidence(request: Request, kind: CaseKind, case: Case, snapshot: Snapshot | None) -> Evidence:
    try:
        return evidence_of(request, kind, case, snapshot.cursor if snapshot else None)
    except duckdb.CatalogException:
        return Evidence(problem="The business of this case is not published yet.")


def _snapshot(stack: ExitStack, service: Service) -> Snapshot | None:
    """Open the snapshot on the stack; None if none is published, since cases of live data need none."""
    try:
        snapshot: Snapshot = stack.enter_context(service.snapshots.read())
    except NoSnapshotError:
        return None
    return snapshot


def _id_and_version(text: str) -> tuple[str, int]:
    case_id, _, version = text.partition(":")
    return case_id, _version(version)


def _version(text: str) -> int:
    number = whole_number(text, _VERSION)
    if number is None:
        raise ProblemError(422, f"version is {text[:20]!r}; load the case again and send the version it has")
    return number


def _after(request: Request, queue: str) -> str:
    """Return the address of the first case of the queue that waits, else of the list."""
    service = service_of(request)
    chosen = _queue(request, dict(parse_qsl(queue)))
    waiting = case_store.listed(service.store, chosen.chosen, service.clock(), 1)
    is_waiting = waiting and waiting[0].is_waiting(service.clock())
    return _address(waiting[0].case_id, queue) if is_waiting else f"{PATH}?{chosen.query}" if chosen.query else PATH


def _address(case_id: str, queue: str) -> str:
    query = urlencode([(name, value) for name, value in parse_qsl(queue) if name in _PARAMETERS])
    return f"{PATH}/{case_id}" + (f"?{query}" if query else "")
