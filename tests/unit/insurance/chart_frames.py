"""Frames for tests of the insurance charts."""

import pandas as pd
import vl_convert

from quintet.presentation.design import Figure, vega_config
from quintet.presentation.report_charts import VEGA_LITE


def summary(*rows: dict) -> pd.DataFrame:
    """Return rows as `performance.summary_frame` does; other values are those of an ordinary row."""
    ordinary = {
        "rows": 1,
        "agencies": 1,
        "months_covered": 12,
        "written_premium": 1_000_000.0,
        "new_business_premium": 100_000.0,
        "incurred_losses": 500_000.0,
        "policies_in_force": 100,
        "loss_ratio": 0.5,
        "retention_ratio": 0.9,
        "growth_rate": 0.1,
        "loss_ratio_numerator": 500_000.0,
        "loss_ratio_denominator": 1_000_000.0,
    }
    full = [ordinary | row for row in rows]
    for row in full:
        months, year = row["months_covered"], row.get("year")
        short = [{"year": year, "months_covered": months, "reason": "short"}] if year and months < 12 else []
        row.setdefault("short_years", short)
    return pd.DataFrame(full).astype({"months_covered": "Int64", "policies_in_force": "Int64"})


def by_line_and_year(*rows: dict) -> pd.DataFrame:
    return summary(*({"prod_line": "CL", "year": 2010} | row for row in rows)).astype({"year": "Int64"})


def by_state_and_year(*rows: dict) -> pd.DataFrame:
    return summary(*({"state_abbr": "OH", "year": 2010} | row for row in rows)).astype({"year": "Int64"})


def by_agency(*rows: dict) -> pd.DataFrame:
    return summary(*({"agency_id": number} | row for number, row in enumerate(rows, 1))).astype({"agency_id": "Int64"})


LINES = by_line_and_year(
    {"year": 2005, "months_covered": 8, "written_premium": 5e6},
    {"year": 2006, "written_premium": 7e6},
    {"year": 2007, "written_premium": 7.5e6},
    {"year": 2005, "prod_line": "PL", "months_covered": 8, "written_premium": 8e6},
    {"year": 2006, "prod_line": "PL", "written_premium": 11e6},
    {"year": 2007, "prod_line": "PL", "written_premium": 10.5e6},
)
STATES = by_state_and_year(
    {"loss_ratio": 0.3},
    {"year": 2011, "loss_ratio": 1.4},
    {"state_abbr": "MI", "loss_ratio": -110.0, "written_premium": 900.0},
    {"state_abbr": "MI", "year": 2011, "loss_ratio": None, "written_premium": 0.0},
)
AGENCIES = by_agency(
    {"written_premium": 4e6},
    {"written_premium": 2e6, "loss_ratio": 3.5, "incurred_losses": 7e6},
    {"written_premium": 2e6, "loss_ratio": 0.9},
    {"written_premium": 0.0, "loss_ratio": None},
)
FORECAST = pd.DataFrame(
    {
        "prod_line": ["CL", "PL"],
        "year": [2008, 2008],
        "forecast": [7.6e6, 10.4e6],
        "lo80": [7e6, None],
        "hi80": [8e6, None],
        "lo95": [6.5e6, None],
        "hi95": [8.5e6, None],
        "model": ["naive", "naive"],
    }
)
SCORES = pd.DataFrame(
    {
        "model": ["forest", "naive", "best_so_far", "forest", "naive"],
        "year": pd.array([None, None, None, 2014, 2014], dtype="Int64"),
        "wape": [0.12, 0.14, 0.13, 0.11, 0.15],
        "coverage80": [0.8, 0.79, 0.8, 0.8, 0.7],
        "coverage95": [0.95, 0.94, 0.95, 0.95, 0.9],
        "n": [400, 400, 400, 80, 80],
        "is_chosen": [True, False, False, True, False],
        "explanation": ["The forecast is a forest of trees: 14% below the last complete year.", None, None, None, None],
    }
)
SEGMENTS = pd.DataFrame(
    {
        "segment": ["repair", "keep"],
        "rule": ["Loss ratio is 70% or more.", "The rest."],
        "agencies": [1, 3],
        "written_premium": [1e6, 3e6],
        "loss_ratio": [0.9, 0.4],
    }
)


def data_of(figure: Figure) -> list[dict]:
    return [row for rows in figure.spec()["datasets"].values() for row in rows]


def drawn(figure: Figure) -> str:
    return vl_convert.vegalite_to_svg(figure.spec(), vl_version=VEGA_LITE, config=vega_config("light"))
