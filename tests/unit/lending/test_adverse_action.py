"""The adverse-action notice: the reasons that led to the rejection, at most four, in plain words."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest

from quintet.lending.adverse_action import MachineDecision, NoNoticeError, notice_of, paragraphs, principal_reasons
from quintet.lending.policy import read_policy
from quintet.lending.scoring import INPUTS, REASONS
from quintet.lending.verdicts import FinalDecision

POLICY = read_policy()
SCORED = ("LATE_PAYMENT_RECENT", "AMOUNT_LARGE", "OPEN_LOANS_MANY", "PAID_LOANS_FEW")
AT = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)


def machine(*reasons: str, score: float | None = 0.6, decision: str = "reject") -> MachineDecision:
    return MachineDecision(7, decision, AT.date(), 400.0, reasons, score)


@pytest.mark.parametrize(
    ("reasons", "score", "expected"),
    [
        (("DEFAULT_RISK", *SCORED), 0.6, SCORED),
        (("OVERDUE_LOAN", "LARGE_AMOUNT", "DEFAULT_RISK", *SCORED), 0.6, ("OVERDUE_LOAN", *SCORED[:3])),
        (("OVERDUE_LOAN", "DEFAULT_RISK", *SCORED), 0.3, ("OVERDUE_LOAN",)),  # the score alone would have referred it
        (("OVERDUE_LOAN", "NO_HISTORY"), None, ("OVERDUE_LOAN",)),
        (("DEFAULT_RISK",), 0.6, ("DEFAULT_RISK",)),
    ],
)
def test_only_what_led_to_the_rejection_is_a_principal_reason(
    reasons: tuple[str, ...], score: float | None, expected: tuple[str, ...]
) -> None:
    assert principal_reasons(machine(*reasons, score=score), POLICY) == expected


def test_the_notice_of_a_machine_has_sentences_and_no_internal_name() -> None:
    found = notice_of(100, machine("OVERDUE_LOAN", "DEFAULT_RISK", *SCORED), POLICY, None)
    text = " ".join([*paragraphs(found, "400"), *found.reasons, *found.what_you_can_do])

    assert found.reasons[0] == "You have a loan that is overdue."
    assert (len(found.reasons), found.decided_by) == (4, "an automated decision")
    assert "Apply for a smaller amount." in found.what_you_can_do
    names = {*POLICY.sentences, *REASONS, *INPUTS, POLICY.version}
    assert not [name for name in names - {"amount"} if re.search(rf"\b{re.escape(name)}\b", text)]


def test_a_person_s_rejection_has_the_person_s_reason_whatever_the_machine_said() -> None:
    final = FinalDecision("reject", "the payslip is not  the client's", AT, "Ana")
    found = notice_of(100, machine(decision="approve"), POLICY, final)

    assert (found.reasons, found.decided_by) == (("The payslip is not the client's.",), "a person")
    assert "Ana" not in repr(found)


@pytest.mark.parametrize(
    ("decision", "final", "why"),
    [
        ("approve", None, "approved"),
        ("refer", None, "a person has to look at it"),
        ("reject", FinalDecision("approve", "known", AT, "Ana"), "approved"),
    ],
)
def test_only_a_rejected_application_has_a_notice(decision: str, final: FinalDecision | None, why: str) -> None:
    with pytest.raises(NoNoticeError, match=f"application 100 is .*{why}"):
        notice_of(100, machine(decision=decision), POLICY, final)


def test_without_the_policy_a_rejection_by_the_score_alone_has_its_reasons_and_no_code() -> None:
    assert len(notice_of(1, machine("OLD_SCORE", *SCORED), None, None).reasons) == 4


@pytest.mark.parametrize(
    "reasons",
    [
        ("OLD_RULE",),
        ("OLD_RULE", "OLD_SCORE", *SCORED),  # the score alone may have referred it
        ("OLD_RULE", "OTHER_RULE", "OLD_SCORE", *SCORED),
        ("OLD_RULE", "NO_HISTORY"),
        (SCORED[0], "OLD_SCORE", *SCORED[1:]),  # a rule with the name of an input
        (),
    ],
)
def test_without_the_policy_what_rules_may_have_decided_is_not_given_another_reason(reasons: tuple[str, ...]) -> None:
    with pytest.raises(NoNoticeError, match="is not stored any more"):
        notice_of(1, machine(*reasons), None, None)


def test_one_reason_is_announced_as_one() -> None:
    found = notice_of(1, machine("DEFAULT_RISK"), POLICY, None)

    assert paragraphs(found, "")[1] == "This was an automated decision of 4 March 2026. The principal reason:"
    assert paragraphs(replace(found, reasons=("a", "b")), "400")[0].startswith(
        "We have considered your application 1 for 400,"
    )
