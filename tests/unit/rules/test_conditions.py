"""Conditions: what they mean, and what a text that is none is refused with."""

from __future__ import annotations

import pytest

from quintet.rules.conditions import Condition, ConditionError, parse_conditions
from quintet.rules.figures import RuleFigure, by_name

FIGURES = by_name(
    [
        RuleFigure("uses", "number", "uses of codes"),
        RuleFigure("is_verified", "flag", "whether verified"),
        RuleFigure("email", "email", "address"),
        RuleFigure("city", "text", "city"),
    ]
)
VALUES = {"uses": 3.0, "is_verified": True, "email": "ana@mail.example.com", "city": "  Zürich "}


def is_member(name: str, value: str) -> bool:
    return (name, value) == ("cities", "  Zürich ")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("uses >= 3", True),
        ("uses > 3", False),
        ("uses != 3", False),
        ("uses = 3 and is_verified is true", True),
        ("uses = 3 and is_verified is false", False),
        ('city = "zürich"', True),
        ('city != "zürich"', False),
        ('city = "fish and chips"', False),
        ("city in cities", True),
        ("city not  in cities", False),
        ("email is known", True),
        ("email is missing", False),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, holds: bool) -> None:
    conditions = parse_conditions(text, FIGURES, ["cities"])
    assert all(one.holds(VALUES, is_member) for one in conditions) is holds


@pytest.mark.parametrize(
    "text",
    ["uses > 0", "uses != 5", "is_verified is true", "is_verified is false", 'city != "x"', "city not in cities"],
)
def test_a_missing_figure_fulfils_no_comparison(text: str) -> None:
    (condition,) = parse_conditions(text, FIGURES, ["cities"])
    assert not condition.holds(dict.fromkeys(VALUES), is_member)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cluster > 3", "there is no figure cluster; there are city, email, is_verified, uses"),
        ("uses >", "is no condition"),
        ("uses > 3 or uses < 1", "is no condition"),
        ('uses = "3"', "uses is a number; compare it with one, like: uses > 5"),
        ("city > 3", 'city is a text; write: city = "value"'),
        ("city in towns", "there is no list towns; there are cities"),
        ("uses in cities", "uses is a number"),
        ("is_verified = 1", "is_verified is true or false; write: is_verified is true"),
        ("uses is true", "uses is a number"),
        ('city = " "', "is no condition"),
    ],
)
def test_a_text_that_is_no_condition_is_refused_with_the_fix(text: str, said: str) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_conditions(text, FIGURES, ["cities"])
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text", ["uses > 3.5", "email is known", 'city != "a b"', "city not in cities", "is_verified is true"]
)
def test_a_condition_prints_as_it_is_written(text: str) -> None:
    (condition,) = parse_conditions(text, FIGURES, ["cities"])
    assert str(condition) == text


def test_a_list_needs_its_entries() -> None:
    with pytest.raises(TypeError, match="needs the list cities"):
        Condition("city", "in", text="cities").holds(VALUES)
