"""Save a version of the rules: to decide at once, or to run in shadow; and change the entries of its lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from quintet.rules.backtest import LARGEST_SHARE_BLOCKED, Backtest
from quintet.rules.figures import RuleGrammar
from quintet.rules.lines import FormError, Lines, Place
from quintet.rules.lists import EntryError, ListForm, key_of_entry
from quintet.rules.rule_set import RuleSet
from quintet.rules.store import (
    EntryChange,
    RuleChange,
    RulesNow,
    change_entries,
    changes_of,
    record_change,
    stored_lists,
)
from quintet.state.store import StateStore


class ConfirmationError(ValueError):
    """The rules block more than a twentieth of the subjects; the message says how many and how to confirm."""


@dataclass(frozen=True)
class Author:
    """Who changes rules, when (UTC), and why."""

    name: str
    at: dt.datetime
    note: str | None = None


def rules_now(store: StateStore, grammar: RuleGrammar) -> RulesNow:
    """Return the active version and the one in shadow."""
    return RulesNow.of(changes_of(store, grammar.domain))


def readable(store: StateStore, grammar: RuleGrammar, text: str) -> RuleSet:
    """Return the rules of a text that may be saved.

    Raises FormError with the line of the first fault; also for the name of a version that is stored with another text,
    and for a list whose stored entries do not fit.
    """
    rules, lines = RuleSet.from_text(text, grammar), Lines.of(text)
    for change in changes_of(store, grammar.domain):
        if change.version == rules.version and change.content != text:
            what = (
                f"version {rules.version} was saved with another text by {change.changed_by}; give this one a new name"
            )
            raise lines.fault(what, Place(""), "version")
    try:
        stored_lists(store, grammar.domain, rules)
    except EntryError as error:
        raise FormError(f"line 1: a list has entries that no longer fit: {error}") from None
    return rules


def save(
    store: StateStore,
    grammar: RuleGrammar,
    rules: RuleSet,
    action: Literal["activate", "shadow"],
    author: Author,
    tested: Backtest | None,
    is_confirmed: bool = False,
) -> RuleChange:
    """Save a version and return its change. Saving what is active or in shadow already changes nothing.

    tested: the backtest of the rules; None where nothing is stored to test them on. Raises ConfirmationError if they
    would block more than a twentieth and that is not confirmed; in shadow nothing is blocked.
    """
    now = rules_now(store, grammar)
    same = now.active if action == "activate" else now.shadow
    if same is not None and same.content == rules.text:
        return same
    if action == "activate" and tested is not None and tested.needs_confirmation and not is_confirmed:
        raise ConfirmationError(
            f"version {rules.version} blocks {tested.blocked:,} of {tested.subjects:,} {grammar.subject}s "
            f"({tested.blocked_share:.1%}), more than {LARGEST_SHARE_BLOCKED:.0%}. Check the samples of the backtest, "
            "and confirm to save it"
        )
    change = RuleChange(grammar.domain, action, rules.version, rules.text, author.at, author.name, author.note)
    record_change(store, change)
    return change


def drop_shadow(store: StateStore, grammar: RuleGrammar, author: Author) -> RuleChange | None:
    """End the version in shadow, and return it; None without one."""
    shadow = rules_now(store, grammar).shadow
    if shadow is None:
        return None
    record_change(
        store,
        RuleChange(grammar.domain, "drop", shadow.version, shadow.content, author.at, author.name, author.note),
    )
    return shadow


def declared_lists(store: StateStore, grammar: RuleGrammar) -> dict[str, ListForm]:
    """Return the lists of the active version and of the one in shadow, by name."""
    now = rules_now(store, grammar)
    found: dict[str, ListForm] = {}
    for change in (now.shadow, now.active):
        if change is not None:
            found |= RuleSet.from_text(change.content, grammar).lists
    return found


def change_list(
    store: StateStore, grammar: RuleGrammar, name: str, changes: Iterable[EntryChange], author: Author
) -> int:
    """Add entries to a list and remove them, all or none; return how many rows were written.

    Raises LookupError if no rules declare the list, EntryError with the number of the first entry that does not fit.
    """
    lists = declared_lists(store, grammar)
    if name not in lists:
        raise LookupError(f"there is no list {name}; there are {', '.join(sorted(lists)) or 'none'}")
    checked: Sequence[EntryChange] = list(changes)
    for number, change in enumerate(checked, start=1):
        try:
            key_of_entry(change.entry, lists[name].matches)
        except EntryError as error:
            raise EntryError(f"entry {number}: {error}") from None
    return change_entries(store, grammar.domain, name, checked, author.at, author.name, author.note)
