"""The scorecard measured on worlds with known rings."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from quintet.promotions.ring_worlds import measure_worlds
from quintet.samples.promotions import PromotionsWorld, make_sample

SMALL = PromotionsWorld(users=1_000, usages=1_000, malformed_share=0.0, use_lag_informative=False)


def test_a_world_has_its_figures_by_size_and_speed_of_rings():
    worlds, rings = measure_worlds({"small": partial(make_sample, SMALL)}, seed=1)
    truth = make_sample(SMALL, 1).truth["promo_users"]

    (world,) = worlds.to_dict("records")
    assert (world["world"], world["users"], world["abusers"]) == ("small", 1_000, truth["is_abuser"].sum())
    assert 0 <= world["honest_blocked"] < world["blocked"] <= world["flagged"] <= 1
    assert world["average_precision"] > truth["is_abuser"].mean()
    assert rings["accounts"].sum() == truth["ring_id"].notna().sum()
    assert not rings.duplicated(["ring_size", "ring_days"]).any()
    flagged = np.average(rings["flagged"], weights=rings["accounts"])
    alone = truth["is_abuser"] & truth["ring_id"].isna()
    assert flagged * rings["accounts"].sum() == pytest.approx(
        world["flagged"] * world["abusers"], abs=alone.sum() + 1e-6
    )
