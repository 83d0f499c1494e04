"""Compare two versions of the matching model."""

from __future__ import annotations

import pandas as pd

from quintet.conversions.match_report import figures_of
from quintet.conversions.matching_model import MatchingModel
from quintet.settings import Settings


def read_model(text: str) -> MatchingModel:
    """Return the model of a file's text. Raises ValueError for a model of another method."""
    return MatchingModel.from_json(text)


def compare_models(_: Settings, one: str, other: str) -> pd.DataFrame:
    """Return the parameters of two models by partner: figure, one, other; null where a model has no such partner."""
    left, right = (figures_of(read_model(text)) for text in (one, other))
    rows = [
        (": ".join(part for part in key if part), left.get(key), right.get(key))
        for key in dict.fromkeys((*left, *right))
    ]
    return pd.DataFrame(rows, columns=["figure", "one", "other"])
