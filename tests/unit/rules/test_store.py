"""Rules in the state store: versions, shadows and entries, followed by the service and ingested by a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from quintet.domains import open_state_store
from quintet.rules import store as rules_store
from quintet.rules.backtest import Backtest
from quintet.rules.figures import RuleFigure, RuleGrammar, by_name
from quintet.rules.following import FollowedRules
from quintet.rules.lines import FormError
from quintet.rules.lists import EntryError
from quintet.rules.recorded import recorded_evaluator, recorded_now
from quintet.rules.rule_set import RuleSet
from quintet.rules.saving import (
    Author,
    ConfirmationError,
    change_list,
    drop_shadow,
    readable,
    rules_now,
    save,
)
from quintet.rules.store import EntryChange, RuleChange, RulesNow, entry_counts, record_change
from quintet.state.recorded import create_recorded, ingest_recorded
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
ANA = Author("Ana", NOW)
GRAMMAR = RuleGrammar(
    "things",
    by_name([RuleFigure("size", "number", "size"), RuleFigure("email", "email", "e-mail")]),
    ("allow", "block", "review"),
    "thing",
    "block",
    {"allow": "allow", "block": "block", "watch": "review"},
)


def text(version: str, limit: int = 5, matches: str = "email_domain") -> str:
    return (
        f'version = "{version}"\n[[list]]\nname = "domains"\nfigure = "email"\nmatches = "{matches}"\n'
        f'action = "watch"\nsentence = "Watched."\n[[rule]]\nwhen = "size > {limit}"\ndecision = "block"\n'
        'code = "LARGE"\nsentence = "s"\n'
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    store = open_state_store(tmp_path)
    yield store
    store.close()


def put(store: StateStore, version: str, action: str = "activate", **changes: object) -> RuleChange:
    rules = readable(store, GRAMMAR, text(version, **changes))  # type: ignore[arg-type]
    return save(store, GRAMMAR, rules, action, ANA, None)  # type: ignore[arg-type]


def blocking(share: float) -> Backtest:
    return Backtest(1000, {"block": 0}, {"block": 900}, [], [], int(1000 * share), 0.0, 0.0)


def test_a_version_is_active_from_its_saving_and_a_shadow_until_it_is_activated_or_dropped(store: StateStore) -> None:
    put(store, "1")
    put(store, "2", "shadow", limit=4)
    now = rules_now(store, GRAMMAR)
    assert now.active is not None
    assert now.shadow is not None
    assert (now.active.version, now.shadow.version, now.active.changed_by) == ("1", "2", "Ana")

    put(store, "2", "activate", limit=4)
    activated = rules_now(store, GRAMMAR)
    assert activated.active is not None
    assert (activated.active.version, activated.shadow) == ("2", None)

    put(store, "3", "shadow", limit=3)
    assert drop_shadow(store, GRAMMAR, ANA) is not None
    assert rules_now(store, GRAMMAR) == activated
    assert drop_shadow(store, GRAMMAR, ANA) is None


def test_saving_the_active_version_again_changes_nothing(store: StateStore) -> None:
    first = put(store, "1")
    assert put(store, "1") == first
    assert len(rules_store.changes_of(store, "things")) == 1


def test_a_version_has_one_text(store: StateStore) -> None:
    put(store, "1")
    with pytest.raises(FormError, match="line 1: version 1 was saved with another text by Ana"):
        put(store, "1", limit=6)


def test_rules_that_block_more_than_a_twentieth_need_a_second_confirmation(store: StateStore) -> None:
    rules = readable(store, GRAMMAR, text("1"))
    with pytest.raises(ConfirmationError, match=r"version 1 blocks 51 of 1,000 things \(5.1%\), more than 5%"):
        save(store, GRAMMAR, rules, "activate", ANA, blocking(0.051))
    assert rules_now(store, GRAMMAR).active is None

    save(store, GRAMMAR, rules, "activate", ANA, blocking(0.051), is_confirmed=True)
    assert rules_now(store, GRAMMAR).active is not None


def test_a_twentieth_or_a_shadow_needs_none(store: StateStore) -> None:
    save(store, GRAMMAR, readable(store, GRAMMAR, text("1")), "activate", ANA, blocking(0.05))
    save(store, GRAMMAR, readable(store, GRAMMAR, text("2")), "shadow", ANA, blocking(0.9))
    assert rules_now(store, GRAMMAR).shadow is not None


def test_entries_are_checked_counted_and_removed(store: StateStore) -> None:
    put(store, "1")
    entries = [
        EntryChange("a.example"),
        EntryChange("b.example", NOW + dt.timedelta(days=1)),
        EntryChange("c.example", NOW),
    ]
    assert change_list(store, GRAMMAR, "domains", entries, ANA) == 3
    assert entry_counts(store, "things", NOW) == {"domains": 2}
    change_list(store, GRAMMAR, "domains", [EntryChange("a.example", is_member=False)], ANA)
    assert entry_counts(store, "things", NOW) == {"domains": 1}

    with pytest.raises(EntryError, match="entry 2: no domain is no domain"):
        change_list(store, GRAMMAR, "domains", [EntryChange("d.example"), EntryChange("no domain")], ANA)
    with pytest.raises(LookupError, match="there is no list nets; there are domains"):
        change_list(store, GRAMMAR, "nets", [EntryChange("d.example")], ANA)
    assert entry_counts(store, "things", NOW) == {"domains": 1}


def test_a_list_whose_entries_no_longer_fit_is_refused(store: StateStore) -> None:
    put(store, "1")
    change_list(store, GRAMMAR, "domains", [EntryChange("a.example")], ANA)
    readable(store, GRAMMAR, text("2", matches="value"))
    rules_store.change_entries(store, "things", "domains", [EntryChange("not a domain")], NOW, "Ana")
    with pytest.raises(FormError, match="no longer fit: not a domain is no domain"):
        readable(store, GRAMMAR, text("2"))


def test_the_service_follows_versions_and_entries(store: StateStore) -> None:
    followed = FollowedRules(GRAMMAR)
    assert not followed.refresh(store)
    put(store, "1")
    put(store, "2", "shadow", limit=4)
    assert followed.refresh(store)
    assert followed.active is not None
    assert followed.shadow is not None
    assert (followed.active.rules.version, followed.shadow.rules.version) == ("1", "2")
    assert not followed.refresh(store)

    change_list(store, GRAMMAR, "domains", [EntryChange("a.example"), EntryChange("b.example")], ANA)
    change_list(store, GRAMMAR, "domains", [EntryChange("B.example", is_member=False)], ANA)
    assert followed.refresh(store)
    change_list(store, GRAMMAR, "domains", [EntryChange("c.example")], ANA)
    assert followed.refresh(store)
    lists = followed.active.lists["domains"], followed.shadow.lists["domains"]
    for entries in lists:
        assert {at: entries.has(f"x@{at}.example", NOW.timestamp()) for at in "abc"} == {
            "a": True,
            "b": False,
            "c": True,
        }


def test_a_version_that_cannot_be_used_leaves_the_former_active_and_is_reported(store: StateStore) -> None:
    followed = FollowedRules(GRAMMAR)
    put(store, "1")
    followed.refresh(store)
    record_change(store, RuleChange("things", "activate", "9", text("9").replace("size", "weight"), NOW, "Ana"))
    followed.refresh(store)

    assert followed.active is not None
    assert followed.active.rules.version == "1"
    assert "version 9: line 9: there is no figure weight" in followed.fault
    assert "version 1 stays active" in followed.fault
    put(store, "10")
    followed.refresh(store)
    assert followed.fault == ""


def test_a_run_decides_by_what_the_service_uses(store: StateStore, tmp_path: Path) -> None:
    put(store, "1")
    put(store, "2", "shadow", limit=4)
    change_list(store, GRAMMAR, "domains", [EntryChange("a.example"), EntryChange("b.example", NOW)], ANA)
    change_list(store, GRAMMAR, "domains", [EntryChange("c.example"), EntryChange("c.example", is_member=False)], ANA)
    followed = FollowedRules(GRAMMAR)
    followed.refresh(store)
    with duckdb.connect() as connection:
        assert recorded_evaluator(connection, GRAMMAR) is None
        connection.execute("create schema ops")
        create_recorded(connection, rules_store.RECORDED)
        assert recorded_evaluator(connection, GRAMMAR) is None
        for table in rules_store.RECORDED:
            ingest_recorded(connection, table, tmp_path)
        found = recorded_evaluator(connection, GRAMMAR)
        now = recorded_now(connection, "things")

    assert followed.active is not None
    assert found is not None
    assert found.rules == followed.active.rules
    assert found.lists == followed.active.lists
    assert now == rules_now(store, GRAMMAR)


def test_no_change_means_no_rules() -> None:
    assert RulesNow.of([]) == RulesNow(None, None)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(FormError, match="more than 1,000,000 characters"):
        RuleSet.from_text("#" * 1_000_001, GRAMMAR)
