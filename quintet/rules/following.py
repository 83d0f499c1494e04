"""The rules of the state store, followed while the service runs: read again when a version or a list has changed."""

from __future__ import annotations

from quintet.rules.evaluate import Evaluator
from quintet.rules.figures import RuleGrammar
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import RuleSet
from quintet.rules.store import RuleChange, RulesNow, changes_of, last_change, stored_lists
from quintet.state.store import StateStore


class FollowedRules:
    """The active rules of a business, and those in shadow.

    A version that cannot be used, such as one of a later release, leaves the former one active; `fault` says so.
    """

    def __init__(self, grammar: RuleGrammar) -> None:
        self.grammar = grammar
        self.active: Evaluator | None = None
        self.shadow: Evaluator | None = None
        self.fault = ""
        self._last = (0, 0)
        self._lists: dict[str, EntryList] = {}

    def refresh(self, store: StateStore) -> bool:
        """Read what has changed since the last time; return whether anything has."""
        last = last_change(store, self.grammar.domain)
        if last == self._last:
            return False
        after = self._last[1]
        if last[1] < after:  # the store was restored from a backup
            after, self._lists = 0, {}
        now, former = RulesNow.of(changes_of(store, self.grammar.domain)), self._lists
        self._lists, faults = {}, list[str]()
        self.active = self._made(store, now.active, self.active, after, former, faults)
        self.shadow = self._made(store, now.shadow, self.shadow, after, former, faults)
        self._last, self.fault = last, "; ".join(faults)
        return True

    def _made(
        self,
        store: StateStore,
        change: RuleChange | None,
        former: Evaluator | None,
        after: int,
        former_lists: dict[str, EntryList],
        faults: list[str],
    ) -> Evaluator | None:
        """Return the rules of a change with their lists; the former ones, and why in `faults`, if it cannot be used."""
        if change is None:
            return None
        try:
            rules = RuleSet.from_text(change.content, self.grammar)
            known = {
                name: former_lists[name]
                for name, form in rules.lists.items()
                if name in former_lists and former_lists[name].matches == form.matches
            }
            lists = stored_lists(store, self.grammar.domain, rules, after, known)
        except ValueError as error:
            stays = f"version {former.rules.version} stays active" if former is not None else "no rule applies"
            faults.append(f"rules of {self.grammar.domain}, version {change.version}: {error}; {stays}")
            return former
        self._lists |= lists
        return Evaluator(rules, self.grammar, lists)
