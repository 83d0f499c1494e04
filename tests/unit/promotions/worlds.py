"""Small worlds of sign-ups for the tests of the abuse detector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from quintet.promotions.accounts import Accounts, SignUp, Usage, accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.online_index import Judgement, OnlineIndex, Query
from quintet.promotions.policy import Policy, read_policy
from quintet.promotions.profile import Population
from quintet.promotions.score import scored
from quintet.samples.promotions import PromotionsWorld, make_sample

RINGS = {"malformed_share": 0.0, "use_lag_informative": False}
"""Abusers form rings and have honest profiles; the time from sign-up to use carries no information."""
FEW_ALONE = RINGS | {"lone_share": 0.012}
"""A tenth of the abusers have one account; the others have nine each, so this is 1.2% of the accounts."""
HARD = RINGS | {"device_sharing": 0.3, "ip_sharing": 0.3, "lone_share": 0.25}


def world(seed: int, users: int, **changes: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return users and usages, typed as in the marts, and the truth by user_id (is_abuser, ring_id, why)."""
    sample = make_sample(PromotionsWorld(users=users, usages=users, **changes), seed)
    rows, _, usages = (file.rows for file in sample.files)
    typed = rows.assign(created_at=pd.to_datetime(rows["created_at"]), dob=pd.to_datetime(rows["dob"]))
    return typed, usages.astype({"promo_code": str}), sample.truth["promo_users"].set_index("user_id")


@cache
def small_world() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return 2,500 users, a fifth of them abusers of all kinds."""
    return world(11, 2_500, abuser_share=0.2)


def accounts(*rows: dict[str, Any], usages: list[tuple[str, str, str]] | None = None) -> Accounts:
    """Return the accounts of a few rows; usages are user_id, promo_code, used_at."""
    users = pd.DataFrame(list(rows))
    if "created_at" in users:
        users["created_at"] = pd.to_datetime(users["created_at"], format="ISO8601")
    if "dob" in users:
        users["dob"] = pd.to_datetime(users["dob"], format="ISO8601")
    if usages is None:
        return accounts_of(users)
    used = pd.DataFrame(usages, columns=["user_id", "promo_code", "used_at"])
    return accounts_of(users, used.assign(used_at=pd.to_datetime(used["used_at"], format="ISO8601")))


def requests(users: pd.DataFrame, usages: pd.DataFrame) -> list[tuple[SignUp, list[Usage]]]:
    """Return the rows as single sign-ups with their usages."""
    uses: dict[str, list[Usage]] = {}
    for user_id, code, used_at in zip(usages["user_id"], usages["promo_code"], usages["used_at"], strict=True):
        uses.setdefault(user_id, []).append(Usage(user_id, code, used_at.to_pydatetime()))
    rows = users.astype(object).where(users.notna(), None).to_dict("records")
    return [(SignUp.of(row), uses.get(row["user_id"], [])) for row in rows]


def score_batch(
    users: pd.DataFrame | pa.Table, usages: pd.DataFrame | pa.Table | None, model: AbuseModel, policy: Policy
) -> pd.DataFrame:
    """Return the scores of the users as a run writes them."""
    everybody = accounts_of(users, usages)
    return scored(everybody, gather(everybody, model.population), model, policy).scores


def judge_and_add(index: OnlineIndex, sign_up: SignUp, usages: Sequence[Usage] = ()) -> Judgement:
    """Score a sign-up and let it join the index."""
    return index.judge_in_turn([Query(sign_up, usages, joins=True)])[0]


def write_snapshot(file: Path) -> Path:
    """Write a snapshot of fifty users with a scorecard, and make it the current one of its folder."""
    users, usages, _ = small_world()
    users, policy = users.head(50), read_policy()
    file.parent.mkdir()
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema marts; create schema ml")
        for name, frame in (("fct_promo_users", users), ("fct_promo_usages", usages)):
            connection.register("given", pa.Table.from_pandas(frame, preserve_index=False))
            connection.execute(f"create table marts.{name} as select * from given").fetchall()
        model = scorecard(Population.of(accounts_of(users, usages)))
        connection.execute(
            "create table ml.abuse_model as select ? as content, ? as review_from, ? as block_from, ? as reason_from",
            [model.to_json(), policy.review_from, policy.block_from, policy.reason_from],
        ).fetchall()
        connection.execute(
            "create table marts.snapshot as select 'one' as snapshot_id, timestamp '2026-01-01' as published_at"
        ).fetchall()
    (file.parent / "current.duckdb").symlink_to(file.name)
    return file
