"""Columns are decided as each row by itself: the meaning of the grammar is that of `Condition.holds`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.rules import evaluate
from quintet.rules.conditions import Value
from quintet.rules.evaluate import Column, Evaluator, Texts
from quintet.rules.figures import RuleFigure, RuleGrammar, by_name
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import RuleSet

GRAMMAR = RuleGrammar(
    "things",
    by_name(
        [
            RuleFigure("size", "number", "size"),
            RuleFigure("age", "number", "age", "days"),
            RuleFigure("is_new", "flag", "new"),
            RuleFigure("city", "text", "city"),
            RuleFigure("address", "address", "address"),
        ]
    ),
    ("allow", "block", "review"),
    "thing",
    "block",
    {"allow": "allow", "block": "block", "watch": "review"},
)
LISTS = """
[[list]]
name = "nets"
figure = "address"
matches = "network"
action = "watch"
sentence = "Watched."

[[list]]
name = "cities"
figure = "city"
action = "none"
"""
ENTRIES = {
    "nets": EntryList.of("network", [("10.0.0.0/8", None), ("11.0.0.1", dt.datetime(1970, 1, 2, tzinfo=dt.UTC))]),
    "cities": EntryList.of("value", [("Bern", None)]),
}
AT_S = 86_400.0


def rule_set(rules: list[tuple[str, str]], lists: str = LISTS) -> RuleSet:
    sections = "".join(
        f'[[rule]]\nwhen = \'{when}\'\ndecision = "{decision}"\ncode = "R{at}"\nsentence = "s"\n'
        for at, (when, decision) in enumerate(rules)
    )
    return RuleSet.from_text(f'version = "1"\n{lists}{sections}', GRAMMAR)


numbers = st.integers(-2, 4)
conditions = st.one_of(
    st.builds(
        lambda name, op, n: f"{name} {op} {n}",
        st.sampled_from(["size", "age"]),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        numbers,
    ),
    st.sampled_from(
        [
            "size is missing",
            "city is known",
            "is_new is true",
            "is_new is false",
            'city = "bern"',
            'city != "Bern"',
            "city in cities",
            "city not in cities",
            "address in nets",
            "address not in nets",
        ]
    ),
)
rules = st.lists(
    st.tuples(
        st.lists(conditions, min_size=1, max_size=3, unique=True).map(" and ".join),
        st.sampled_from(["allow", "block", "review"]),
    ),
    max_size=6,
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.none() | numbers.map(float),
            "age": st.none() | numbers.map(float),
            "is_new": st.none() | st.booleans(),
            "city": st.none() | st.sampled_from(["Bern", "BERN ", "Basel"]),
            "address": st.none() | st.sampled_from(["10.1.1.1", "11.0.0.1", "12.0.0.1", "?"]),
        }
    ),
    min_size=1,
    max_size=8,
)


def columns_of(given_rows: list[Mapping[str, Value]]) -> dict[str, Column]:
    as_number = {
        name: np.array([np.nan if row[name] is None else float(row[name]) for row in given_rows])  # type: ignore[arg-type]
        for name in ("size", "age", "is_new")
    }
    return as_number | {name: Texts.of([row[name] for row in given_rows]) for name in ("city", "address")}  # type: ignore[misc]


def expected(rules_given: RuleSet, row: Mapping[str, Value]) -> tuple[str | None, list[str]]:
    """The answer by the definition: every condition of every rule by itself."""

    def is_member(name: str, value: str) -> bool:
        return ENTRIES[name].has(value, AT_S)

    spoken = [("LIST_NETS", "review")] if row["address"] is not None and is_member("nets", str(row["address"])) else []
    spoken += [
        (rule.code, rule.decision)
        for rule in rules_given.rules
        if all(condition.holds(row, is_member) for condition in rule.when)
    ]
    for decision in GRAMMAR.decisions:
        codes = [code for code, of in spoken if of == decision]
        if codes:
            return decision, codes
    return None, []


def answers(evaluator: Evaluator, columns: Mapping[str, Column], count: int) -> list[tuple[str | None, list[str]]]:
    found = evaluator.decide(columns, count, AT_S)
    return [
        (None if place < 0 else GRAMMAR.decisions[place], codes)
        for place, codes in zip(found.decision.tolist(), found.reasons(), strict=True)
    ]


@settings(max_examples=200)
@given(rules, rows)
def test_a_batch_is_decided_as_each_row_by_itself(rules_given, rows_given) -> None:
    try:
        made = rule_set(rules_given)
    except ValueError:
        return  # contradictory rules, which have tests of their own
    evaluator = Evaluator(made, GRAMMAR, ENTRIES)
    wanted = [expected(made, row) for row in rows_given]
    assert answers(evaluator, columns_of(rows_given), len(rows_given)) == wanted
    alone = [answers(evaluator, columns_of([row]), 1)[0] for row in rows_given]
    assert alone == wanted


def test_many_rows_are_decided_in_parts_with_the_same_answer(monkeypatch) -> None:
    made = rule_set([("size > 1 and city in cities", "block"), ("age is missing", "review")])
    rows_given = [
        {
            "size": float(at % 4),
            "age": None if at % 5 == 0 else 1.0,
            "is_new": True,
            "city": ["Bern", None, "X"][at % 3],
            "address": f"10.0.0.{at}",
        }
        for at in range(40)
    ]
    evaluator, columns = Evaluator(made, GRAMMAR, ENTRIES), columns_of(rows_given)
    whole = evaluator.decide(columns, 40, AT_S)
    monkeypatch.setattr(evaluate, "_MOST_CELLS", 20)
    parts = evaluator.decide(columns, 40, AT_S)
    assert parts.reasons() == whole.reasons()
    assert parts.decision.tolist() == whole.decision.tolist()
    assert parts.counts.tolist() == whole.counts.tolist()
    assert whole.counts.sum() > 40


def test_without_rules_nothing_is_decided() -> None:
    found = Evaluator(rule_set([], lists=""), GRAMMAR).decide({}, 3, AT_S)
    assert found.decision.tolist() == [-1, -1, -1]
    assert found.reasons() == [[], [], []]


@pytest.mark.parametrize("texts", [["a", None, "b", "a"], [None], []])
def test_texts_are_the_same_from_a_list_and_from_arrow(texts) -> None:
    listed, arrow = Texts.of(texts), Texts.of(pa.chunked_array([pa.array(texts, pa.string())]))
    for column in (listed, arrow):
        assert [None if at < 0 else column.values[at] for at in column.place.tolist()] == texts


def test_a_changed_text_may_become_missing() -> None:
    changed = Texts.of(["a@x", "none", None]).mapped(lambda text: text.partition("@")[2] or None)
    assert [None if at < 0 else changed.values[at] for at in changed.place.tolist()] == ["x", None, None]


@pytest.mark.parametrize(
    ("when", "is_alone"),
    [
        ("mail in domains and size > 1", True),
        ("mail not in domains and mail is known", True),
        ('mail in domains and mail != "a@b.example"', False),
        ("mail in addresses and mail in domains", False),
        ("mail is missing", False),
    ],
)
def test_only_the_domain_of_an_address_is_read_where_every_condition_names_such_a_list(
    when: str, is_alone: bool
) -> None:
    grammar = RuleGrammar(
        "things", by_name([RuleFigure("size", "number", "size"), RuleFigure("mail", "email", "mail")]),
        ("allow", "block", "review"), "thing", "block", {"allow": "allow", "block": "block", "watch": "review"},
    )  # fmt: skip
    lists = "".join(
        f'[[list]]\nname = "{name}"\nfigure = "mail"\nmatches = "{matches}"\naction = "none"\n'
        for name, matches in (("domains", "email_domain"), ("addresses", "value"))
    )
    rules = f'version = "1"\n{lists}[[rule]]\nwhen = \'{when}\'\ndecision = "review"\ncode = "R"\nsentence = "s"\n'
    evaluator = Evaluator(RuleSet.from_text(rules, grammar), grammar)

    assert ("mail" in evaluator.only_domains) == is_alone
