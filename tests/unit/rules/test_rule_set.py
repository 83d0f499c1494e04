"""Rule sets: a fault is named with its line, and a rule that can never decide is refused with the other's name."""

from __future__ import annotations

import pytest

from quintet.rules.lines import FormError
from quintet.rules.rule_set import MOST_RULES, RuleSet
from tests.unit.rules.rule_texts import GRAMMAR, rules_of

TEXT = """version = "1"

[[list]]
name = "domains"
figure = "email"
matches = "email_domain"
action = "block"
sentence = "Blocked domain."

[[rule]]
when = "size > 5"
decision = "review"
code = "LARGE"
sentence = "It is large."

[[rule]]
when = "age < 3 and email in domains"
decision = "allow"
code = "YOUNG"
sentence = "It is young."
"""


def line_of(text: str, part: str) -> int:
    """The last line with the part: of two equal settings the second is the fault."""
    return max(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def test_a_text_is_read_with_its_reasons_and_figures() -> None:
    rules = RuleSet.from_text(TEXT, GRAMMAR)
    assert [rule.code for rule in rules.rules] == ["LARGE", "YOUNG"]
    assert rules.needs == {"size", "age", "email"}
    assert rules.sentences == {
        "LIST_DOMAINS": "Blocked domain.",
        "LARGE": "It is large.",
        "YOUNG": "It is young.",
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("size > 5", "sise > 5", "there is no figure sise; there are age, city, email, size"),
        ("size > 5", "size > 5 and size < 2", "LARGE can never hold: size > 5 and size < 2"),
        ("email in domains", "email in domain", "there is no list domain; there are domains"),
        ("email in domains", "city in domains", "does not apply to city"),
        ('decision = "review"', 'decision = "refer"', "it must be allow or block or review"),
        ('decision = "review"', "decision = 7", "decision must be a text in quotes"),
        ('code = "YOUNG"', 'code = "LARGE"', "is the code of line 10 too"),
        ('code = "YOUNG"', 'code = "LIST_DOMAINS"', "is the code of a list"),
        ('code = "YOUNG"', 'code = "young"', "must have only capitals, digits and _, like DISPOSABLE_EMAIL"),
        ('action = "block"', 'action = "deny"', "it must be allow, block, watch or none"),
        ('figure = "email"', 'figure = "mail"', "there is no figure mail; there are email"),
        ('figure = "email"', 'figure = "size"', "does not apply to size"),
        ('name = "domains"', 'name = "Domains!"', "must have only"),
        ('version = "1"', "version = 1", "version must be a text in quotes"),
        ('version = "1"', 'versoin = "1"', "there is no versoin"),
        ("[[list]]", "[[lists]]", "there is no lists; there are version, rule, list"),
        ('sentence = "It is large."', 'sentense = "It is large."', "has no sentense"),
    ],
)
def test_a_fault_is_named_with_its_line(old: str, new: str, said: str) -> None:
    text = TEXT.replace(old, new, 1)
    with pytest.raises(FormError) as refused:
        RuleSet.from_text(text, GRAMMAR)
    assert said in str(refused.value)
    wanted = line_of(text, new) if "figure = " not in new or "does not" not in said else line_of(text, "matches")
    assert str(refused.value).startswith(f"line {wanted}:")


def test_the_number_of_rules_is_limited() -> None:
    text = rules_of(*((f"size = {at}", "block") for at in range(MOST_RULES + 1)))
    with pytest.raises(FormError, match="more than 1,000 rules"):
        RuleSet.from_text(text, GRAMMAR)


def test_a_list_that_decides_needs_a_sentence() -> None:
    with pytest.raises(FormError, match=r"line 3: .*lacks sentence"):
        RuleSet.from_text(TEXT.replace('sentence = "Blocked domain."\n', ""), GRAMMAR)
