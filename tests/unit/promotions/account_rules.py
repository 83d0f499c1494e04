"""Rules and lists about accounts, and the time at which they decide."""

from __future__ import annotations

from quintet.promotions.rules import GRAMMAR
from quintet.rules.evaluate import Evaluator
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import RuleSet

AT_S = 1_800_000_000.0
LISTS = "".join(
    f'[[list]]\nname = "{name}"\nfigure = "{figure}"\nmatches = "{matches}"\naction = "{action}"\n'
    'sentence = "Listed."\n'
    for name, figure, matches, action in (
        ("domains", "email", "email_domain", "none"),
        ("nets", "ip_address", "network", "watch"),
        ("prefixes", "phone", "phone_prefix", "none"),
        ("devices", "device_id", "value", "block"),
    )
)


def evaluator(*rules: tuple[str, str], lists: str = "", version: str = "1", **entries: EntryList) -> Evaluator:
    """Return the evaluator of rules, each a condition and a decision, with the entries of each list by its name."""
    text = f'version = "{version}"\n{lists}' + "".join(
        f'[[rule]]\nwhen = \'{when}\'\ndecision = "{decision}"\ncode = "RULE_{at}"\nsentence = "Rule {at} applies."\n'
        for at, (when, decision) in enumerate(rules)
    )
    return Evaluator(RuleSet.from_text(text, GRAMMAR), GRAMMAR, entries)
