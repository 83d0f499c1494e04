"""Resamples of whole clusters, and average precision compared with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from quintet.promotions.resamples import average_precisions, cluster_weights

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), max_size=30)


@given(ROWS)
def test_average_precision_is_the_usual_one_with_weights_and_ties(rows: list[tuple[bool, int, int]]):
    y, score, weight = (np.array(column) for column in zip(*rows, (True, 3, 1), (False, 2, 1), strict=True))

    assert average_precisions(y, score, [weight])[0] == pytest.approx(
        average_precision_score(y, score, sample_weight=weight)
    )


def test_clusters_are_drawn_whole_and_both_classes_stay():
    y, cluster = np.array([True, True, False, False]), np.array([7, 7, 9, 9])
    weights = list(cluster_weights(y, cluster, 50))

    assert len(weights) == 50
    assert all(weight[0] == weight[1] > 0 and weight[2] == weight[3] > 0 for weight in weights)
    assert len({tuple(weight) for weight in weights}) > 3
