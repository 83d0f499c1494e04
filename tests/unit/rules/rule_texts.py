"""Texts of rule sets, and a grammar of things with a size, an age, a city and an e-mail address."""

from __future__ import annotations

from quintet.rules.figures import RuleFigure, RuleGrammar, by_name

GRAMMAR = RuleGrammar(
    "things",
    by_name(
        [
            RuleFigure("size", "number", "size"),
            RuleFigure("age", "number", "age"),
            RuleFigure("city", "text", "city"),
            RuleFigure("email", "email", "e-mail"),
        ]
    ),
    ("allow", "block", "review"),
    "thing",
    "block",
    {"allow": "allow", "block": "block", "watch": "review"},
)


def rules_of(*rules: tuple[str, str]) -> str:
    """Return the text of rules, each a condition and a decision. Their codes are R0, R1 and so on."""
    return 'version = "1"\n' + "".join(
        f'[[rule]]\nwhen = \'{when}\'\ndecision = "{decision}"\ncode = "R{at}"\nsentence = "s"\n'
        for at, (when, decision) in enumerate(rules)
    )
