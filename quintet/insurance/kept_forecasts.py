"""Keep the backtest's forecasts of each past year, so that a run repeats only those whose data or code have changed.

Fitting the candidates at every past year takes most of the time of a forecast, and a new file changes few years.
"""

from __future__ import annotations

import hashlib

import duckdb
import pandas as pd

from quintet.code_version import code_version
from quintet.insurance.forecast_backtest import empty_forecasts, forecasts_at

_TABLE = "ops.premium_backtest_forecasts"
_MODULE = "quintet.insurance.forecast_backtest"


class KeptForecasts:
    """Forecasts by a digest of what they are made from: those of the run before, and those of this one.

    version: the code version of the forecasts. before: the forecasts of the run before, by digest.
    """

    def __init__(self, version: str, before: dict[str, pd.DataFrame]) -> None:
        self._version, self._before = version, before
        self._now: dict[str, pd.DataFrame] = {}

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> KeptForecasts:
        """Read the forecasts of the run before from the warehouse."""
        connection.execute(f"create table if not exists {_TABLE} as {_SELECT_NONE}")
        found = connection.execute(f"from {_TABLE} order by place").df()
        types = empty_forecasts().dtypes
        before = {
            str(digest): rows[types.index.tolist()].astype(types).reset_index(drop=True)
            for digest, rows in found.groupby("digest")
        }
        return cls(code_version(_MODULE), before)

    def at(self, panel: pd.DataFrame, origin: int) -> pd.DataFrame:
        """Return the forecasts at a year, as `forecasts_at`; fit the candidates only if the data until it are new."""
        digest = self._digest(panel[panel["year"] <= origin], origin)
        if digest not in self._now:
            kept = self._before.get(digest)
            self._now[digest] = forecasts_at(panel, origin) if kept is None else kept
        return self._now[digest]

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace the kept forecasts by those of this run, or none: a kill before it costs the next run some time."""
        frames = [frame.assign(digest=digest) for digest, frame in self._now.items()]
        kept = pd.concat([empty_forecasts().assign(digest=""), *frames], ignore_index=True)
        connection.register("kept", kept.assign(place=range(len(kept))))
        connection.execute(f"create or replace table {_TABLE} as {_SELECT} from kept")
        connection.unregister("kept")

    def _digest(self, known: pd.DataFrame, origin: int) -> str:
        rows = pd.util.hash_pandas_object(known, index=False).to_numpy().tobytes()
        about = f"{self._version} {origin} {known.dtypes.to_dict()}"
        return hashlib.sha256(about.encode() + rows).hexdigest()


_TYPES = {
    "digest": "varchar",
    "place": "bigint",
    "model": "varchar",
    "origin_year": "bigint",
    "year": "bigint",
    "agency_id": "bigint",
    "prod_line": "varchar",
    "premium": "double",
    "actual": "double",
    "forecast": "double",
}
_SELECT = "select " + ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in _TYPES.items())
_SELECT_NONE = "select " + ", ".join(f"cast(null as {kind}) as {name}" for name, kind in _TYPES.items()) + " limit 0"
