"""Contradictions: rules that can never decide are refused by name, and rules that overlap in part are not."""

from __future__ import annotations

import pytest

from quintet.rules.lines import FormError
from quintet.rules.rule_set import RuleSet
from tests.unit.rules.rule_texts import GRAMMAR, rules_of


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        (("size > 5", "block"), ("size > 5", "allow")),
        (("size > 5", "block"), ("size > 3", "allow")),
        (("size > 5", "review"), ("size >= 5", "block")),
        (("size = 5", "review"), ("size >= 5 and size <= 5", "block")),
        (("size > 5 and age < 2", "review"), ("age < 2", "block")),
        (("size > 5", "review"), ("size != 3", "block")),
        (("size > 5", "review"), ("size is known", "block")),
        (('city = "a"', "review"), ('city != "b"', "block")),
        (("size is missing", "block"), ("size is missing", "allow")),
    ],
)
def test_a_pair_in_which_one_can_never_decide_is_named(weaker, stronger) -> None:
    for text in (rules_of(weaker, stronger), rules_of(stronger, weaker)):
        with pytest.raises(FormError, match=r"R\d \(\w+\) contradicts R\d \(\w+, line \d+\)"):
            RuleSet.from_text(text, GRAMMAR)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("size > 3", "block"), ("size > 5", "allow")),
        (("size >= 5", "review"), ("size > 5", "block")),
        (("size > 5", "review"), ("size > 5 and age < 2", "block")),
        (("size > 5", "review"), ("size != 6", "block")),
        (("size is missing", "review"), ("size < 5", "block")),
        (("size is missing", "review"), ("size is known", "block")),
        (('city != "b"', "review"), ('city = "a"', "block")),
        (("size > 5", "block"), ("size > 3", "block")),
    ],
)
def test_rules_that_overlap_in_part_are_accepted(one, other) -> None:
    assert len(RuleSet.from_text(rules_of(one, other), GRAMMAR).rules) == 2


@pytest.mark.parametrize(
    "when",
    [
        "size > 5 and size < 5",
        "size >= 5 and size < 5",
        "size = 4 and size != 4",
        "size is missing and size > 1",
        "size > 1 and size is missing",
        "size is known and size is missing",
        'city = "a" and city = "b"',
        'city = "a" and city != "A"',
    ],
)
def test_conditions_that_exclude_each_other_are_refused(when: str) -> None:
    with pytest.raises(FormError, match="line 3: R0 can never hold"):
        RuleSet.from_text(rules_of((when, "block")), GRAMMAR)


@pytest.mark.parametrize("when", ["size >= 5 and size <= 5", "size > 4 and size != 5", "size is missing and age > 1"])
def test_conditions_that_can_hold_are_accepted(when: str) -> None:
    assert RuleSet.from_text(rules_of((when, "block")), GRAMMAR).rules
