"""The separate process of `bench/abuse.py`: score many users in a batch, then judge sign-ups one at a time.

Arguments: the number of users, and the folder for users, usages and the measured figures.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from quintet.promotions.accounts import SignUp, Usage, accounts_of
from quintet.promotions.evidence import gather
from quintet.promotions.model import scorecard
from quintet.promotions.online_index import OnlineIndex
from quintet.promotions.policy import read_policy
from quintet.promotions.profile import Population
from quintet.promotions.score import scored
from quintet.samples.promotions import PromotionsWorld, make_sample

FIGURES = "figures.json"
_JUDGED = 5_000


def measure(count: int, folder: Path) -> None:
    """Generate the users, score them all, and judge some; write users.parquet, usages.parquet and figures.json."""
    users, usages = _world(count)
    users.to_parquet(folder / "users.parquet")
    usages.to_parquet(folder / "usages.parquet")
    before = _peak_gigabytes()
    started = time.perf_counter()
    accounts = accounts_of(users, usages)
    model, policy = scorecard(Population.of(accounts)), read_policy()
    scores = scored(accounts, gather(accounts, model.population), model, policy).scores
    figures = {
        "accounts": len(scores),
        "batch_seconds": time.perf_counter() - started,
        "peak_gb": _peak_gigabytes(),
        "peak_before_gb": before,
    }
    started = time.perf_counter()
    index = OnlineIndex(accounts, model, policy)
    figures["index_seconds"] = time.perf_counter() - started
    milliseconds = _judged(index, users.sample(min(_JUDGED, count), random_state=0), usages)
    figures["p50_ms"], figures["p99_ms"] = (float(value) for value in np.percentile(milliseconds, [50, 99]))
    (folder / FIGURES).write_text(json.dumps(figures), "utf-8")


def _world(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a generated world, typed as the marts are."""
    sample = make_sample(PromotionsWorld(users=count, usages=count), seed=1)
    users, _, usages = (file.rows for file in sample.files)
    return users.assign(created_at=pd.to_datetime(users["created_at"]), dob=pd.to_datetime(users["dob"])), usages


def _judged(index: OnlineIndex, users: pd.DataFrame, usages: pd.DataFrame) -> np.ndarray:
    """Return the milliseconds of each judgement."""
    used = usages.set_index("user_id").loc[lambda rows: rows.index.isin(users["user_id"])]
    times = []
    for row in users.to_dict("records"):
        sign_up = SignUp.of(row)
        uses = []
        if sign_up.user_id in used.index:
            use = used.loc[sign_up.user_id]
            uses = [Usage(sign_up.user_id, str(use["promo_code"]), use["used_at"].to_pydatetime())]
        started = time.perf_counter()
        index.judge(sign_up, uses)
        times.append(time.perf_counter() - started)
    return np.array(times) * 1_000


def _peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    measure(int(sys.argv[1]), Path(sys.argv[2]))
