"""The example of the document on judging sign-ups is an answer that the online index gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from quintet.promotions.accounts import SignUp, Usage, accounts_of
from quintet.promotions.model import scorecard
from quintet.promotions.online_index import Judgement, OnlineIndex
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import RINGS, judge_and_add, world

PAGE = (Path(__file__).parents[3] / "docs" / "judge-sign-ups.md").read_text("utf-8")
EXAMPLE = json.loads(re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0])
REQUEST = json.loads(re.findall(r"-d '([^']+)'", PAGE)[0])


def as_documented(judgement: Judgement) -> dict[str, Any]:
    """Return the answer as the document shows it: rounded, and without sentences."""
    return {
        "user_id": judgement.user_id,
        "score": round(judgement.score, 2),
        "decision": judgement.decision,
        "reasons": [{"code": reason.code, "sentence": "…"} for reason in judgement.reasons],
        "cluster_id": judgement.cluster_id,
        "cluster_size": judgement.cluster_size,
        "linked": [
            {"user_id": other.user_id, "weight": round(other.weight, 1), "shares": list(other.shares)}
            for other in judgement.linked
        ],
        "model_version": judgement.model_version,
        "is_new": judgement.is_new,
    }


@pytest.fixture(scope="module")
def answers() -> dict[bool, dict[str, Any]]:
    """Return the answers to the document's request, without and with the two accounts that it names."""
    users, usages, _ = world(4_000, 3_000, **RINGS)
    population = Population.of(accounts_of(users, usages))
    now = users["created_at"].max()
    none = dict.fromkeys(users.columns)
    earlier = [
        none | {"user_id": f"u-{number:04}", "email": email, "device_id": REQUEST["device_id"],
                "created_at": now - pd.Timedelta(minutes=10 * (1_001 - number))}
        for number, email in [(999, "ana@example.com"), (1_000, "ana+1@example.com")]
    ]  # fmt: skip
    given = {name: value for name, value in REQUEST.items() if name != "usages"}
    uses = [Usage(REQUEST["user_id"], use["promo_code"], None) for use in REQUEST["usages"]]
    found = {}
    for is_known, known in ((False, users), (True, pd.concat([users, pd.DataFrame(earlier).astype(users.dtypes)]))):
        index = OnlineIndex(accounts_of(known, usages), scorecard(population), read_policy())
        sign_up = SignUp.of({**none, **given, "created_at": now})
        found[is_known] = as_documented(judge_and_add(index, sign_up, uses))
    return found


def test_the_example_is_the_answer_where_two_accounts_have_its_device(answers: dict[bool, dict[str, Any]]) -> None:
    assert answers[True] | {"model_version": ""} == EXAMPLE | {"model_version": ""}


def test_without_them_the_sign_up_is_allowed_as_the_document_says(answers: dict[bool, dict[str, Any]]) -> None:
    assert (answers[False]["decision"], answers[False]["reasons"]) == ("allow", [])
    assert answers[False] != EXAMPLE
    assert "Without those accounts nothing counts against the sign-up, and the decision is `allow`." in PAGE
