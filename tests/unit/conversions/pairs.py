"""Test data: candidate pairs of one block with a known truth, and a model of one partner."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quintet.conversions.candidates import UNKNOWN, Candidates, Window, WindowArrays, find_candidates
from quintet.conversions.matching_model import ClockStretch, FieldWeights, LagDensity, MatchingModel, PartnerModel

US, DE = 20 * 26 + 18, 3 * 26 + 4
DAY = 86_400
UNCALIBRATED = ((0.0, 0.0), (1.0, 1.0))


def model(**changed: object) -> MatchingModel:
    """Return a model of one partner whose lag is below four seconds, with parameters replaced."""
    given: dict[str, object] = {
        "clock": (ClockStretch(0, 0, is_clear=True),),
        "lag": LagDensity((0, 1, 2, 3, 4), (0.25, 0.25, 0.25, 0.25)),
        "click_rate": 0.5,
        "burst_click_rate": 0.5,
        "row_link_share": 0.8,
        "ip": FieldWeights(0.95, 0.01, 0.04, 0.98, 0.01, 0.01),
        "residency": FieldWeights(0.45, 0.5, 0.05, 0.45, 0.5, 0.05),
        "unlinked_ip_share": {"US": 0.5, "DE": 0.48, "": 0.01},
        "unlinked_ip_rest": 1e-4,
        "country_share": {"US": 0.5, "DE": 0.5},
        "country_rest": 1e-4,
        "any_country_seconds": 2,
        "rows": 100,
    }
    return MatchingModel({"one": PartnerModel(**given | changed)}, UNCALIBRATED, 0.5, 1.0)  # type: ignore[arg-type]


def candidates(conversions: list[tuple[int, int]], rows: list[tuple[int, int, int]]) -> Candidates:
    """Return the pairs of one day. conversions: second, country. rows: second, IP country, residency."""
    laid = WindowArrays(
        Window(DAY, 7_200),
        pd.DataFrame(sorted(conversions), columns=["at_second", "country"], dtype="int64").assign(
            block=0, place=lambda frame: np.arange(len(frame)), own=True, in_burst=False
        ),
        pd.DataFrame(sorted(rows), columns=["at_second", "ip", "residency"], dtype="int64").assign(
            block=0, partner=0, place=lambda frame: np.arange(len(frame)), own=True
        ),
    )
    return find_candidates(laid, horizon_seconds=4, any_country_seconds=2)


def world(count: int, linked_share: float, seed: int, lag_seconds: int = 1) -> Candidates:
    """Return a day of conversions in two countries; a share of them has a row after `lag_seconds`."""
    rng = np.random.default_rng(seed)
    at, country = np.sort(rng.choice(DAY - 10, count, replace=False)), rng.choice([US, DE], count)
    rows = [
        (int(second) + lag_seconds, int(code), UNKNOWN)
        for second, code in zip(at, country, strict=True)
        if rng.random() < linked_share
    ]
    return candidates([(int(second), int(code)) for second, code in zip(at, country, strict=True)], rows)
