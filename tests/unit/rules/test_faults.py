"""Faults of forms: the first one of a file is described with its line and the fix."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from quintet.rules.faults import Code, Described, Section, Text, validated
from quintet.rules.lines import FormError, Place


class One(Section):
    code: Code
    size: Annotated[float, Field(ge=0)] = 0.0
    kind: Literal["a", "b"] = "a"


class Form(Section):
    version: Text
    only: One
    rule: list[One] = Field(default_factory=list)


DESCRIBED = Described({"only": One, "rule": One}, requirements={"size": "a number, at least 0"}, example="LARGE")
TEXT = """version = "1"

[only]
code = "ONE"
size = 1.0

[[rule]]
code = "TWO"
kind = "b"
"""


def test_a_valid_text_is_read_with_the_line_of_each_setting() -> None:
    form, lines = validated(Form, TEXT, DESCRIBED)
    assert (form.only.code, form.rule[0].kind) == ("ONE", "b")
    assert (lines.line(Place("rule"), "kind"), lines.line(Place("only")), lines.line(Place("none"))) == (9, 3, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("size = 1.0", "size = -1.0", "line 5: size must be a number, at least 0"),
        ("size = 1.0", "seize = 1.0", "line 5: [only] has no seize; there are code, size, kind"),
        ('kind = "b"', 'kind = "c"', "line 9: kind is 'c'; it must be a or b"),
        ('code = "TWO"', 'code = "two"', "line 8: code 'two' must have only capitals, digits and _, like LARGE"),
        ('code = "TWO"\n', "", "line 7: [rule] lacks code"),
        ("[only]", "[other]", "line 3: there is no other; there are version, only, rule"),
        ('version = "1"', "version = 1", "line 1: version must be a text in quotes"),
        ("[[rule]]", "[rule]", "line 7: a rule begins with [[rule]]"),
        ("[only]\n", "[[only]]\n", "line 3: the section [only] is missing"),
        ('code = "ONE"', "code = ", "line 4: Invalid value"),
    ],
)
def test_a_fault_is_described_with_its_line_and_the_fix(old: str, new: str, said: str) -> None:
    with pytest.raises(FormError) as refused:
        validated(Form, TEXT.replace(old, new, 1), DESCRIBED)
    assert str(refused.value).startswith(said)
