"""The figures of the model card, on scores of known quality."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.model_card import (
    figures,
    precision_recall,
    recall_at,
    shared_key_share,
    stability,
    threshold_table,
)
from quintet.promotions.policy import Policy

POLICY = Policy(0.5, 0.9, 0.5)
Y = np.array([True, True, True, False, False, False, False, False])
SCORE = np.array([0.95, 0.9, 0.2, 0.6, 0.1, 0.1, 0.1, 0.1])


def test_precision_and_recall_are_those_of_the_decisions():
    values = figures(Y, SCORE, np.arange(8), POLICY)

    assert values["precision_of_block"].value == 1
    assert values["recall_of_block"].value == pytest.approx(2 / 3)
    assert values["precision_of_review"].value == pytest.approx(2 / 3)
    assert values["recall_of_review"].value == pytest.approx(2 / 3)


def test_perfect_scores_are_perfect_and_the_interval_says_so():
    values = figures(Y, Y.astype(float), np.arange(8), POLICY)

    assert {(one.value, one.low, one.high) for one in values.values()} == {(1.0, 1.0, 1.0)}


def test_few_clusters_make_wide_intervals():
    rng = np.random.default_rng(0)
    y = np.repeat(rng.random(200) < 0.3, 10)
    score = np.clip(np.repeat(rng.normal(0, 0.5, 200), 10) + y, 0, 1)
    by_cluster = figures(y, score, np.repeat(np.arange(200), 10), POLICY)["average_precision"]
    by_row = figures(y, score, np.arange(2_000), POLICY)["average_precision"]

    assert by_cluster.low < by_cluster.value < by_cluster.high
    assert by_cluster.high - by_cluster.low > 2 * (by_row.high - by_row.low)


def test_one_class_has_no_figures():
    with pytest.raises(ValueError, match="labelled abusers and labelled honest"):
        figures(np.ones(3, dtype=bool), np.zeros(3), np.arange(3), POLICY)


def test_recall_at_a_share_of_false_positives_counts_equal_scores_together():
    y = np.array([True, True, False, False])

    assert recall_at(y, np.array([0.9, 0.5, 0.5, 0.1]), 0.0) == 0.5
    assert recall_at(y, np.array([0.9, 0.5, 0.5, 0.1]), 0.5) == 1.0
    assert recall_at(y, np.full(4, 0.5), 0.5) == 0.0


def test_the_threshold_table_has_precision_and_recall():
    row = threshold_table(Y, SCORE).query("threshold == 0.5").iloc[0]

    assert (row["flagged"], row["abusers"]) == (3, 2)
    assert (row["precision"], row["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert threshold_table(Y, SCORE / 2).iloc[-1].isna()["precision"]


def test_the_curve_ends_at_full_recall():
    curve = precision_recall(Y, SCORE)

    assert curve["recall"].iloc[0] == 1
    assert curve["threshold"].is_monotonic_increasing


def test_sharing_counts_accounts_with_any_key_in_common():
    columns = np.zeros((4, len(EVIDENCE)))
    columns[0, EVIDENCE.index("ip_shared")] = columns[1, EVIDENCE.index("device_shared")] = 1
    columns[2, EVIDENCE.index("phone_strange")] = 1

    assert shared_key_share(columns) == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_scores_are_stable_beside_themselves(scores: list[float]):
    assert stability(np.array(scores), np.array(scores)) == 0


def test_scores_that_moved_have_drifted():
    rng = np.random.default_rng(0)

    assert stability(rng.beta(1, 9, 5_000), rng.beta(1, 9, 5_000)) < 0.1
    assert stability(rng.beta(1, 9, 5_000), rng.beta(3, 3, 5_000)) > 0.25
    assert np.isnan(stability(np.array([]), np.array([0.5])))
