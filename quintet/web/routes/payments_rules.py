"""Rules of payments over HTTP: test them on the stored minutes, save them, and change their lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
from fastapi import Request
from pydantic import BaseModel

from quintet.payments.opening_hours import opening_hours
from quintet.payments.point_rules import GRAMMAR
from quintet.payments.rule_history import IncidentBacktest, backtest
from quintet.payments.service import PaymentsService
from quintet.payments.settings import PaymentsSettings
from quintet.rules.evaluate import Evaluator
from quintet.rules.rule_set import RuleSet
from quintet.rules.saving import readable, save
from quintet.rules.store import stored_lists
from quintet.web.audit import audited, not_audited
from quintet.web.rule_answers import (
    EntriesChanged,
    EntriesGiven,
    ListName,
    Rules,
    RulesGiven,
    RulesToActivate,
    Version,
    answered_rules,
    author_of,
    changed_entries,
    rule_problems,
)
from quintet.web.security import guarded_router
from quintet.web.service import service_of

_PREFIX: dict[str, Any] = {"prefix": "/v1/payments/rules", "tags": ["payments"]}
_reading = guarded_router("payments:read", **_PREFIX)
_saving = guarded_router("payments:rules", **_PREFIX)
ROUTERS = (_reading, _saving)


class RuledIncident(BaseModel):
    """An incident that rules suppress or raise."""

    series: str
    started_at: dt.datetime
    ended_at: dt.datetime | None
    severity: str
    rule: str
    reason: str


class IncidentBacktestAnswered(BaseModel):
    """What the rules change in the last days: incidents before and after, those suppressed and those raised."""

    version: str
    minutes: int
    before: int
    after: int
    suppressed: list[RuledIncident]
    raised: list[RuledIncident]


def _tested(request: Request, text: str) -> tuple[RuleSet, IncidentBacktest]:
    service = service_of(request)
    rules = readable(service.store, GRAMMAR, text)
    after = Evaluator(rules, GRAMMAR, stored_lists(service.store, GRAMMAR.domain, rules))
    own = service.settings.of(PaymentsSettings)
    hours = opening_hours(own.payments_time_zone, own.payments_opening_hours or "", own.payments_holidays)
    before = service.of(PaymentsService).live.monitor.rules.active
    with service.snapshots.read() as snapshot:
        return rules, backtest(snapshot.cursor, before, after, hours)


def _listed(incidents: pd.DataFrame) -> list[RuledIncident]:
    rows = incidents.astype(object).where(incidents.notna(), None).to_dict("records")
    return [RuledIncident.model_validate(row) for row in rows]


@_reading.get("", response_model=Rules)
def rules(request: Request) -> Rules:
    """Return the active rules, the size of each list, and the figures that conditions may name."""
    return answered_rules(request, GRAMMAR, service_of(request).of(PaymentsService).live.monitor.rules.fault)


@_reading.post("/backtest", response_model=IncidentBacktestAnswered)
@not_audited("nothing is stored")
def backtest_rules(request: Request, given: RulesGiven) -> IncidentBacktestAnswered:
    """Return which incidents of the last seven days the rules would suppress or raise; nothing is saved."""
    with rule_problems():
        read, found = _tested(request, given.text)
    return IncidentBacktestAnswered(
        version=read.version,
        minutes=found.minutes,
        before=found.before,
        after=found.after,
        suppressed=_listed(found.suppressed),
        raised=_listed(found.raised),
    )


@_saving.post("", response_model=Version)
@audited("rules.save")
def save_rules(request: Request, given: RulesToActivate) -> Version | None:
    """Save rules; the monitor uses them from its next second on. Saving the same text again changes nothing."""
    store = service_of(request).store
    with rule_problems():
        read = readable(store, GRAMMAR, given.text)
        return Version.of(save(store, GRAMMAR, read, "activate", author_of(request, given.note), None))


@_saving.post("/lists/{name}/entries", response_model=EntriesChanged)
@audited("rules.entries")
def change_entries(request: Request, name: ListName, given: EntriesGiven) -> EntriesChanged:
    """Add entries to a list and remove entries, all or none; of an entry the last change counts."""
    return changed_entries(request, GRAMMAR, name, given)
