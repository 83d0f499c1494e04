"""Explaining incidents: one issuer, some merchants, all alike, nothing, a drop; many values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from quintet.payments.dimensions import MOST_VALUES, OTHERS
from quintet.payments.explanation import MOST_NAMED, explain, folded
from quintet.payments.explanation_values import Explained, in_words

DIMENSIONS = ("merchant", "issuer", "country")
RATE = 0.1


def world(seed: int, rate: Callable[[np.ndarray, np.ndarray], np.ndarray], merchants: int = 200) -> pd.DataFrame:
    """Return slices of 20,000 transactions; `rate` is of merchants and issuers. Each issuer is of one country."""
    rng = np.random.default_rng(seed)
    merchant, issuer = rng.integers(0, merchants, 6_000), rng.integers(0, 40, 6_000)
    weight = rng.poisson(rng.gamma(0.7, 5, 6_000))
    return pd.DataFrame(
        {
            "merchant": [f"m{number}" for number in merchant],
            "issuer": [f"i{number}" for number in issuer],
            "country": np.select([issuer < 3, issuer < 20], ["de", "fr"], "us"),
            "count": rng.binomial(weight, rate(merchant, issuer)),
            "weight": weight,
        }
    )


def found(slices: pd.DataFrame, **history: pd.DataFrame) -> list[Explained]:
    return explain(slices, DIMENSIONS, history, RATE * slices["weight"].sum(), is_drop=False)


@pytest.mark.parametrize("seed", range(5))
def test_an_outage_of_one_issuer_names_it_and_not_its_country(seed: int) -> None:
    named = found(world(seed, lambda _, issuer: np.where(issuer == 1, 0.6, RATE)))

    assert [(one.dimension, one.value) for one in named] == [("issuer", "i1")]
    assert named[0].share == pytest.approx(1, abs=0.25)
    assert named[0].p_value < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_an_incident_that_affects_all_alike_names_nothing(seed: int) -> None:
    assert found(world(seed, lambda merchant, _: np.full(len(merchant), 3 * RATE))) == []


def test_values_are_named_by_chance_in_at_most_one_of_a_hundred_incidents() -> None:
    named = sum(bool(found(world(seed, lambda one, _: np.full(len(one), 2 * RATE)))) for seed in range(60))

    assert named <= 2


def test_two_merchants_and_an_issuer_share_the_excess() -> None:
    slices = world(3, lambda merchant, issuer: np.where((merchant < 2) | (issuer == 30), 0.9, RATE))
    named = found(slices)

    assert {one.value for one in named} == {"m0", "m1", "i30"}
    assert sum(one.share for one in named) == pytest.approx(1, abs=0.15)


def test_at_most_five_values_are_named() -> None:
    assert len(found(world(3, lambda merchant, _: np.where(merchant < 12, 0.9, RATE)))) == MOST_NAMED


def test_a_merchant_that_is_always_denied_more_is_not_the_cause() -> None:
    slices = world(4, lambda merchant, _: np.where(merchant == 7, 0.5, 2 * RATE), merchants=20)
    usual = pd.DataFrame({"events": 1_000, "exposure": 10_000}, index=[f"m{number}" for number in range(20)])
    usual.loc["m7", "events"] = 2_500

    assert found(slices, merchant=usual) == []
    usual.loc["m7", "events"] = 1_000
    assert [one.value for one in found(slices, merchant=usual)] == ["m7"]


def test_missing_approvals_name_what_is_missing() -> None:
    slices = world(5, lambda merchant, _: np.full(len(merchant), RATE))
    slices["count"] = np.where(slices["issuer"] == "i30", 0, slices["weight"])
    (named,) = explain(slices, DIMENSIONS, {}, slices["weight"].sum(), is_drop=True)

    assert (named.value, named.observed) == ("i30", 0)
    assert in_words([named], "volume") == "Where, with the share of what is missing: issuer i30 (100%)."


def test_nothing_is_named_without_an_excess_without_values_or_for_the_only_value() -> None:
    usual = world(6, lambda merchant, _: np.full(len(merchant), RATE))
    tripled = usual.assign(count=3 * usual["count"])

    assert explain(usual, DIMENSIONS, {}, 2.0 * usual["count"].sum(), is_drop=False) == []
    assert found(tripled.assign(merchant="", issuer="", country="")) == []
    assert found(tripled.assign(merchant="m1", issuer="", country="")) == []
    assert found(usual.iloc[:0]) == []
    assert in_words([], "denied") == ""


def test_a_burst_of_a_status_that_is_never_seen_names_its_merchant() -> None:
    slices = world(8, lambda merchant, _: np.zeros(len(merchant)), merchants=20)
    slices.loc[slices.index[slices["merchant"] == "m3"][:6], "count"] = 1
    (named,) = explain(slices, ("merchant",), {}, 0.05, is_drop=False)
    spread = slices.assign(count=0)
    spread.loc[[10, 700, 1_500, 2_500, 4_000, 5_500], "count"] = 1

    assert (named.value, named.observed) == ("m3", 6)
    assert explain(spread, ("merchant",), {}, 0.05, is_drop=False) == []


def test_the_smallest_of_ten_thousand_values_are_counted_together() -> None:
    texts = pd.Series([f"v{number}" for number in range(10_000)] + [""])
    weight = np.arange(10_001.0)[::-1]
    values = folded(texts, weight)

    assert values.nunique() == MOST_VALUES + 1  # with the unknown one
    assert (values == OTHERS).sum() == 10_000 - MOST_VALUES + 1
    assert values[0] == "v0"
    assert folded(texts[:MOST_VALUES], weight[:MOST_VALUES]).tolist() == texts[:MOST_VALUES].tolist()


def test_a_burst_of_one_new_merchant_is_named_among_ten_thousand() -> None:
    slices = world(7, lambda merchant, _: np.full(len(merchant), RATE), merchants=10_000)
    burst = pd.DataFrame({"merchant": ["new"], "issuer": ["i5"], "country": ["fr"], "count": [900], "weight": [1_000]})

    assert [one.value for one in found(pd.concat([slices, burst], ignore_index=True))] == ["new"]
