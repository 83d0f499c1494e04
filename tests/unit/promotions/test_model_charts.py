"""The figures of the scores: a threshold in words, and as a parameter of both charts."""

from __future__ import annotations

from typing import Any

import pytest

from quintet.promotions import model_charts
from tests.unit.promotions.chart_frames import FULL, thresholds


@pytest.mark.parametrize(
    ("threshold", "words"), [(0.4, "precision 75.0%, recall 60.0%"), (0.99, "none is flagged, recall 0.0%")]
)
def test_a_threshold_is_described(threshold: float, words: str):
    assert words in model_charts.at_threshold(thresholds(), threshold)


def test_both_charts_of_scores_have_the_threshold_as_a_parameter():
    for which in ("histogram", "thresholds"):
        parameters: list[dict[str, Any]] = FULL[which]().spec()["params"]
        assert {"name": "threshold", "value": 0.5} in parameters
