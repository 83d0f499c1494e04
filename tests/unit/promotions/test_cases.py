"""Cases of promotions: flagged accounts that nobody has labelled, the most costly first; a verdict is a label."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from quintet.cases.kind import Decided, Sources
from quintet.domains import open_state_store
from quintet.promotions import reasons, result_tables
from quintet.promotions.cases import ABUSER, HONEST, act, in_build
from quintet.promotions.store import label_of
from quintet.rules.store import RuleChange, record_change
from quintet.settings import load_settings
from quintet.state.store import StateStore

NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    with closing(open_state_store(tmp_path)) as store:
        yield store


@pytest.fixture
def sources(store: StateStore) -> Sources:
    return Sources(load_settings({"QUINTET_PROMO_USE_COST": "20"}), store, NOW)


@pytest.fixture
def marts() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            """
            create schema marts;
            create table marts.fct_abuse_scores as from (values
                ('a', 'block', 0.9::double, ['NAME_CASE_ODD'], 'a', 2), ('b', 'block', 0.8, [], 'a', 2),
                ('c', 'review', 0.5, [], null, 1), ('d', 'allow', 0.1, [], null, 1), ('e', 'block', 1.0, [], null, 1)
            ) as scores(user_id, decision, score, reasons, cluster_id, cluster_size);
            create table marts.fct_promo_usages as from (values ('a'), ('a'), ('a'), ('c')) as usages(user_id);
            create table marts.ops_abuse_labels as from (values ('e')) as labels(user_id);
            """
        )
        yield connection


def test_flagged_accounts_without_a_label_are_cases_by_what_they_cost(
    marts: duckdb.DuckDBPyConnection, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_tables, "model_of_snapshot", lambda _: (SimpleNamespace(population=None), None))
    monkeypatch.setattr(reasons, "explained", lambda code, _: SimpleNamespace(sentence=f"{code} in words."))
    found = {one.subject_id: one for one in in_build(marts, sources)}
    assert {name: (one.priority, one.group_id, one.person_id) for name, one in found.items()} == {
        "a": (0.9 * 3 * 20, "a", "a"),
        "b": (0.8 * 20, "a", "b"),
        "c": (0.5 * 20, None, "c"),
    }
    assert found["a"].why == "NAME_CASE_ODD in words."
    assert found["b"].why == "Nothing counts against this account alone."


def _version(version: str, code: str, sentence: str) -> str:
    rule = f'when = \'score > 0.5\'\ndecision = "block"\ncode = "{code}"\nsentence = "{sentence}"'
    return f'version = "{version}"\n[[rule]]\n{rule}\n'


@pytest.mark.parametrize(
    ("active", "why"),
    [
        ("2", "Ana blocks these. Blocked in spring. This rule is no longer active."),
        ("1", "A rule or list that is no longer active. Blocked in spring."),
    ],
)
def test_a_reason_that_is_a_rule_is_given_in_its_own_words(
    marts: duckdb.DuckDBPyConnection, sources: Sources, monkeypatch: pytest.MonkeyPatch, active: str, why: str
) -> None:
    """Of the active version and of former ones; only a code that no version ever had has no words of its own."""
    monkeypatch.setattr(result_tables, "model_of_snapshot", lambda _: (SimpleNamespace(population=None), None))
    marts.execute("update marts.fct_abuse_scores set reasons = ['NEW_RULE', 'OLD_RULE'] where user_id = 'a'")
    versions = {
        "1": _version("1", "OLD_RULE", "Blocked in spring."),
        "2": _version("2", "NEW_RULE", "Ana blocks these."),
    }
    for number in range(1, int(active) + 1):
        text = versions[str(number)]
        record_change(sources.store, RuleChange("promotions", "activate", str(number), text, NOW, "Ana"))
    found = {one.subject_id: one.why for one in in_build(marts, sources)}

    assert found["a"] == why


def test_before_the_first_model_there_is_no_case(
    marts: duckdb.DuckDBPyConnection, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_tables, "model_of_snapshot", lambda _: None)
    assert list(in_build(marts, sources)) == []


def test_a_verdict_is_a_label_and_a_later_one_replaces_it(store: StateStore) -> None:
    for verdict in (ABUSER, HONEST):
        given = Decided("c", 2, "a", None, 1.0, verdict, None, "seen", "Ana", NOW, load_settings({}))
        with store.write() as connection:
            act(connection, given)
        label = label_of(store, "a")
        assert label is not None
        assert (label.is_abuser, label.labelled_by, label.note) == (verdict == ABUSER, "Ana", "seen")
