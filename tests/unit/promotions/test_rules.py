"""Rules of promotions: a sign-up is decided by them as it arrives exactly as in the next build."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.promotions.accounts import Accounts, accounts_of
from quintet.promotions.evidence import EvidenceMatrix, gather
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.online_index import OnlineIndex, Query
from quintet.promotions.policy import DECISIONS, read_policy
from quintet.promotions.profile import Population
from quintet.promotions.rules import GRAMMAR, ActiveRules
from quintet.promotions.score import Scored, scored
from quintet.rules.evaluate import Evaluator
from quintet.rules.lists import EntryList
from tests.unit.promotions.account_rules import AT_S, LISTS, evaluator
from tests.unit.promotions.worlds import requests, world

POLICY = read_policy()


@cache
def people() -> tuple[pd.DataFrame, pd.DataFrame]:
    users, usages, _ = world(17, 300, abuser_share=0.3)
    users["is_email_verified"] = np.array([True, False, None], dtype=object)[np.arange(len(users)) % 3]
    return users, usages


@cache
def model() -> AbuseModel:
    return scorecard(Population.of(accounts_of(*people())))


@cache
def index() -> OnlineIndex:
    return OnlineIndex(accounts_of(*people()), model(), POLICY)


@cache
def gathered() -> tuple[Accounts, EvidenceMatrix]:
    accounts = accounts_of(*people())
    return accounts, gather(accounts, model().population)


def batch(rules: Evaluator | None) -> Scored:
    return scored(*gathered(), model(), POLICY, rules, AT_S)


def limits_of(name: str) -> st.SearchStrategy[float]:
    return {
        "score": st.sampled_from([0.01, 0.3, 0.5, 0.9]),
        "age_years": st.sampled_from([20.0, 30.5]),
        "days_to_first_use": st.sampled_from([1.0, 60.5]),
    }.get(name, st.sampled_from([0.0, 1.0, 2.0, 5.0]))


NUMBERS = sorted(name for name, figure in GRAMMAR.figures.items() if figure.kind == "number")
_conditions = st.one_of(
    st.sampled_from(NUMBERS).flatmap(
        lambda name: st.builds(
            lambda relation, limit: f"{name} {relation} {limit:g}", st.sampled_from(["<", ">=", "="]), limits_of(name)
        )
    ),
    st.sampled_from(["is_email_verified is true", "is_email_verified is false", "is_phone_verified is missing"]),
    st.sampled_from(["email in domains", "ip_address in nets", "phone in prefixes", "device_id not in devices"]),
    st.sampled_from(['first_name = "ana"', 'user_agent != "x"', "phone is known"]),
)
_rules = st.lists(
    st.tuples(st.lists(_conditions, min_size=1, max_size=2, unique=True).map(" and ".join), st.sampled_from(DECISIONS)),
    min_size=1,
    max_size=5,
)


@cache
def entries() -> dict[str, EntryList]:
    users, _ = people()
    return {
        "domains": EntryList.of("email_domain", [("gmail.com", None)]),
        "nets": EntryList.of("network", [("0.0.0.0/2", None)]),
        "prefixes": EntryList.of("phone_prefix", [("+1 2", None), ("+1 505", None)]),
        "devices": EntryList.of("value", [(device, None) for device in users["device_id"].dropna().head(20)]),
    }


@settings(max_examples=40, deadline=None)
@given(_rules)
def test_any_rules_decide_a_sign_up_as_in_the_batch(rules) -> None:
    try:
        given_rules = evaluator(*rules, lists=LISTS, **entries())
    except ValueError:
        return  # contradictory rules, which have tests of their own
    rows = batch(given_rules).scores.set_index("user_id")
    users, usages = people()
    queries = [Query(sign_up, uses, joins=False) for sign_up, uses in requests(users.iloc[::7], usages)]
    judged = index().judge_beside_shadow(queries, ActiveRules(given_rules), AT_S)

    for query, (judgement, _) in zip(queries, judged, strict=True):
        row = rows.loc[query.sign_up.user_id]
        assert judgement.decision == row["decision"]
        assert [reason.code for reason in judgement.reasons] == row["reasons"]


def test_rules_and_lists_win_over_the_score_in_their_order() -> None:
    before = batch(None).scores
    blocked = before.loc[before["decision"] == "block", "user_id"].iloc[0]
    allowing = evaluator(
        ("score >= 0", "block"),
        lists='[[list]]\nname = "trusted"\nfigure = "user_id"\naction = "allow"\nsentence = "Trusted."\n',
        trusted=EntryList.of("value", [(blocked, None)]),
    )
    after = batch(allowing).scores.set_index("user_id")

    assert after.loc[blocked, "decision"] == "allow"
    assert after.loc[blocked, "reasons"][0] == "LIST_TRUSTED"
    assert set(after.drop(blocked)["decision"]) == {"block"}


def test_where_no_rule_applies_nothing_changes() -> None:
    silent = batch(evaluator(("cluster_size > 100000", "block")))
    pd.testing.assert_frame_equal(silent.scores, batch(None).scores)


def test_a_judgement_gives_the_sentence_of_the_rule() -> None:
    users, usages = people()
    ((sign_up, uses),) = requests(users.head(1), usages)
    rules = ActiveRules(evaluator(("score >= 0", "review")))
    ((judgement, _),) = index().judge_beside_shadow([Query(sign_up, uses, joins=False)], rules, AT_S)

    assert (judgement.decision, judgement.reasons[0].sentence) == ("review", "Rule 0 applies.")


def test_rules_in_shadow_change_nothing_and_their_verdict_is_returned() -> None:
    users, usages = people()
    queries = [Query(sign_up, uses, joins=False) for sign_up, uses in requests(users.head(40), usages)]
    alone = index().judge_in_turn(queries)
    shadow = ActiveRules(shadow=evaluator(("cluster_size >= 2", "block"), version="next"))
    judged = index().judge_beside_shadow(queries, shadow, AT_S)

    assert [judgement for judgement, _ in judged] == alone
    for judgement, verdict in judged:
        assert (verdict is not None) is (judgement.cluster_size >= 2)
        assert verdict is None or (verdict.version, verdict.decision, verdict.codes) == ("next", "block", ("RULE_0",))
    assert {verdict is None for _, verdict in judged} == {True, False}


@pytest.mark.parametrize("name", sorted(GRAMMAR.figures))
def test_every_figure_is_known_of_some_account(name: str) -> None:
    is_known = [codes[:1] == ["RULE_0"] for codes in batch(evaluator((f"{name} is known", "review"))).scores["reasons"]]
    assert any(is_known) or name in ("is_phone_verified", "user_agent")
