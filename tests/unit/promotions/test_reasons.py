"""Reasons: codes with their numbers, and sentences for people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.model import scorecard
from quintet.promotions.profile import Population
from quintet.promotions.reasons import explained, reason_codes
from tests.unit.promotions.worlds import accounts

POPULATION = Population.of(
    accounts(*({"user_id": str(n), "created_at": f"20{10 + n % 10}-01-01", "dob": "1980-01-01"} for n in range(100)))
)


def codes(lag_days: float = np.nan, uses: int = 0, **evidence: float) -> list[str]:
    columns = np.zeros((1, len(EVIDENCE)))
    for name, value in evidence.items():
        columns[0, EVIDENCE.index(name)] = value
    account = replace(accounts({"user_id": "u"}), use_lag_days=np.array([lag_days]), uses=np.array([float(uses)]))
    return reason_codes(columns, account, scorecard(POPULATION), 0.5)[0]


def test_nothing_strange_has_no_reason():
    assert codes() == []


def test_the_weightiest_comes_first():
    assert codes(phone_strange=0.5, name_case_strange=1.0) == ["NAME_CASE_ODD", "PHONE_MALFORMED"]


def test_evidence_of_little_weight_is_no_reason():
    assert codes(phone_strange=0.05) == []


@pytest.mark.parametrize(
    ("lag_days", "code"),
    [(0.003, "ACCOUNT_AGE_LT_60D"), (60.0, "ACCOUNT_AGE_LT_180D"), (300.0, "ACCOUNT_AGE_LT_365D"),
     (400.0, "ACCOUNT_AGE_LT_730D")],
)  # fmt: skip
def test_the_age_of_the_account_is_given_in_steps(lag_days: float, code: str):
    assert codes(lag_days, use_hasty=1.0) == [code]


def test_an_early_use_is_a_reason_only_where_few_are_as_early():
    assert codes(10.0, use_early=0.3) == []
    assert codes(0.003, use_early=0.9) == ["ACCOUNT_AGE_LT_60D"]


def test_many_uses_are_given_with_their_number():
    assert codes(uses=7, uses_many=1.0) == ["USES_7"]


def test_links_are_given_with_the_number_of_accounts():
    found = codes(device_shared=np.log2(3), best_pair=5.0, burst=np.log1p(2), cluster_size=np.log2(3))

    assert found == ["DEVICE_SHARED_3", "BURST_3", "CLUSTER_3"]


def test_sharing_without_weight_is_no_reason():
    assert codes(ip_shared=np.log2(40), best_pair=0.4) == []


@pytest.mark.parametrize(
    "code",
    ["PHONE_MALFORMED", "EMAIL_DOMAIN_RARE", "NAME_CASE_ODD", "AGE_IMPLAUSIBLE", "ACCOUNT_AGE_LT_60D", "USES_7",
     "DEVICE_SHARED_3", "EMAIL_SHARED_2", "PHONE_SHARED_2", "PHONE_BLOCK_SHARED_4", "IP_SHARED_9", "SUBNET_SHARED_9",
     "BURST_5", "SAME_CODE_5", "CLUSTER_5"],
)  # fmt: skip
def test_every_code_has_a_sentence_with_its_number(code: str):
    reason = explained(code, POPULATION)

    assert reason.code == code
    assert reason.sentence.endswith(".")
    assert "{" not in reason.sentence
    number = code.rpartition("_")[2].removesuffix("D")
    assert not number.isdigit() or number in reason.sentence
