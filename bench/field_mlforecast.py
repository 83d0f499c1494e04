"""Forecast premium with mlforecast, and its sums made coherent by hierarchicalforecast; `python field_mlforecast.py F`.

One ridge regression on the last two years of all series; minimum trace reconciles lines of business and their agencies.
"""

import sys
from pathlib import Path

import pandas as pd
from field_panel import measure
from hierarchicalforecast.core import HierarchicalReconciliation
from hierarchicalforecast.methods import MinTrace
from hierarchicalforecast.utils import aggregate
from mlforecast import MLForecast
from mlforecast.target_transforms import LocalStandardScaler
from sklearn.linear_model import Ridge

_LINE = "line"
_LAGS = [1, 2]


def forecast(past: pd.DataFrame) -> pd.DataFrame:
    """Return the next year of each series: "Ridge", and "Ridge, MinTrace" from the reconciled hierarchy."""
    last = int(past["ds"].max())
    whole = past.pivot_table(index="unique_id", columns="ds", values="y", aggfunc="sum").fillna(0.0)
    dense = whole.stack().rename("y").reset_index()
    dense[_LINE] = dense["unique_id"].str.extract(r"([^0-9]+)$", expand=False).fillna("all")
    history, sums, tags = aggregate(dense.rename(columns={"unique_id": "series"}), [[_LINE], [_LINE, "series"]])
    model = MLForecast(models={"Ridge": Ridge()}, freq=1, lags=_LAGS, target_transforms=[LocalStandardScaler()])
    made = model.fit(history, id_col="unique_id", time_col="ds", target_col="y").predict(1)
    method = MinTrace(method="wls_struct")
    coherent = HierarchicalReconciliation(reconcilers=[method]).reconcile(
        Y_hat_df=made, tags=tags, S_df=sums, Y_df=history
    )
    (reconciled,) = (name for name in coherent if name.startswith("Ridge/"))
    found = coherent.assign(unique_id=coherent["unique_id"].str.rpartition("/")[2])
    found = found[found["unique_id"].isin(whole.index[whole[last] != 0])]
    return found[["unique_id", "Ridge", reconciled]].rename(columns={reconciled: "Ridge, MinTrace"})


if __name__ == "__main__":
    measure(Path(sys.argv[1]), forecast)
