"""Backtests of promotions: the stored figures give the answers of the build, and each label its part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from quintet.promotions.result_tables import write_scores
from quintet.promotions.rule_history import backtest, backtest_of
from quintet.promotions.rules import GRAMMAR
from quintet.rules.evaluate import Evaluator
from quintet.rules.lists import EntryList
from quintet.rules.rule_set import RuleSet
from tests.unit.promotions.account_rules import AT_S, LISTS, evaluator
from tests.unit.promotions.warehouse_worlds import POLICY, World, new_world, people

RULES = (
    ("cluster_size >= 2 and accounts_on_device >= 2", "block"),
    ("email in domains and age_years > 30", "review"),
    ('phone in prefixes and user_id != "x"', "allow"),
    ("score > 0.2 and uses > 1", "review"),
)
ENTRIES = {
    "domains": EntryList.of("email_domain", [("gmail.com", None)]),
    "prefixes": EntryList.of("phone_prefix", [("+1 2", None)]),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that was scored without rules, with the tables of a snapshot that backtests read."""
    with new_world(tmp_path_factory.mktemp("history")) as world:
        world.put(*people())
        world.train()
        write_scores(world.connection, world.models, POLICY)
        as_snapshot(world.connection)
        yield world


def as_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        create or replace table marts.fct_promo_users as from intermediate.int_promo_users_current;
        create or replace table marts.ops_abuse_labels as from ops.abuse_labels;
        create or replace table marts.fct_promo_usages as
            select *, case when user_id < 'm' then 'fixed_amount' else 'percentage' end as discount_type,
                10.0 as discount_value, 50.0 as min_purchase_amount
            from intermediate.int_promo_usages
    """).fetchall()


def test_a_backtest_decides_every_account_as_the_next_build_will(built: World) -> None:
    after = evaluator(*RULES, lists=LISTS, **ENTRIES)
    found = backtest(built.connection, POLICY, None, after, AT_S)
    text = after.rules.text.replace("'", "''")
    built.connection.execute(f"""
        insert into ops.rule_changes values
            (1, 'promotions', 'activate', '1', '{text}', timestamp '2026-01-01', 'Ana', null);
        insert into ops.rule_list_entries values
            (1, 'promotions', 'domains', 'gmail.com', true, null, timestamp '2026-01-01', 'Ana', null),
            (2, 'promotions', 'prefixes', '+1 2', true, null, timestamp '2026-01-01', 'Ana', null)
    """)
    try:
        decided = write_scores(built.connection, built.models, POLICY, AT_S).scores["decision"].value_counts()
    finally:
        built.connection.execute("delete from ops.rule_changes; delete from ops.rule_list_entries")
        write_scores(built.connection, built.models, POLICY)
    assert found.after == {name: int(decided.get(name, 0)) for name in ("allow", "review", "block")}
    assert found.before != found.after


def test_labels_and_discounts_say_what_a_rule_would_have_saved(built: World) -> None:
    cursor = built.connection
    found = backtest(cursor, POLICY, None, evaluator(("uses >= 1", "block")), AT_S)
    ((abusers, saved),) = cursor.execute("""
        with new as (
            select user_id, is_abuser, 5.0 + 5.0 * (user_id < 'm')::int as discount
            from ml.abuse_scores join marts.fct_promo_users using (user_id) join marts.fct_promo_usages using (user_id)
            where decision <> 'block'
        )
        select count(distinct user_id) filter (is_abuser), coalesce(sum(discount) filter (is_abuser), 0) from new
    """).fetchall()
    assert sum(move.confirmed for move in found.moves if move.after == "block") == abusers
    assert found.saved == pytest.approx(saved)
    assert found.forgone > 0
    assert found.needs_confirmation


def test_a_label_of_a_person_replaces_that_of_the_file(built: World) -> None:
    rules = evaluator(("score >= 0", "review"))
    before = backtest(built.connection, POLICY, None, rules, AT_S)
    honest = next(ids[0] for move in before.moves if (ids := move.samples["honest"]))
    built.connection.execute(
        "insert into marts.ops_abuse_labels values (1, ?, true, timestamp '2026-01-01', 'Ana', null)", [honest]
    )
    after = backtest(built.connection, POLICY, None, rules, AT_S)
    built.connection.execute("delete from marts.ops_abuse_labels")
    assert sum(m.confirmed for m in after.moves) == sum(m.confirmed for m in before.moves) + 1
    assert sum(m.honest for m in after.moves) == sum(m.honest for m in before.moves) - 1


def test_the_active_rules_are_what_others_are_compared_with(built: World) -> None:
    rules = evaluator(("cluster_size >= 2", "block"))
    same = backtest(built.connection, POLICY, rules, rules, AT_S)
    assert (same.moves, same.before) == ([], same.after)
    none = Evaluator(RuleSet.from_text('version = "none"\n', GRAMMAR), GRAMMAR)
    undone = backtest(built.connection, POLICY, rules, none, AT_S)
    assert {move.before for move in undone.moves} == {"block"}


def test_without_scored_accounts_there_is_no_backtest(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "empty.duckdb")) as connection:
        assert backtest_of(connection, None, evaluator(("uses > 1", "block")), AT_S) is None
