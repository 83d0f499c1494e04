"""Forecast premium with mlforecast, and its sums made coherent by hierarchicalforecast; `python field_mlforecast.py F`.

A ridge regression on the last two years of all series, whose sums minimum trace makes coherent; and one on the growth
of premium and of policies, which is what the project's own forecast sees of these series.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from field_panel import measure
from hierarchicalforecast.core import HierarchicalReconciliation
from hierarchicalforecast.methods import MinTrace
from hierarchicalforecast.utils import aggregate
from mlforecast import MLForecast
from mlforecast.target_transforms import Differences, GlobalSklearnTransformer, LocalStandardScaler
from sklearn.linear_model import Ridge
from sklearn.preprocessing import FunctionTransformer

_LINE = "line"
_LAGS = [1, 2]
_POLICIES = "policies_before"


def forecast(past: pd.DataFrame) -> pd.DataFrame:
    """Return the next year of each series: "Ridge", "Ridge, MinTrace" and "Ridge of growth, policies"."""
    last = int(past["ds"].max())
    whole = past.pivot_table(index="unique_id", columns="ds", values="y", aggfunc="sum").fillna(0.0)
    dense = whole.stack().rename("y").reset_index()
    found = _coherent(dense).merge(_with_policies(past, last), on="unique_id", how="left")
    return found[found["unique_id"].isin(whole.index[whole[last] != 0])]


def _coherent(dense: pd.DataFrame) -> pd.DataFrame:
    lines = dense["unique_id"].str.extract(r"([^0-9]+)$", expand=False).fillna("all")
    series = dense.assign(**{_LINE: lines}).rename(columns={"unique_id": "series"})
    history, sums, tags = aggregate(series, [[_LINE], [_LINE, "series"]])
    model = MLForecast(models={"Ridge": Ridge()}, freq=1, lags=_LAGS, target_transforms=[LocalStandardScaler()])
    made = model.fit(history, id_col="unique_id", time_col="ds", target_col="y").predict(1)
    method = MinTrace(method="wls_struct")
    coherent = HierarchicalReconciliation(reconcilers=[method]).reconcile(
        Y_hat_df=made, tags=tags, S_df=sums, Y_df=history
    )
    (reconciled,) = (name for name in coherent if name.startswith("Ridge/"))
    found = coherent.assign(unique_id=coherent["unique_id"].str.rpartition("/")[2])
    return found[["unique_id", "Ridge", reconciled]].rename(columns={reconciled: "Ridge, MinTrace"})


def _with_policies(past: pd.DataFrame, last: int) -> pd.DataFrame:
    """Forecast the growth of premium by its last growth and by that of policies in the year before."""
    rows = past.sort_values(["unique_id", "ds"])
    before = rows.groupby("unique_id")["policy_growth"].shift()
    history = rows.assign(**{_POLICIES: before.fillna(0.0)})[["unique_id", "ds", "y", _POLICIES]]
    scale = GlobalSklearnTransformer(FunctionTransformer(np.arcsinh, np.sinh))
    model = MLForecast(models={"R": Ridge(alpha=0.01)}, freq=1, lags=[1], target_transforms=[scale, Differences([1])])
    now = rows[rows["ds"] == last]
    following = pd.DataFrame({"unique_id": now["unique_id"], "ds": last + 1, _POLICIES: now["policy_growth"]})
    alive = history[history["unique_id"].isin(now["unique_id"])]
    made = model.fit(alive, static_features=[]).predict(1, X_df=following)
    return made.rename(columns={"R": "Ridge of growth, policies"})[["unique_id", "Ridge of growth, policies"]]


if __name__ == "__main__":
    measure(Path(sys.argv[1]), forecast, 4)
