"""A broker's rows for generated conversions: registrations with their lags, clock, spelling and faults."""

import numpy as np
import pandas as pd

from quintet.samples.conversions_world import COUNTRIES_WITH_CONVERSIONS, BrokerWorld, ClicksWorld, country_weights
from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.seeding import SECONDS_PER_DAY, day_start, generator

_LAG_SECONDS_WEIGHTS = (0.479, 0.437, 0.058, 0.0155, 0.0062, 0.0037)  # of 0 s, 1 s, … 5 s


def registrations(
    conversions: pd.DataFrame, site: ClicksWorld, world: BrokerWorld, chosen: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the broker rows in order of the broker's clock, with the truth.

    Columns: timestamp, resident and seen (indexes into `ISO2`, true residence and place of the IP), conversion_id (null
    without one), lag_seconds, kind ("click", "elsewhere" where the IP is of another country, "organic", "repeat").
    """
    start = day_start(site.first_day)
    opens, closes = (start + SECONDS_PER_DAY * days for days in (world.opens_after_days, world.closes_after_days))
    created_at = conversions["created_at"].to_numpy()
    linked = np.flatnonzero(chosen & (created_at >= opens) & (created_at < closes))
    lag = _lags(rng, world, len(linked))
    if world.lag_country_sigma:
        factors = generator(0, f"lags of {world.partner}").lognormal(0, world.lag_country_sigma, len(ISO2))
        lag = np.rint(lag * factors[conversions["country"].to_numpy()[linked]]).astype("int64")
    organic = round(len(linked) * world.organic_share / (1 - world.organic_share))
    # Organic rows occur within half an hour of some conversion.
    organic_at = rng.choice(created_at[linked], organic) + rng.integers(-1_800, 1_801, organic)
    organic_country = rng.choice(len(ISO2), organic, p=country_weights(site.countries))
    # The country without conversions sends organic rows.
    organic_country[rng.random(organic) < 0.1] = COUNTRIES_WITH_CONVERSIONS
    country = np.concatenate([conversions["country"].to_numpy()[linked], organic_country])
    elsewhere = rng.random(len(country)) < world.ip_mismatch_share
    elsewhere &= np.arange(len(country)) < len(linked)
    seen = np.where(elsewhere, _other_country(rng, country, site.countries), country)
    abroad = rng.random(len(country)) < world.residency_mismatch_share
    rows = pd.DataFrame(
        {
            "true_at": np.concatenate([created_at[linked] + lag, organic_at]).astype("int64"),
            "resident": np.where(abroad, _other_country(rng, country, site.countries), country),
            "seen": seen,
            "conversion_id": pd.array([*conversions["id"].to_numpy()[linked], *np.full(organic, 0)], dtype="Int64"),
            "lag_seconds": pd.array([*lag, *np.zeros(organic, dtype="int64")], dtype="Int64"),
            "kind": np.concatenate(
                [np.where(elsewhere[: len(linked)], "elsewhere", "click"), np.full(organic, "organic")]
            ).astype(object),
        }
    )
    rows.loc[len(linked) :, ["conversion_id", "lag_seconds"]] = pd.NA
    if world.outages:
        lost = generator(0, f"outages of {world.partner}").uniform(opens, closes, world.outages)[:, None]
        since = rows["true_at"].to_numpy()[None, :] - lost
        kept = np.flatnonzero(~((since >= 0) & (since < 6 * 3_600)).any(axis=0))
        rows = rows.take(kept).reset_index(drop=True)
    rows["timestamp"] = rows["true_at"] + _clock_offsets(world, start, rows["true_at"].to_numpy())
    return rows


def _other_country(rng: np.random.Generator, country: np.ndarray, countries: int | None) -> np.ndarray:
    """Return another country for each country, by traffic: VPN exits are where the servers are."""
    drawn = rng.choice(len(ISO2), len(country), p=country_weights(countries))
    return np.where(drawn == country, (country + 1) % COUNTRIES_WITH_CONVERSIONS, drawn)


def _lags(rng: np.random.Generator, world: BrokerWorld, count: int) -> np.ndarray:
    """Return the lags from conversion to registration, in whole seconds."""
    if world.lag_model == "seconds":
        weights = np.array(_LAG_SECONDS_WEIGHTS)
        return rng.choice(len(weights), count, p=weights / weights.sum())
    return np.rint(rng.lognormal(np.log(world.lag_median_seconds), world.lag_sigma, count)).astype("int64")


def _clock_offsets(world: BrokerWorld, start: int, true_at: np.ndarray) -> np.ndarray:
    """Return the broker's clock minus UTC at each true time, seconds."""
    if world.clock_changes_after_days is None:
        return np.full(len(true_at), world.clock_offset_seconds)
    changes_at = start + world.clock_changes_after_days * SECONDS_PER_DAY
    return np.where(true_at < changes_at, world.clock_offset_seconds, world.changed_offset_seconds)


def _misspell(names: pd.Series, slip: np.ndarray) -> pd.Series:
    """Return each name with a typing error: 0 a letter lost, 1 two swapped, 2 one doubled, 3 lower case."""
    lost = names.str[:2] + names.str[3:]
    swapped = names.str[:2] + names.str[3:4] + names.str[2:3] + names.str[4:]
    doubled = names.str[:3] + names.str[2:]
    return pd.Series(np.choose(slip, [lost, swapped, doubled, names.str.lower()]), index=names.index)


def as_broker_writes(rows: pd.DataFrame, world: BrokerWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return the four columns of the inbox, with their quirks."""
    count = len(rows)
    ip = pd.Series(np.array(SPELLINGS[world.ip_spelling], dtype=object)[rows["seen"]])
    misspelt = rng.random(count) < world.misspelt_share
    ip[misspelt] = _misspell(ip[misspelt], rng.integers(0, 4, int(misspelt.sum())))
    spaced = rng.random(count) < world.leading_space_share
    ip[spaced] = " " + ip[spaced]
    odd = rng.random(count)
    ip[odd < world.dash_share] = "-"
    ip[odd >= 1 - world.null_ip_share] = None
    residency = np.array(SPELLINGS["residency"], dtype=object)[rows["resident"]]
    residency[rng.random(count) < world.residency_null_share] = None
    scores = np.array([*map(str, range(101)), "#REF!"], dtype=object)
    weights = np.full(102, 0.0087 / 100)
    weights[0], weights[10], weights[101] = 0, 0.016, world.invalid_score_share
    weights[0] = 1 - weights.sum()
    return pd.DataFrame(
        {
            "timestamp": rows["timestamp"].to_numpy(),
            "country_residency": residency,
            "ip_country": ip.to_numpy(),
            "important_score": scores[rng.choice(102, count, p=weights)],
        }
    )
