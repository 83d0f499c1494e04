"""Sample agency performance: yearly rows by agency, product and state, with the agency's attributes on each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import generator

UNKNOWN = 99999.0
"""Unknown or undefined; as a loss ratio: written premium of zero or less."""
LOSSES_WITHOUT_PREMIUM = 99998.0
"""As a loss ratio: nothing written, losses above zero."""
RECOVERY_WITHOUT_PREMIUM = 99997.0
"""As a loss ratio: nothing written, losses below zero."""

_YEARS = np.arange(2005, 2016)
_SHORT_YEAR_MONTHS = {2005: 8, 2015: 5}
_YEARS_OF_EARLY_ENDS = (2008, 2012)

_STATES = ("OH", "IN", "KY", "PA", "WV", "MI")
_STATE_WEIGHTS = np.array([46, 21, 14, 13, 4, 2]) / 100

# Product, line, how often agencies write it, premium by policy (USD; commercial lines report no policies).
_PRODUCTS = (
    ("COMMAUTO", "CL", 70, 0),
    ("GENERALIAB", "CL", 65, 0),
    ("FIREALLIED", "CL", 62, 0),
    ("COMMPOL", "CL", 59, 0),
    ("BOILERMACH", "CL", 58, 0),
    ("COMMINLMAR", "CL", 57, 0),
    ("BOP", "CL", 48, 0),
    ("COMMUMBREL", "CL", 44, 0),
    ("WORKCOMP", "CL", 38, 0),
    ("GARAGE", "CL", 38, 0),
    ("CRIME", "CL", 33, 0),
    ("HOMEOWNERS", "PL", 68, 60),
    ("ANNIV", "PL", 65, 97),
    ("DWELLFIRE", "PL", 46, 41),
    ("MOTORHOME", "PL", 45, 17),
    ("PERSUMBREL", "PL", 42, 20),
    ("DTALK", "PL", 32, 57),
    ("MOBILEHOME", "PL", 32, 29),
    ("CYCLES", "PL", 31, 27),
    ("YACHT", "PL", 23, 44),
    ("ANNIV   12", "PL", 15, 119),
    ("PERSINLMAR", "PL", 9, 17),
    ("MOTORHOM12", "PL", 8, 17),
    ("SNOWMOBILE", "PL", 6, 21),
    ("CYCLES  12", "PL", 5, 32),
    ("DTALK   12", "PL", 3, 41),
    ("SNOWMOBI12", "PL", 1, 8),
)

_SYSTEMS = (  # columns of start and end year, share of agencies that started, of those that ended, first possible year
    ("PL_START_YEAR", "PL_END_YEAR", 0.5, 0.0, 2000),
    ("COMMISIONS_START_YEAR", "COMMISIONS_END_YEAR", 0.35, 0.12, 2005),
    ("CL_START_YEAR", "CL_END_YEAR", 0.32, 0.07, 2011),
    ("ACTIVITY_NOTES_START_YEAR", "ACTIVITY_NOTES_END_YEAR", 0.23, 0.15, 2013),
)

# Quoting systems by line: column ending, mean number of quotes of an agency that uses it.
_QUOTING = {
    "CL": (("MDS", 1.5), ("SBZ", 1.5), ("eQT", 1.5)),
    "PL": (("ELINKS", 15.0), ("PLRANK", 40.0), ("eQTte", 60.0), ("APPLIED", 8.0), ("TRANSACTNOW", 0.0)),
}
_SHARE_WITHOUT_QUOTES = {"CL": 0.53, "PL": 0.32}


@dataclass(frozen=True)
class AgenciesWorld:
    """Parameters of the agencies and their business.

    agencies: their number; about 120 rows each, very unequal. unknown_master_share: agencies without a known master.
    growth_sigma: yearly shock of a series' premium, in logs; yearly premium is otherwise persistent.
    """

    agencies: int = 83
    unknown_master_share: float = 0.42
    growth_sigma: float = 0.22


def _agencies(world: AgenciesWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return one row per agency: identity, attributes, quote counts; columns named as in the file."""
    count = world.agencies
    numbers = rng.choice(np.arange(1, max(9_999, 12 * count)), count, replace=False)
    numbers = np.sort(np.where(np.isin(numbers, (99_997, 99_998, 99_999)), numbers + 900_000, numbers))
    is_own_master = rng.random(count) < 0.75
    master = np.where(is_own_master, numbers, rng.choice(numbers, count))
    unknown = np.zeros(count, dtype=bool)
    unknown[rng.permutation(count)[: round(count * world.unknown_master_share)]] = True
    youngest = rng.integers(24, 58, count)
    has_vendor = rng.random(count) < 0.5
    columns: dict[str, np.ndarray] = {
        "AGENCY_ID": numbers,
        "PRIMARY_AGENCY_ID": np.where(unknown, 99_999, master),
        "AGENCY_APPOINTMENT_YEAR": _known(rng, 0.97, rng.integers(1950, 2006, count)),
        "ACTIVE_PRODUCERS": _known(rng, 0.94, 1 + rng.poisson(rng.gamma(2.0, 5.0, count))),
        "MAX_AGE": _known(rng, 0.94, youngest + rng.integers(5, 36, count)),
        "MIN_AGE": _known(rng, 0.94, youngest),
        "VENDOR_IND": np.where(has_vendor, "Y", "N"),
        "VENDOR": np.where(has_vendor, rng.choice(list("EACBG"), count, p=[0.42, 0.2, 0.28, 0.05, 0.05]), "Unknown"),
    }
    for start, end, share_started, share_ended, first in _SYSTEMS:
        started = rng.random(count) < share_started
        year = rng.integers(first, 2016, count)
        ended = started & (rng.random(count) < share_ended)
        columns[start] = np.where(started, year, UNKNOWN)
        columns[end] = np.where(ended, np.minimum(year + rng.integers(1, 5, count), 2015), UNKNOWN)
    for line, systems in _QUOTING.items():
        without = rng.random(count) < _SHARE_WITHOUT_QUOTES[line]
        for system, mean_quotes in systems:
            uses = rng.random(count) < 0.6
            quotes = np.where(uses, rng.poisson(rng.gamma(0.6, mean_quotes / 0.6 + 1e-9, count)), 0)
            bound = rng.binomial(quotes, 0.22)
            columns[f"{line}_BOUND_CT_{system}"] = np.where(without, UNKNOWN, bound)
            columns[f"{line}_QUO_CT_{system}"] = np.where(without, UNKNOWN, quotes)
    return pd.DataFrame(columns)


def _known(rng: np.random.Generator, share: float, values: np.ndarray) -> np.ndarray:
    """Return the values, with a sentinel where they are unknown."""
    return np.where(rng.random(len(values)) < share, values, UNKNOWN)


def _series(world: AgenciesWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return one row per agency (its position), product (its position) and state of its business.

    The number of series per agency comes from fixed quantiles, so that volumes hardly depend on the seed.
    """
    wanted = -np.log1p(-(np.arange(world.agencies) + 0.5) / world.agencies) * 16.3
    wanted = rng.permutation(np.maximum(np.rint(wanted), 1)).astype(int)
    states = np.minimum(1 + wanted // 14, len(_STATES))
    product_weights = np.array([weight for _, _, weight, _ in _PRODUCTS], dtype=float)
    # The least of exponential draws by weight is a weighted choice without replacement.
    state_rank = rng.exponential(1 / _STATE_WEIGHTS, (world.agencies, len(_STATES))).argsort(axis=1).argsort(axis=1)
    cells = rng.exponential(1 / product_weights, (world.agencies, len(_STATES), len(_PRODUCTS)))
    cells[state_rank >= states[:, None]] = np.inf
    cells[:, :] *= (1 + state_rank)[:, :, None]
    flat = cells.reshape(world.agencies, -1)
    is_written = flat.argsort(axis=1).argsort(axis=1) < wanted[:, None]
    agency, cell = np.nonzero(is_written & np.isfinite(flat))
    return pd.DataFrame({"agency": agency, "state": cell // len(_PRODUCTS), "product": cell % len(_PRODUCTS)})


def _years_written(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last position in `_YEARS` of each series: most are complete, some start late or end early."""
    begins = np.where(rng.random(count) < 0.68, 0, rng.integers(1, len(_YEARS), count))
    last = np.where(rng.random(count) < 0.68, len(_YEARS) - 1, rng.integers(0, len(_YEARS), count))
    crowded = rng.random(count) < 0.12
    ends_together = np.searchsorted(_YEARS, rng.choice(_YEARS_OF_EARLY_ENDS, count))
    return begins, np.maximum(begins, np.where(crowded, ends_together, last))


def world_at(scale: float) -> AgenciesWorld:
    """Return the world at a scale; 1.0 has the agencies of the public file."""
    return AgenciesWorld(agencies=max(20, round(83 * scale)))


def make_sample(world: AgenciesWorld, seed: int) -> Sample:
    """Return the agency performance file: 49 columns, unique by agency, product, state and year.

    The previous year's amounts equal the row of the year before wherever that row is in the file; they are unknown in
    a series' first row of a later year. Written premium is of the covered months; written and earned premium, losses
    and counts are consistent as in the source. There is no separate truth, as nothing is hidden.
    """
    rng = generator(seed, "agency_performance")
    agencies = _agencies(world, rng)
    series = _series(world, rng)
    shape = (len(series), len(_YEARS))
    begins, ends = (bound[:, None] for bound in _years_written(len(series), rng))
    position = np.arange(len(_YEARS))[None, :]
    is_written = (position >= begins) & (position <= ends)

    months = np.array([_SHORT_YEAR_MONTHS.get(int(year), 12) for year in _YEARS])[None, :].repeat(len(series), axis=0)
    odd = rng.random(shape) < 0.03
    months = np.where(odd, rng.integers(1, 13, shape), months)
    is_short_end = (position == ends) & np.isin(_YEARS, _YEARS_OF_EARLY_ENDS)[None, :]
    months = np.where(is_short_end, 2, months)

    price = np.array([price for _, _, _, price in _PRODUCTS])[series["product"]][:, None]
    premium = _premium(world, series, is_written, months, rng)
    policies = np.where(price > 0, np.ceil(premium / np.maximum(price, 1) * 12 / months), 0).clip(0)
    unknown_before = (position == begins) & ((position > 0) | (rng.random(shape) < 0.15))
    premium_before = np.concatenate([premium[:, :1] * rng.lognormal(0.1, 0.3, (len(series), 1)), premium[:, :-1]], 1)
    policies_before = np.concatenate([np.ceil(policies[:, :1] * 1.1), policies[:, :-1]], axis=1)
    retained = np.minimum(rng.binomial(policies_before.astype(int), 0.88), policies)
    retained = np.where(unknown_before, 0, retained)
    new_business = np.where(rng.random(shape) < 0.36, premium.clip(0) * rng.beta(1, 7, shape), 0.0)
    earned = premium * rng.normal(1.0, 0.04, shape)
    losses = _losses(premium, rng)

    at, year = np.nonzero(is_written)
    agency, product, state = (series[name].to_numpy()[at] for name in ("agency", "product", "state"))

    def written(values: np.ndarray) -> np.ndarray:
        return values[at, year]

    rows = pd.DataFrame(
        {
            "AGENCY_ID": agencies["AGENCY_ID"].to_numpy()[agency],
            "PRIMARY_AGENCY_ID": agencies["PRIMARY_AGENCY_ID"].to_numpy()[agency],
            "PROD_ABBR": np.array([code for code, _, _, _ in _PRODUCTS])[product],
            "PROD_LINE": np.array([line for _, line, _, _ in _PRODUCTS])[product],
            "STATE_ABBR": np.array(_STATES)[state],
            "STAT_PROFILE_DATE_YEAR": _YEARS[year],
            "RETENTION_POLY_QTY": written(retained).astype(int),
            "POLY_INFORCE_QTY": written(policies).astype(int),
            "PREV_POLY_INFORCE_QTY": written(np.where(unknown_before, UNKNOWN, policies_before)).astype(int),
            "NB_WRTN_PREM_AMT": written(new_business).round(2),
            "WRTN_PREM_AMT": written(premium).round(2),
            "PREV_WRTN_PREM_AMT": written(np.where(unknown_before, UNKNOWN, premium_before)).round(2),
            "PRD_ERND_PREM_AMT": written(earned).round(2),
            "PRD_INCRD_LOSSES_AMT": written(losses).round(2),
            "MONTHS": written(months),
        }
    )
    # One amount of new business that happens to equal the sentinel, or does not.
    rows.loc[rows["WRTN_PREM_AMT"].idxmax(), "NB_WRTN_PREM_AMT"] = UNKNOWN
    rows = pd.concat([rows, _ratios(rows)], axis=1)
    attributes = agencies.drop(columns=["AGENCY_ID", "PRIMARY_AGENCY_ID"]).iloc[agency].reset_index(drop=True)
    numbers = attributes.select_dtypes("number").columns
    rows = pd.concat([rows, attributes.astype(dict.fromkeys(numbers, "float64"))], axis=1)
    order = ["AGENCY_ID", "PROD_ABBR", "STATE_ABBR", "STAT_PROFILE_DATE_YEAR"]
    return Sample((SampleFile("agency_performance", "agency_performance.csv", rows.sort_values(order)),))


def _premium(
    world: AgenciesWorld, series: pd.DataFrame, is_written: np.ndarray, months: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return written premium by series and year, USD: a random walk in logs by months; some zero or negative."""
    size = rng.lognormal(0, 0.9, int(series["agency"].max()) + 1)[series["agency"]]
    level = np.log(size * rng.lognormal(np.log(3_200), 1.7, len(series)))[:, None]
    market = rng.normal(0.02, 0.03, len(_YEARS))
    yearly = level + np.cumsum(rng.normal(market, world.growth_sigma, is_written.shape), axis=1)
    premium = np.exp(yearly) * months / 12
    # A dormant series stays in the file for years without premium.
    is_dormant = np.cumsum(rng.random(is_written.shape) < 0.05, axis=1) % 2 == 1
    premium = np.where(is_dormant, 0.0, premium)
    premium = np.where(rng.random(is_written.shape) < 0.025, -rng.lognormal(5, 1.5, is_written.shape), premium)
    return np.where(is_written, premium, 0.0).round(2)


def _losses(premium: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return incurred losses by series and year, USD: mostly zero, else heavy-tailed; reserve releases are negative."""
    has_losses = rng.random(premium.shape) < np.where(premium > 0, 0.1 + 0.5 * premium / (premium + 9_000), 0.06)
    losses = (premium.clip(500) ** 0.9) * rng.lognormal(0.1, 1.25, premium.shape) * 1.9
    is_release = rng.random(premium.shape) < np.where(premium > 0, 0.13, 0.5)
    return np.where(has_losses, np.where(is_release, -0.3 * losses, losses), 0.0)


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the four ratio columns, from their sums, with the source's sentinels.

    The three-year ratios are of an agency's line over all its products and states, and undefined in the short years.
    """
    written, losses = rows["WRTN_PREM_AMT"], rows["PRD_INCRD_LOSSES_AMT"]
    before = rows["PREV_POLY_INFORCE_QTY"].where(rows["PREV_POLY_INFORCE_QTY"] != UNKNOWN, 0)
    loss_ratio = np.select(
        [written > 0, (written == 0) & (losses > 0), (written == 0) & (losses < 0)],
        [(losses / written.where(written > 0, 1.0)).round(9), LOSSES_WITHOUT_PREMIUM, RECOVERY_WITHOUT_PREMIUM],
        UNKNOWN,
    )
    return pd.DataFrame(
        {
            "RETENTION_RATIO": np.where(
                before > 0, (rows["RETENTION_POLY_QTY"] / before.where(before > 0, 1)).round(9), UNKNOWN
            ),
            "LOSS_RATIO": loss_ratio,
            **_three_year_ratios(rows),
        }
    )


def _three_year_ratios(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the loss ratio over up to three years and the yearly growth over three, of each row's agency and line."""
    line = ["AGENCY_ID", "PROD_LINE"]
    at_year = [*line, "STAT_PROFILE_DATE_YEAR"]
    sums = rows.groupby(at_year)[["WRTN_PREM_AMT", "PRD_INCRD_LOSSES_AMT"]].sum()
    lines = rows[line].drop_duplicates()
    cells = pd.MultiIndex.from_frame(lines.merge(pd.DataFrame({"STAT_PROFILE_DATE_YEAR": _YEARS}), how="cross"))
    grid = sums.reindex(cells, fill_value=0.0)
    premium, losses = (grid[name].to_numpy().reshape(len(lines), len(_YEARS)) for name in grid)
    row, column = np.divmod(cells.get_indexer(pd.MultiIndex.from_frame(rows[at_year])), len(_YEARS))
    year = rows["STAT_PROFILE_DATE_YEAR"].to_numpy()
    over_three = _over_three_years(premium)[row, column]
    lost_over_three = _over_three_years(losses)[row, column]
    has_ratio = (over_three > 0) & (year > _YEARS[0]) & (year < _YEARS[-1])
    earlier = np.where(column >= 3, premium[row, np.maximum(column - 3, 0)], 0.0)
    now = premium[row, column]
    has_growth = (earlier > 0) & (now >= 0) & (year < _YEARS[-1])
    growth = np.cbrt(now / np.where(has_growth, earlier, 1.0)) - 1
    return {
        "LOSS_RATIO_3YR": np.where(has_ratio, (lost_over_three / np.where(has_ratio, over_three, 1)).round(9), UNKNOWN),
        "GROWTH_RATE_3YR": np.where(has_growth, growth.round(9), UNKNOWN),
    }


def _over_three_years(yearly: np.ndarray) -> np.ndarray:
    """Return by line and year the sum of the year and up to two before it."""
    total = np.cumsum(yearly, axis=1)
    total[:, 3:] -= total[:, :-3].copy()
    return total
