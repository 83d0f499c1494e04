"""Rules of promotions over HTTP: test them on the stored accounts, save them, run them in shadow, change lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field

from quintet.promotions.rule_history import backtest_of
from quintet.promotions.rules import GRAMMAR
from quintet.promotions.service import PromotionsService
from quintet.promotions.store import shadow_summary
from quintet.rules.backtest import Backtest
from quintet.rules.evaluate import Evaluator
from quintet.rules.rule_set import RuleSet
from quintet.rules.saving import readable, rules_now, save
from quintet.rules.store import RuleChange, stored_lists
from quintet.web.audit import audited, not_audited
from quintet.web.problems import Problem, ProblemError
from quintet.web.rule_answers import (
    EntriesChanged,
    EntriesGiven,
    ListName,
    NoteGiven,
    Rules,
    RulesGiven,
    RulesToSave,
    SpokenAnswered,
    Version,
    answered_rules,
    author_of,
    changed_entries,
    dropped_shadow,
    rule_problems,
)
from quintet.web.security import guarded_router
from quintet.web.service import service_of

_PREFIX: dict[str, Any] = {"prefix": "/v1/promotions/rules", "tags": ["promotions"]}
_reading = guarded_router("promotions:read", **_PREFIX)
_saving = guarded_router("promotions:rules", **_PREFIX)
ROUTERS = (_reading, _saving)

_MOST_VERDICTS = 100


class MoveAnswered(BaseModel):
    """Accounts whose decision changes; worth: the discounts that they were granted, at least."""

    before: str
    after: str
    subjects: int
    confirmed: int
    honest: int
    unlabelled: int
    worth: float
    worth_confirmed: float
    worth_honest: float
    samples: dict[str, list[str]]


class BacktestAnswered(BaseModel):
    """What the rules change for the stored accounts."""

    version: str
    subjects: int
    before: dict[str, int]
    after: dict[str, int]
    moves: list[MoveAnswered]
    rules: list[SpokenAnswered]
    blocked: int = Field(description="Accounts that the rules block, whatever their score.")
    blocked_share: float
    saved: float = Field(description="Discounts of newly blocked accounts that are confirmed abusers.")
    forgone: float = Field(description="Discounts of newly blocked accounts that are honest.")
    needs_confirmation: bool


class MoveCounted(BaseModel):
    """How often the rules in shadow would have decided otherwise, or alike where one of them applied."""

    decision: str
    shadow_decision: str
    verdicts: int


class ShadowVerdictAnswered(BaseModel):
    """A sign-up that would have been decided otherwise."""

    user_id: str
    judged_at: dt.datetime
    decision: str
    shadow_decision: str
    codes: list[str]


class ShadowAnswered(BaseModel):
    """The rules in shadow and their verdicts. judged: sign-ups scored since they began."""

    version: str
    since: dt.datetime
    judged: int
    moves: list[MoveCounted]
    last: list[ShadowVerdictAnswered]


def tested(request: Request, text: str) -> tuple[RuleSet, Backtest]:
    """Return the rules of a text, and what they change for the accounts of the current snapshot."""
    service = service_of(request)
    rules = readable(service.store, GRAMMAR, text)
    after = Evaluator(rules, GRAMMAR, stored_lists(service.store, GRAMMAR.domain, rules))
    before = service.of(PromotionsService).index.rules.active
    with service.snapshots.read() as snapshot:
        found = backtest_of(snapshot.cursor, before, after, service.clock().timestamp())
    if found is None:
        raise ProblemError(503, "promotions are not published yet; `make run SELECT=promotions` builds them")
    return rules, found


def saved(request: Request, given: RulesToSave) -> RuleChange:
    """Test and save rules. Raises ProblemError with what is wrong."""
    service = service_of(request)
    with rule_problems():
        rules, found = tested(request, given.text)
        change = save(service.store, GRAMMAR, rules, given.mode, author_of(request, given.note), found, given.confirmed)
    service.of(PromotionsService).index.refresh_rules()
    return change


@_reading.get("", response_model=Rules)
def rules(request: Request) -> Rules:
    """Return the active rules, those in shadow, the size of each list, and the figures that conditions may name."""
    return answered_rules(request, GRAMMAR, service_of(request).of(PromotionsService).index.fault)


@_reading.post("/backtest", response_model=BacktestAnswered)
@not_audited("nothing is stored")
def backtest_rules(request: Request, given: RulesGiven) -> BacktestAnswered:
    """Return what the rules would change for the stored accounts; nothing is saved."""
    with rule_problems():
        read, found = tested(request, given.text)
    return BacktestAnswered(
        version=read.version,
        subjects=found.subjects,
        before=dict(found.before),
        after=dict(found.after),
        moves=[MoveAnswered.model_validate(move, from_attributes=True) for move in found.moves],
        rules=[SpokenAnswered(code=one.code, subjects=one.subjects) for one in found.rules],
        blocked=found.blocked,
        blocked_share=found.blocked_share,
        saved=found.saved,
        forgone=found.forgone,
        needs_confirmation=found.needs_confirmation,
    )


@_saving.post(
    "",
    response_model=Version,
    responses={409: {"description": "They block more than 5%; `confirmed` saves them.", "model": Problem}},
)
@audited("rules.save")
def save_rules(request: Request, given: RulesToSave) -> Version | None:
    """Save rules, to decide at once or to run in shadow. Saving the same text again changes nothing."""
    return Version.of(saved(request, given))


@_reading.get("/shadow", response_model=ShadowAnswered)
def shadow(request: Request) -> ShadowAnswered:
    """Return what the rules in shadow would have decided of the sign-ups since they began."""
    service = service_of(request)
    now = rules_now(service.store, GRAMMAR).shadow
    if now is None:
        raise ProblemError(404, "no rules run in shadow; save some with `mode: shadow`")
    found = shadow_summary(service.store, now.version, now.changed_at, _MOST_VERDICTS)
    return ShadowAnswered(
        version=now.version,
        since=now.changed_at,
        judged=found.judged,
        moves=[
            MoveCounted(decision=was, shadow_decision=would, verdicts=count)
            for (was, would), count in found.moves.items()
        ],
        last=[
            ShadowVerdictAnswered(
                user_id=one.user_id,
                judged_at=one.judged_at,
                decision=one.decision,
                shadow_decision=one.shadow_decision,
                codes=list(one.codes),
            )
            for one in found.last
        ],
    )


@_saving.post("/shadow/drop", response_model=Version)
@audited("rules.drop")
def drop(request: Request, given: NoteGiven) -> Version | None:
    """End the rules in shadow without activating them."""
    dropped = dropped_shadow(request, GRAMMAR, given.note)
    service_of(request).of(PromotionsService).index.refresh_rules()
    return dropped


@_saving.post("/lists/{name}/entries", response_model=EntriesChanged)
@audited("rules.entries")
def change_entries(request: Request, name: ListName, given: EntriesGiven) -> EntriesChanged:
    """Add entries to a list and remove entries, all or none; of an entry the last change counts."""
    changed = changed_entries(request, GRAMMAR, name, given)
    service_of(request).of(PromotionsService).index.refresh_rules()
    return changed
