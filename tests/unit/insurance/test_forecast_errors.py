"""The joint distribution of errors: coverage of agencies, lines and total, and coherence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.insurance.forecast_errors import BANDS, FEWEST_YEARS, ErrorDistribution, error_distribution

_YEARS = 8


def panel(rng: np.random.Generator, agencies: int = 30, years: int = _YEARS, shock: float = 0.05) -> pd.DataFrame:
    """Return `years` years and one more; agencies of a line share a shock of the year, and commercial lines swing more.

    Premium is forecast to stay, and its error grows for small agencies.
    """
    cells = pd.MultiIndex.from_product([range(agencies), ["CL", "PL"]], names=["agency_id", "prod_line"]).to_frame(
        False
    )
    premium = rng.lognormal(11, 1, len(cells))
    line = (cells["prod_line"] == "CL").to_numpy()
    spread = np.where(line, 0.3, 0.1) * np.where(premium < np.median(premium), 1.3, 0.8)
    rows = []
    for year in range(years + 1):
        of_line = rng.normal(0, shock, 2) + rng.normal(0, shock)
        actual = premium * (1 + of_line[line.astype(int)] + spread * rng.normal(0, 1, len(cells)))
        rows.append(cells.assign(year=year, premium=premium, forecast=premium, actual=actual))
    return pd.concat(rows, ignore_index=True)


def split(rows: pd.DataFrame) -> tuple[ErrorDistribution, pd.DataFrame]:
    last = rows["year"].max()
    errors = error_distribution(rows[rows["year"] < last])
    assert errors is not None
    return errors, rows[rows["year"] == last].reset_index(drop=True)


def without_line_that_ended(rows: pd.DataFrame) -> pd.DataFrame:
    ended = rows[rows["prod_line"] == "PL"].assign(prod_line="ended")
    return pd.concat([rows, ended[ended["year"] < _YEARS]], ignore_index=True)


def with_line_that_began(rows: pd.DataFrame) -> pd.DataFrame:
    began = rows[rows["prod_line"] == "PL"].assign(prod_line="began")
    return pd.concat([rows, began[began["year"] >= _YEARS - 1]], ignore_index=True)


def with_shock_year(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(actual=rows["actual"].mask(rows["year"] == 2, 0.7 * rows["premium"]))


def as_it_is(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def held(rows: pd.DataFrame, bands: pd.DataFrame, level: int = 80) -> pd.Series:
    return rows["actual"].between(bands[f"lo{level}"], bands[f"hi{level}"])


@pytest.mark.parametrize(
    ("change", "agencies", "years"),
    [
        (as_it_is, 30, 8),
        (as_it_is, 30, 3),
        (as_it_is, 10, 8),
        (without_line_that_ended, 30, 8),
        (with_line_that_began, 30, 8),
        (with_shock_year, 30, 8),
    ],
    ids=["usual", "short_history", "few_agencies", "line_ended", "line_began", "shock_year"],
)
def test_the_bands_of_every_line_hold_their_share(
    change: Callable[[pd.DataFrame], pd.DataFrame], agencies: int, years: int
) -> None:
    rng, found = np.random.default_rng(11), []
    for _ in range(12):
        errors, now = split(change(panel(rng, agencies, years, shock=0.01)))
        found.append(now.assign(held=held(now, errors.bands(now))))
    by_line = pd.concat(found).groupby("prod_line")["held"].mean()

    # Few errors, and those of a shock, give bands that hold more than they promise, never less.
    most = 0.95 if change is with_shock_year else 0.86 if agencies > 10 else 0.89
    assert by_line[["CL", "PL"]].between(0.74, most).all(), by_line


def test_bands_that_ignore_the_line_hold_too_much_of_one_and_too_little_of_the_other() -> None:
    rng, found = np.random.default_rng(11), []
    for _ in range(12):
        rows = panel(rng, shock=0.01)
        errors, now = split(rows.assign(prod_line="one"))
        found.append(now.assign(held=held(now, errors.bands(now)), prod_line=split(rows)[1]["prod_line"]))
    by_line = pd.concat(found).groupby("prod_line")["held"].mean()

    assert not by_line.between(0.74, 0.86).any()


@pytest.mark.parametrize("shock", [0.0, 0.08])
def test_bands_of_lines_and_total_hold_their_share_and_those_of_independent_agencies_do_not(shock: float) -> None:
    rng = np.random.default_rng(5)
    kept: dict[str, list[bool]] = {"CL": [], "PL": [], "all": [], "independent": []}
    for _ in range(30):
        errors, now = split(panel(rng, shock=shock))
        for group in (now["prod_line"], pd.Series("all", index=now.index)):
            sums = now.groupby(group)[["actual"]].sum()
            for name, is_held in held(sums, errors.bands_of_sums(now, group)).items():
                kept[str(name)].append(bool(is_held))
        apart = ErrorDistribution(errors.by_line, errors.all_lines, {}, 0.0, 0.0, errors.years)
        kept["independent"].append(bool(held(sums, apart.bands_of_sums(now, group)).item()))
    shares = {name: float(np.mean(each)) for name, each in kept.items()}

    assert all(0.7 <= shares[name] <= 0.95 for name in ("CL", "PL", "all")), shares
    assert (shares["independent"] < 0.6) is (shock > 0), shares


def test_a_sum_of_one_row_has_the_band_of_the_row() -> None:
    errors, now = split(panel(np.random.default_rng(2), agencies=100))
    each, alone = errors.bands(now), errors.bands_of_sums(now, pd.Series(range(len(now))))

    ratio = (alone["hi80"] - alone["lo80"]).to_numpy() / (each["hi80"] - each["lo80"]).to_numpy()
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)
    assert ratio.std() < 0.1


@settings(max_examples=8, deadline=None)
@given(
    lines=st.lists(st.sampled_from(["CL", "PL", "XL"]), min_size=1, max_size=12),
    amounts=st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12),
    seed=st.integers(0, 99),
)
def test_whatever_the_lines_every_band_holds_its_forecast_and_the_total_is_no_wider_than_its_lines(
    lines: list[str], amounts: list[float], seed: int
) -> None:
    errors, _ = split(panel(np.random.default_rng(seed), agencies=6))
    now = pd.DataFrame({"prod_line": lines, "premium": 1e5, "forecast": amounts[: len(lines)]})
    each = errors.bands(now)
    total = errors.bands_of_sums(now, pd.Series(["all"] * len(now))).iloc[0]
    by_line = errors.bands_of_sums(now, now["prod_line"])

    for bands, forecast in ((each, now["forecast"]), (by_line, now.groupby("prod_line")["forecast"].sum())):
        assert (bands["lo95"] <= bands["lo80"]).all()
        assert (bands["lo80"] <= forecast).all()
        assert (forecast <= bands["hi80"]).all()
        assert (bands["hi80"] <= bands["hi95"]).all()
    # The total's draws are the sums of the lines' draws: never wider than all lines at their ends together.
    assert total["hi95"] - total["lo95"] <= (by_line["hi95"] - by_line["lo95"]).sum() * 1.05 + 1e-6


@settings(max_examples=25, deadline=None)
@given(errors=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80), premium=st.floats(-1e7, 1e7))
def test_whatever_the_errors_a_band_holds_its_forecast_and_the_wider_one_the_narrower(
    errors: list[float], premium: float
) -> None:
    rows = pd.DataFrame(
        {"year": np.arange(len(errors)) // 9, "prod_line": "CL", "premium": 1.0 + np.arange(len(errors))}
    )
    found = error_distribution(rows.assign(actual=errors, forecast=0.0))
    assert found is not None
    band = found.bands(pd.DataFrame({"prod_line": ["CL"], "premium": [premium], "forecast": [7.0]})).iloc[0]

    assert band["lo95"] <= band["lo80"] <= 7.0 <= band["hi80"] <= band["hi95"]


def test_few_errors_give_wider_bands_than_their_own_range() -> None:
    rows = pd.DataFrame(
        {"year": [1, 2, 3], "prod_line": "CL", "premium": 1.0, "forecast": 1.0, "actual": [0.9, 1.1, 1.0]}
    )
    found = error_distribution(rows)
    assert found is not None
    band = found.bands(pd.DataFrame({"prod_line": ["CL"], "premium": [1.0], "forecast": [1.0]})).iloc[0]

    assert band["lo95"] < 0.8
    assert band["hi95"] > 1.2


def test_sums_have_no_bands_below_three_years() -> None:
    for years in (FEWEST_YEARS - 1, FEWEST_YEARS):
        errors, now = split(panel(np.random.default_rng(1), years=years))
        found = errors.bands_of_sums(now, now["prod_line"])[BANDS].isna()
        assert bool(found.all(axis=None)) is (years < FEWEST_YEARS)


def test_without_a_past_there_is_no_distribution() -> None:
    assert error_distribution(panel(np.random.default_rng(1)).head(0)) is None
