"""The what-if: another limit or another policy on past applications, and the swaps."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

from quintet.lending.models import Promotion
from quintet.lending.policy import Policy, read_policy
from quintet.lending.scoring import Bins, ScoringModel
from quintet.lending.what_if import compare, cut_off_table, decide_by_cut_off, score_applications

_POLICY = read_policy()


@pytest.fixture(scope="module")
def scored(run: tuple[duckdb.DuckDBPyConnection, Promotion], training_set: pd.DataFrame) -> pd.DataFrame:
    model = run[1].model
    assert model is not None
    return score_applications(training_set, model, _POLICY)


@pytest.mark.parametrize("limits", [(0.2, 0.4), (0.1, 0.1), (0.35, 0.9), (1.0, 1.0), (0.0, 0.0)])
def test_a_limit_decides_as_the_policy_with_that_limit_would(
    limits: tuple[float, float],
    scored: pd.DataFrame,
    run: tuple[duckdb.DuckDBPyConnection, Promotion],
    training_set: pd.DataFrame,
) -> None:
    model = run[1].model
    assert model is not None
    other = replace(_POLICY, approve_below=limits[0], reject_from=limits[1])
    by_policy = score_applications(training_set, model, other)["decision"].to_numpy()
    assert (decide_by_cut_off(scored, *limits) == by_policy).all()


def test_the_applications_cover_all_decisions_with_and_without_a_score(scored: pd.DataFrame) -> None:
    assert set(scored["decision"]) == {"approve", "refer", "reject"}
    assert set(scored["is_scored"]) == {True, False}


def test_the_table_of_limits_has_the_active_policy_and_swaps_grow_from_there(scored: pd.DataFrame) -> None:
    table = cut_off_table(scored, _POLICY)
    (active,) = table[table["is_active"]].to_dict("records")
    assert active["approve_below"] == _POLICY.approve_below
    assert active["swapped_in_applications"] == active["swapped_out_applications"] == 0
    assert active["approvals"] == (scored["decision"] == "approve").sum()
    assert table["approvals"].is_monotonic_increasing
    assert table["expected_loss"].is_monotonic_increasing
    assert (table["approvals"] + table["referrals"] + table["rejections"] == len(scored)).all()
    higher = table[table["approve_below"] > _POLICY.approve_below]
    assert (higher["swapped_out_applications"] == 0).all()
    assert (higher["approvals"] - higher["swapped_in_applications"] == active["approvals"]).all()


_MODEL = ScoringModel(("amount",), base_points=540, bins={"amount": Bins((300.0,), (40, -40), 0, 0.0)})


def _applications(**columns: list[object]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    known = {name: [0.0] * rows for name in _POLICY.needs} | {"days_since_first_loan": [100.0] * rows}
    base = {
        "application_id": list(range(rows)),
        "client_id": list(range(rows)),
        "applied_on": ["2020-01-01"] * rows,
        "age_years": [40.0] * rows,
        "outcome": [None] * rows,
        "is_open": [True] * rows,
    }
    return pd.DataFrame(base | known | {"late_payments_share": [None] * rows} | columns)


def test_a_changed_rule_swaps_exactly_its_applications_with_their_outcomes() -> None:
    rows = _applications(
        amount=[100.0, 100.0, 100.0, 100.0],
        open_loans_count=[0.0, 1.0, 1.0, 1.0],
        days_since_last_late_payment=[None] * 4,
        outcome=["repaid", "overdue", "repaid", None],
    )
    text = _POLICY.text + (
        '\n[[rule]]\nwhen = "open_loans_count >= 1"\ndecision = "reject"\ncode = "OPEN"\nsentence = "A loan is open."\n'
    )
    before, after = (
        score_applications(rows, _MODEL, policy)["decision"].to_numpy() for policy in (_POLICY, Policy.from_text(text))
    )
    found = compare(score_applications(rows, _MODEL, _POLICY), before, after)
    swaps = found.swaps.set_index("swap")
    assert swaps["applications"].to_dict() == {"in": 0, "out": 3, "stays": 1}
    assert (swaps.loc["out", "known_outcomes"], swaps.loc["out", "defaults"]) == (2, 1)
    assert swaps.loc["out", "default_share"] == 0.5
    assert np.isnan(swaps.loc["in", "default_share"])
    assert found.policies["approvals"].tolist() == [4, 1]


def test_expected_loss_is_probability_times_amount_of_the_approvals() -> None:
    rows = _applications(amount=[200.0, 5_000.0], days_since_last_late_payment=[None, None])
    scored = score_applications(rows, _MODEL, _POLICY)
    found = compare(scored, scored["decision"].to_numpy(), scored["decision"].to_numpy())
    assert scored["decision"].tolist() == ["approve", "reject"]
    assert found.policies["expected_loss"].tolist() == [pytest.approx(200 * scored["default_probability"][0])] * 2


def test_no_applications_change_nothing() -> None:
    scored = score_applications(_applications(amount=[]), _MODEL, _POLICY)
    assert cut_off_table(scored, _POLICY)["approvals"].sum() == 0
