"""The scorecard measured on generated worlds with known rings: it depends on the code alone, and ships with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from quintet.evaluations import Evaluation, evaluated
from quintet.promotions.accounts import accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.model import scorecard
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.samples.promotions import PromotionsWorld, make_sample
from quintet.samples.promotions_farms import HARD_FARMS, FarmsWorld, make_farms
from quintet.samples.promotions_second_accounts import (
    HARD_SECOND_ACCOUNTS,
    SecondAccountsWorld,
    make_second_accounts,
)
from quintet.samples.sample import Sample
from quintet.warehouse.database import transaction

WORLD_TABLES = ("ml.abuse_worlds", "ml.abuse_world_rings")
SEED = 20_241
USERS = 10_000

BURSTS = PromotionsWorld(users=USERS, usages=USERS, malformed_share=0.0, use_lag_informative=False)
HARD_BURSTS = PromotionsWorld(
    users=USERS,
    usages=USERS,
    malformed_share=0.0,
    use_lag_informative=False,
    device_sharing=0.3,
    ip_sharing=0.3,
    lone_share=0.25,
)
WORLDS: Mapping[str, Callable[[int], Sample]] = {
    "bursts": partial(make_sample, BURSTS),
    "bursts, hard": partial(make_sample, HARD_BURSTS),
    "farms": partial(make_farms, FarmsWorld(users=USERS)),
    "farms, hard": partial(make_farms, HARD_FARMS),
    "second accounts": partial(make_second_accounts, SecondAccountsWorld(users=USERS)),
    "second accounts, hard": partial(make_second_accounts, HARD_SECOND_ACCOUNTS),
}
"""Generators that differ in how rings work, each with a version in which most of what links is replaced."""

_SIZES = {"3 to 7 accounts": 8, "8 to 31 accounts": 32, "32 and more accounts": np.inf}
_DAYS = {"up to 3 days": 3, "up to 30 days": 30, "up to 100 days": 100, "more than 100 days": np.inf}
"""By group: the first size, or the most days, beyond it."""


def measure_worlds(
    worlds: Mapping[str, Callable[[int], Sample]] = WORLDS, seed: int = SEED
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames of `WORLD_TABLES` of the scorecard, without labels.

    Worlds: world, users, abusers, average_precision, precision_of_block, flagged and blocked (of the abusers), and
    honest_blocked (of the honest). Rings: world, ring_size, ring_days, accounts, flagged, blocked.
    """
    of_worlds, of_rings = zip(*(_measured(name, make(seed)) for name, make in worlds.items()), strict=True)
    return pd.DataFrame(of_worlds), pd.concat(of_rings, ignore_index=True)


def _measured(name: str, sample: Sample) -> tuple[dict[str, object], pd.DataFrame]:
    users, _, usages = (file.rows for file in sample.files)
    typed = {column: pd.to_datetime(users[column]) for column in ("created_at", "dob")}
    accounts = accounts_of(users.assign(**typed), usages.assign(used_at=pd.to_datetime(usages["used_at"])))
    truth = sample.truth["promo_users"].set_index("user_id").loc[accounts.user_id.to_pylist()]
    population = Population.of(accounts)
    model = scorecard(population)
    columns = gather(accounts, population).columns
    decision = read_policy().decisions(model.scores(columns))
    is_abuser = truth["is_abuser"].to_numpy(dtype=bool)
    flagged, blocked = decision != "allow", decision == "block"
    world = {
        "world": name,
        "users": len(truth),
        "abusers": int(is_abuser.sum()),
        "average_precision": float(average_precision_score(is_abuser, model.log_odds(columns))),
        "flagged": float(flagged[is_abuser].mean()),
        "blocked": float(blocked[is_abuser].mean()),
        "precision_of_block": float(is_abuser[blocked].mean()) if blocked.any() else np.nan,
        "honest_blocked": float(blocked[~is_abuser].mean()),
    }
    of_ring = pd.DataFrame(
        {
            "ring": truth["ring_id"].to_numpy(),
            "at_s": accounts.created_at_s,
            "flagged": flagged,
            "blocked": blocked,
        }
    ).dropna(subset=["ring"])
    by_ring = of_ring.groupby("ring")["at_s"]
    of_ring["ring_size"] = _group(by_ring.transform("size"), _SIZES, is_most=False)
    lasts = (by_ring.transform("max") - by_ring.transform("min")) / 86_400
    of_ring["ring_days"] = _group(lasts, _DAYS, is_most=True)
    groups = of_ring.groupby(["ring_size", "ring_days"], observed=True)
    rings = groups.agg(accounts=("ring", "size"), flagged=("flagged", "mean"), blocked=("blocked", "mean"))
    rings = rings.reset_index().astype({"ring_size": object, "ring_days": object})
    rings.insert(0, "world", name)
    return world, rings


def _group(values: pd.Series, bounds: Mapping[str, float], *, is_most: bool) -> pd.Series:
    edges = [-np.inf, *bounds.values()]
    return pd.cut(values, edges, labels=list(bounds), right=is_most)


def write_worlds(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """Replace `WORLD_TABLES`; return their rows. folder: cache of evaluations made by modified code."""
    frames = evaluated(EVALUATION, folder)
    with transaction(connection):
        for table in WORLD_TABLES:
            connection.register("result_frame", frames[table])
            connection.execute(f"create or replace table {table} as select * from result_frame")
            connection.unregister("result_frame")
    return {table: len(frames[table]) for table in WORLD_TABLES}


EVALUATION = Evaluation(
    "abuse_worlds",
    ["quintet.promotions.ring_worlds"],
    lambda: dict(zip(WORLD_TABLES, measure_worlds(), strict=True)),
)
"""The scorecard on worlds with known rings."""
