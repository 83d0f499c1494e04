"""Changes of cases by people: assign, note, snooze, decide. Each is idempotent, and never overwrites another's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from quintet.cases import store as case_store
from quintet.cases.kind import CaseKind, Decided, UnusableVerdictError
from quintet.cases.store import ASSIGNED, DECIDED, OPEN, SNOOZED, WITHDRAWN, Case
from quintet.settings import Settings
from quintet.state.store import Connection, StateStore

LONGEST_SNOOZE = dt.timedelta(days=365)
LONGEST_TEXT = 2_000


class UnknownCaseError(LookupError):
    """There is no such case."""


class ConflictError(ValueError):
    """Another change was first, or the case is closed; the message says whose change that is and what to do."""


@dataclass(frozen=True)
class Author:
    """Who changes a case, and when (UTC). request_key: equal in each attempt of one request; None without one."""

    name: str
    at: dt.datetime
    request_key: str | None = None


def assign(store: StateStore, case_id: str, version: int, owner: str | None, author: Author) -> Case:
    """Give a case to a person; None gives it back. Raises UnknownCaseError, ConflictError."""
    with store.write() as connection:
        case = _found(connection, case_id)
        new = _next(case, author, state=ASSIGNED if owner else OPEN, owner=owner, snoozed_until=None)
        if _is_done(connection, case, author, "assigned", owner=owner):
            return case
        if (case.owner, case.state) == (new.owner, new.state):
            return case
        _refuse_closed(case)
        _refuse_late(case, version)
        return _written(connection, new, "assigned", None, author)


def note(store: StateStore, case_id: str, text: str, author: Author) -> Case:
    """Add a note; notes of several people do not conflict. Raises UnknownCaseError, ConflictError."""
    with store.write() as connection:
        case = _found(connection, case_id)
        if _is_done(connection, case, author, "noted", note=text):
            return case
        return _written(connection, _next(case, author), "noted", text, author)


def snooze(store: StateStore, case_id: str, version: int, until: dt.datetime, author: Author) -> Case:
    """Put a case off until a time (UTC). Raises UnknownCaseError, ConflictError."""
    if not author.at < until <= author.at + LONGEST_SNOOZE:
        raise ConflictError(
            f"until is {until:%Y-%m-%d %H:%M} UTC; it must be in the future, and within {LONGEST_SNOOZE.days} days"
        )
    with store.write() as connection:
        case = _found(connection, case_id)
        if _is_done(connection, case, author, "snoozed"):
            return case
        if case.state == SNOOZED and case.snoozed_until == until:
            return case
        _refuse_closed(case)
        _refuse_late(case, version)
        return _written(connection, _next(case, author, state=SNOOZED, snoozed_until=until), "snoozed", None, author)


def decide(
    store: StateStore,
    kinds: Mapping[tuple[str, str], CaseKind],
    versions: Sequence[tuple[str, int]],
    verdict: str,
    reason: str,
    author: Author,
    settings: Settings,
    choices: Mapping[str, str] | None = None,
) -> list[Case]:
    """Give one verdict on one or several cases, all or none, and let each act; return the cases.

    versions: the id of each case, and its version as the person saw it. choices: what the verdict says besides; they
    are written before its reason, and checked by the caller. A case that has this verdict stays as it is.
    Raises UnknownCaseError, ConflictError, UnusableVerdictError.
    """
    decided = []
    chosen = choices or {}
    why = ". ".join(filter(None, ["; ".join(f"{key}: {value}" for key, value in chosen.items()), reason]))
    with store.write() as connection:
        for case_id, version in versions:
            case = _found(connection, case_id)
            option = kinds[case.domain, case.kind].option(verdict)
            if option.takes_choices != bool(chosen):
                raise UnusableVerdictError(
                    f"the verdict {option.label.lower()!r} {'needs' if option.takes_choices else 'takes no'} choices"
                )
            if option.needs_reason and not reason:
                raise UnusableVerdictError(f"the verdict {option.label.lower()!r} needs a reason; write why")
            expected = {"verdict": verdict, **({"reason": why} if chosen else {})}
            if _is_done(connection, case, author, "decided", **expected) or (
                case.verdict == verdict and (not chosen or case.reason == why)
            ):
                decided.append(case)
                continue
            if case.verdict == WITHDRAWN:
                _refuse_closed(case)
            _refuse_late(case, version)
            new = _next(
                case, author, state=DECIDED, owner=case.owner or author.name, snoozed_until=None,
                verdict=verdict, reason=why or None,
            )  # fmt: skip
            decided.append(_written(connection, new, "decided", None, author))
            given = Decided(
                case_id, new.version, case.subject_id, case.group_id, case.share, verdict, case.verdict, reason,
                author.name, author.at, settings, chosen,
            )  # fmt: skip
            kinds[case.domain, case.kind].act(connection, given)
    return decided


def _found(connection: Connection, case_id: str) -> Case:
    case = case_store.find(connection, case_id)
    if case is None:
        raise UnknownCaseError(f"there is no case {case_id}; `GET /v1/cases` lists those there are")
    return case


def _next(case: Case, author: Author, **changes: object) -> Case:
    return replace(
        case,
        version=case.version + 1,
        changed_at=author.at,
        changed_by=author.name,
        **changes,  # type: ignore[arg-type]  # fields of a case
    )


def _is_done(connection: Connection, case: Case, author: Author, action: str, **expected: object) -> bool:
    """Return whether this request was done before. Raises ConflictError if its key belongs to another change."""
    if author.request_key is None:
        return False
    event = case_store.event_of_request(connection, case.case_id, author.request_key)
    if event is None:
        return False
    if event["action"] != action or any(event[name] != value for name, value in expected.items()):
        raise ConflictError(
            f"the key {author.request_key!r} belongs to another change of case {case.case_id}; use a new key"
        )
    return True


def _refuse_late(case: Case, version: int) -> None:
    if case.version != version:
        what = f"gave the verdict {case.verdict}" if case.is_decided else f"left it {case.state}"
        raise ConflictError(
            f"{case.changed_by} was first: changed case {case.case_id} at {case.changed_at:%Y-%m-%d %H:%M} UTC and "
            f"{what}; you saw version {version}, and it is version {case.version} now. Load it again"
        )


def _refuse_closed(case: Case) -> None:
    if case.is_decided:
        raise ConflictError(
            f"case {case.case_id} is closed since {case.changed_at:%Y-%m-%d %H:%M} UTC"
            f" ({case.verdict} by {case.changed_by}{f': {case.reason}' if case.reason else ''})"
        )


def _written(connection: Connection, case: Case, action: str, note_text: str | None, author: Author) -> Case:
    is_first = case_store.write(connection, case, action, note_text, author.request_key)
    assert is_first, "the transaction holds the write lock since it read the case"
    return case
