"""Promo abuse in process: a batch over a million users, and sign-ups judged one at a time beside them.

`python -m bench.abuse_batch` takes about five minutes, most of which generates the users; `--users 100000` takes a
tenth. The score over HTTP is another benchmark's.
"""

from __future__ import annotations

import argparse
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

_MOST_SECONDS, _MOST_GIGABYTES = 120, 4.0
_MOST_MILLISECONDS = 5.0  # half of what an answer over HTTP may take
_JUDGED = 5_000


def main() -> int:
    """Measure, print, and give 0 if all limits are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="folder that the generated users and usages are written to")
    arguments = parser.parse_args()
    users, usages = _world(arguments.users)
    if arguments.keep:
        users.to_parquet(arguments.keep / "users.parquet")
        usages.to_parquet(arguments.keep / "usages.parquet")
    before = _peak_gigabytes()
    started = time.perf_counter()
    accounts = accounts_of(users, usages)
    model, policy = scorecard(Population.of(accounts)), read_policy()
    scores = scored(accounts, gather(accounts, model.population), model, policy).scores
    batch_seconds, peak = time.perf_counter() - started, _peak_gigabytes()
    print(f"batch: {len(scores):,} accounts in {batch_seconds:.1f} s, {peak:.2f} GB at most ({before:.2f} GB before)")
    started = time.perf_counter()
    index = OnlineIndex(accounts, model, policy)
    print(f"index: built in {time.perf_counter() - started:.1f} s")
    milliseconds = _judged(index, users.sample(_JUDGED, random_state=0), usages)
    middle, most = np.percentile(milliseconds, [50, 99])
    print(f"online: {middle:.2f} ms at p50, {most:.2f} ms at p99, {1_000 / milliseconds.mean():,.0f} a second")
    kept = batch_seconds <= _MOST_SECONDS and peak <= _MOST_GIGABYTES and most <= _MOST_MILLISECONDS
    limits = f"{_MOST_SECONDS} s, {_MOST_GIGABYTES} GB, {_MOST_MILLISECONDS} ms at p99"
    print(f"limits: {limits}: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def _world(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A generated world, typed as the marts are."""
    sample = make_sample(PromotionsWorld(users=count, usages=count), seed=1)
    users, _, usages = (file.rows for file in sample.files)
    return users.assign(created_at=pd.to_datetime(users["created_at"]), dob=pd.to_datetime(users["dob"])), usages


def _judged(index: OnlineIndex, users: pd.DataFrame, usages: pd.DataFrame) -> np.ndarray:
    """Milliseconds of each judgement."""
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
    sys.exit(main())
