"""Two periods of complete years compared, in the agencies that have premium in both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb
import pandas as pd

from quintet.insurance.performance import Filters, QueryError, summary_frame

Period = tuple[int, int]
"""The first and the last year, both included."""

COLUMNS = (
    *("agency_id", "premium_before", "premium_now", "change", "growth"),
    *("loss_ratio_before", "loss_ratio_now", "is_comparable"),
)


@dataclass(frozen=True)
class Comparison:
    """Two periods compared.

    agencies: `COLUMNS`, the largest change first; amounts are USD of an average year. Of an agency without premium in
    one of the periods there is no growth, and it counts in no total. before, now: the totals of comparable agencies.
    """

    agencies: pd.DataFrame
    before: float
    now: float

    @property
    def comparable(self) -> int:
        """Return how many agencies have premium in both periods."""
        return int(self.agencies["is_comparable"].sum())

    @property
    def growth(self) -> float | None:
        """Return the growth of comparable agencies; None without premium above zero before."""
        return self.now / self.before - 1 if self.before > 0 else None


def complete_years(cursor: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the years of which the data covers all months."""
    rows = cursor.execute("select year from marts.dim_year where is_complete order by year").fetchall()
    return [int(year) for (year,) in rows]


def compare_periods(cursor: duckdb.DuckDBPyConnection, filters: Filters, before: Period, now: Period) -> Comparison:
    """Return the agencies of a selection in two periods. filters: their years are ignored.

    Raises QueryError for a period with a year that is not complete: part of a year cannot be compared with a whole one.
    """
    complete = set(complete_years(cursor))
    for name, (first, last) in (("before_from", before), ("now_from", now)):
        if first > last:
            raise QueryError(name, f"{first} is after {last}; swap the two")
        short = [year for year in range(first, last + 1) if year not in complete]
        if short:
            raise QueryError(name, f"{short[0]} is not complete; choose complete years: {_ends(complete)}")
    one, other = (_of_period(cursor, filters, period) for period in (before, now))
    both = one.merge(other, on="agency_id", how="outer", suffixes=("_before", "_now"))
    is_comparable = (both["premium_before"] > 0) & both["premium_now"].notna()
    both["is_comparable"] = is_comparable
    both["change"] = (both["premium_now"] - both["premium_before"]).where(is_comparable)
    both["growth"] = (both["premium_now"] / both["premium_before"] - 1).where(is_comparable)
    ordered = both.assign(size=both["change"].abs()).sort_values(["size", "agency_id"], ascending=[False, True])
    kept = both[is_comparable]
    agencies = ordered.reset_index(drop=True)[list(COLUMNS)]
    return Comparison(agencies, float(kept["premium_before"].sum()), float(kept["premium_now"].sum()))


def _of_period(cursor: duckdb.DuckDBPyConnection, filters: Filters, period: Period) -> pd.DataFrame:
    first, last = period
    found = summary_frame(cursor, replace(filters, year_from=first, year_to=last), ["agency"])
    return pd.DataFrame(
        {
            "agency_id": found["agency_id"],
            "premium": found["written_premium"] / (last - first + 1),
            "loss_ratio": found["loss_ratio"],
        }
    )


def _ends(years: set[int]) -> str:
    return f"{min(years)} to {max(years)}" if years else "there are none"
