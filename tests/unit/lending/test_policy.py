"""The lending policy: expected decisions, and every fault of a file with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.lending.policy import DEFAULT_POLICY, STRICTER, Policy, PolicyError, known_names, read_policy
from quintet.lending.scoring import Scored

POLICY = read_policy()
SAFE = Scored(0.05, 585, ())
MIDDLING = Scored(0.3, 524, ("AMOUNT_LARGE", "PAID_LOANS_FEW"))
RISKY = Scored(0.7, 476, ("LATE_PAYMENT_RECENT",))
USUAL: dict[str, float | None] = {
    "amount": 800.0,
    "duration_days": 30.0,
    "days_since_first_loan": 400,
    "days_since_last_late_payment": None,
    "late_payments_share": 0.0,
    "open_loans_count": 0,
    "outstanding_principal": 0.0,
    "overdue_loans_count": 0,
    "paid_loans_count": 3,
    "profit_in_last_90_days_rate": None,
}
NEW: dict[str, float | None] = {"days_since_first_loan": None, "late_payments_share": None, "paid_loans_count": 0}

TABLE = [
    # case, figures that differ from the defaults, score, decision, reasons
    ("a good client", {}, SAFE, "approve", ()),
    ("just below the cut-off", {}, replace(SAFE, default_probability=0.1999), "approve", ()),
    ("at the cut-off", {}, replace(SAFE, default_probability=0.2), "refer", ("DEFAULT_RISK",)),
    ("between", {}, MIDDLING, "refer", ("DEFAULT_RISK", "AMOUNT_LARGE", "PAID_LOANS_FEW")),
    ("at the upper cut-off", {}, replace(RISKY, default_probability=0.4), "reject", ("DEFAULT_RISK", *RISKY.reasons)),
    ("a bad score", {}, RISKY, "reject", ("DEFAULT_RISK", "LATE_PAYMENT_RECENT")),
    ("an overdue loan", {"overdue_loans_count": 1}, SAFE, "reject", ("OVERDUE_LOAN",)),
    ("late yesterday", {"days_since_last_late_payment": 1}, SAFE, "refer", ("RECENT_LATE_PAYMENT",)),
    ("late 29 days ago", {"days_since_last_late_payment": 29}, SAFE, "refer", ("RECENT_LATE_PAYMENT",)),
    ("late 30 days ago", {"days_since_last_late_payment": 30}, SAFE, "approve", ()),
    ("half late", {"late_payments_share": 0.5}, SAFE, "approve", ()),
    ("mostly late", {"late_payments_share": 0.51}, SAFE, "reject", ("MOSTLY_LATE_PAYMENTS",)),
    ("four open loans", {"open_loans_count": 4}, SAFE, "refer", ("MANY_OPEN_LOANS",)),
    ("a large amount", {"amount": 10_001}, SAFE, "refer", ("LARGE_AMOUNT",)),
    ("the largest amount", {"amount": 10_000}, SAFE, "approve", ()),
    (
        "two rules, the strictest counts, both are reasons",
        {"overdue_loans_count": 2, "amount": 20_000},
        SAFE,
        "reject",
        ("OVERDUE_LOAN", "LARGE_AMOUNT"),
    ),
    ("no history, a small amount", {**NEW, "amount": 500}, None, "approve", ("NO_HISTORY",)),
    ("no history, more", {**NEW, "amount": 501}, None, "refer", ("NO_HISTORY",)),
    ("no history, a bad score is not asked", {**NEW, "amount": 100}, RISKY, "approve", ("NO_HISTORY",)),
    ("no score", {}, None, "refer", ("INFORMATION_NOT_AVAILABLE",)),
    (
        "no score and a rule",
        {"overdue_loans_count": 1},
        None,
        "refer",
        ("OVERDUE_LOAN", "INFORMATION_NOT_AVAILABLE"),
    ),
    ("a score that is no number", {}, Scored(float("nan"), 0, ()), "refer", ("INFORMATION_NOT_AVAILABLE",)),
]


@pytest.mark.parametrize(
    ("figures", "scored", "decision", "reasons"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_the_policy_decides_as_the_table_says(figures, scored, decision, reasons) -> None:
    outcome = POLICY.decide(USUAL | figures, scored)
    assert (outcome.decision, outcome.reasons) == (decision, reasons)


def test_every_rule_of_the_policy_is_in_the_table() -> None:
    found_codes = {reason for row in TABLE for reason in row[4]}
    assert {rule.code for rule in POLICY.rules} <= found_codes
    assert POLICY.sentences.keys() <= found_codes


def test_missing_figures_are_referred_to_a_person() -> None:
    outcome = POLICY.decide({"amount": 100.0, "duration_days": 30.0}, None)
    assert (outcome.decision, outcome.reasons) == ("refer", ("INFORMATION_NOT_AVAILABLE",))


def test_every_reason_has_a_sentence() -> None:
    assert all(POLICY.sentences[rule.code].endswith(".") for rule in POLICY.rules)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_higher_risk_is_never_decided_more_kindly(one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    decided = [POLICY.decide(USUAL, replace(SAFE, default_probability=risk)).decision for risk in (lower, higher)]
    assert STRICTER.index(decided[0]) <= STRICTER.index(decided[1])


TEXT = DEFAULT_POLICY.read_text("utf-8")


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("overdue_loans_count >= 1", "overdue_loan_count >= 1", "there is no figure overdue_loan_count"),
        ("late_payments_share > 0.5", "late_payments_share above 0.5", "is no condition"),
        ("days_since_first_loan is missing", "first_loan is missing", "there is no figure first_loan"),
        ("approve_below = 0.20", "approve_below = 0.70", "above reject_from"),
        ("approve_below = 0.20", "approve_below = 1.7", "at most 1"),
        ("approve_below = 0.20", "approve_under = 0.20", "has no approve_under"),
        ("approve_below = 0.20", "approve_below = ", "Invalid value"),
        ("approve_up_to = 500", 'approve_up_to = "500"', "must be a number"),
        ('code = "LARGE_AMOUNT"', 'code = "large amount"', "must have only capitals"),
        ('code = "LARGE_AMOUNT"', 'code = "AMOUNT_LARGE"', "one of the scoring model's reasons"),
        ('version = "2026-11-1"', "version = 7", "version must be a text"),
        ("[unavailable]", "[not_available]", "there is no not_available"),
        ("approve_below = 0.20", "approve_below = true", "approve_below must be a number"),
        ("approve_below = 0.20", "approve_below = nan", "approve_below must be a number"),
        ("approve_up_to = 500", "approve_up_to = -1", "approve_up_to must be a number, at least 0"),
        ('decision = "refer"', "decision = 7", "decision is 7; it must be refer or reject"),
        ('code = "LARGE_AMOUNT"', "code = 7", "code must be a text in quotes"),
        ('when = "amount > 10000"', 'when = ""', "when must be a text in quotes"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(old: str, new: str, said: str) -> None:
    text = TEXT.replace(old, new, 1)
    with pytest.raises(PolicyError, match=said) as refused:
        Policy.from_text(text)
    assert str(refused.value).startswith(f"line {line_of(text, new)}:")


def test_a_rule_cannot_approve() -> None:
    text = TEXT.replace('decision = "refer"', 'decision = "approve"', 1)
    line = line_of(text, 'decision = "approve"')
    with pytest.raises(PolicyError, match=f"line {line}: .*it must be refer or reject"):
        Policy.from_text(text)


def test_a_setting_that_a_rule_lacks_is_reported_at_its_head() -> None:
    text = TEXT[: TEXT.rindex("sentence")]
    line = len(text.splitlines()) - 3
    with pytest.raises(PolicyError, match=f"line {line}: \\[rule\\] lacks sentence"):
        Policy.from_text(text)


def test_two_sentences_for_one_code_are_refused() -> None:
    text = TEXT.replace("MANY_OPEN_LOANS", "LARGE_AMOUNT")
    with pytest.raises(PolicyError, match="two sentences"):
        Policy.from_text(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: version must be a text in quotes"),
        (
            'version = "1"\nscore = 3\n[no_history]\n' + TEXT.split("\n[no_history]\n")[1],
            r"line 2: the section \[score\] is missing",
        ),
        (
            TEXT.split("[[rule]]")[0].replace("version =", "rule = 3\nversion =", 1),
            r"begins with \[\[rule\]\]",
        ),
    ],
)
def test_a_section_of_another_kind_is_reported(text: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        Policy.from_text(text)


def test_a_misspelt_name_is_reported_and_not_the_name_that_it_lacks() -> None:
    text = TEXT.replace("\napprove_below", "\naprove_below", 1)
    with pytest.raises(PolicyError, match="has no aprove_below"):
        Policy.from_text(text)


def test_a_missing_section_is_reported() -> None:
    text = TEXT.replace("[unavailable]", "[[rule]]")
    with pytest.raises(PolicyError, match=r"the section \[unavailable\] is missing"):
        Policy.from_text(text)


def test_a_file_is_named_where_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lending.toml"
    with pytest.raises(PolicyError, match=r"lending\.toml cannot be read"):
        read_policy(file)
    file.write_text(TEXT.replace("amount >", "amounts >"))
    with pytest.raises(PolicyError, match=r"lending\.toml, line \d+: there is no figure amounts"):
        read_policy(file)


def test_conditions_may_name_every_feature_and_what_the_application_says() -> None:
    assert known_names() == USUAL.keys()
