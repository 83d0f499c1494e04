"""The adverse-action notice of a rejected loan application: why, in plain words, and what the client can do."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quintet.lending.decision_log import DecisionRecord
from quintet.lending.policy import Policy
from quintet.lending.scoring import MOST_REASONS, REASONS
from quintet.lending.verdicts import REJECT, FinalDecision

REFER = "refer"
"""The decision that leaves an application to a person."""

REVIEW_DAYS = 60
"""Days in which a client can have a decision reviewed, and ask what it is based on."""

_STEPS: Mapping[str, str] = {
    "AMOUNT_LARGE": "Apply for a smaller amount.",
    "DURATION_LONG": "Apply for a shorter time.",
    "APPLICATION_INCOMPLETE": "Apply again with the amount and the duration filled in.",
    "LATE_PAYMENT_RECENT": "Apply again after some months of payments on time.",
    "LATE_PAYMENTS_SHARE_HIGH": "Apply again after some months of payments on time.",
    "OPEN_LOANS_MANY": "Pay back open loans before you apply again.",
    "OUTSTANDING_PRINCIPAL_HIGH": "Pay back part of what you owe before you apply again.",
    "LOANS_OVERDUE": "Pay what is overdue before you apply again.",
}
"""What a client can do, by the reason code of the scoring model; for the others, time alone changes it."""


_DECISIONS = {"an automated decision": "an automated decision", "a person": "a decision by a person"}


class NoNoticeError(Exception):
    """There is no notice of an application; the message says why and what to do."""


@dataclass(frozen=True)
class MachineDecision:
    """The decision of policy and score. reasons: all codes, as the policy returns them. score: None without one."""

    client_id: int
    decision: str
    decided_on: dt.date
    amount: float | None
    reasons: Sequence[str]
    score: float | None

    @classmethod
    def of(cls, record: DecisionRecord) -> MachineDecision:
        """Return the decision of a record of the decision log."""
        return cls(
            record.client_id,
            record.decision,
            dt.datetime.fromisoformat(record.decided_at).date(),
            json.loads(record.application).get("amount"),
            json.loads(record.reasons),
            record.score,
        )


@dataclass(frozen=True)
class Notice:
    """A notice. reasons: the principal ones, at most four. decided_by: what decided, for the client."""

    application_id: int
    client_id: int
    decided_on: dt.date
    decided_by: Literal["an automated decision", "a person"]
    amount: float | None
    reasons: tuple[str, ...]
    what_you_can_do: tuple[str, ...]


def notice_of(
    application_id: int, machine: MachineDecision, policy: Policy | None, final: FinalDecision | None
) -> Notice:
    """Return the notice of a rejected application.

    policy: that decided; None if it is not known any more. final: of a person, None without one.
    Raises NoNoticeError for an application that is not rejected, and where no reason can be said in plain words.
    """
    decision = final.decision if final is not None else machine.decision
    if decision != REJECT:
        words = {"approve": "approved", REFER: "not decided finally: a person has to look at it"}
        raise NoNoticeError(
            f"application {application_id} is {words.get(decision, decision)}; only a rejected one has a notice"
        )
    if final is not None:
        return Notice(
            application_id,
            machine.client_id,
            final.decided_at.date(),
            "a person",
            machine.amount,
            (_as_sentence(final.reason),),
            _steps(()),
        )
    codes = principal_reasons(machine, policy)
    sentences = {**REASONS, **(policy.sentences if policy is not None else {})}
    reasons = tuple(sentences[code] for code in codes if code in sentences)
    if not reasons:
        raise NoNoticeError(
            f"the policy that rejected application {application_id} is not stored any more, so that what led to "
            "it cannot be said in plain words; decide the case by a person, whose reason the notice then has"
        )
    return Notice(
        application_id,
        machine.client_id,
        machine.decided_on,
        "an automated decision",
        machine.amount,
        reasons,
        _steps(codes),
    )


def principal_reasons(machine: MachineDecision, policy: Policy | None) -> tuple[str, ...]:
    """Return the codes of what led to a rejection, at most four: rules that reject, then the inputs that were scored.

    What only asked for a person is no reason for it. Without the policy they are known only where no rule spoke: the
    code of the score then comes first, before the inputs. Otherwise there are none.
    """
    scored = [code for code in machine.reasons if code in REASONS]
    if policy is None:
        is_by_score = list(machine.reasons[1:]) == scored
        return tuple(scored[:MOST_REASONS]) if is_by_score else ()
    rejecting = {rule.code for rule in policy.rules if rule.decision == REJECT}
    codes = [code for code in machine.reasons if code in rejecting]
    if machine.score is not None and machine.score >= policy.reject_from and policy.score_code in machine.reasons:
        codes += scored or [policy.score_code]
    return tuple(dict.fromkeys(codes))[:MOST_REASONS]


def paragraphs(notice: Notice, amount_in_words: str) -> tuple[str, str]:
    """Return the paragraphs of a letter before the reasons. amount_in_words: of the loan; empty if it is unknown."""
    of_amount = f" for {amount_in_words}" if amount_in_words else ""
    principal = "reasons, the most important first" if len(notice.reasons) > 1 else "reason"
    return (
        f"We have considered your application {notice.application_id}{of_amount}, and we cannot grant this loan.",
        f"This was {_DECISIONS[notice.decided_by]} of {in_words(notice.decided_on)}. The principal {principal}:",
    )


def in_words(day: dt.date) -> str:
    """Return a day as in a letter: 3 March 2026."""
    return f"{day.day} {day:%B %Y}"


def _steps(codes: Sequence[str]) -> tuple[str, ...]:
    own = dict.fromkeys(_STEPS[code] for code in codes if code in _STEPS)
    rights = (
        f"Ask us within {REVIEW_DAYS} days to have a person review this decision, and tell us what we did not know.",
        f"Ask us within {REVIEW_DAYS} days for the information about you that it is based on, free of charge.",
        "Tell us if any of it is wrong; we then correct it and decide again.",
    )
    return (*own, *rights)


def _as_sentence(text: str) -> str:
    stripped = " ".join(text.split())
    return stripped[:1].upper() + stripped[1:] + ("" if stripped.endswith((".", "!", "?")) else ".")
