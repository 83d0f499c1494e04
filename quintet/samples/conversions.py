"""Sample conversions, broker rows and page categories."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd

from quintet.samples.conversions_site import (
    COUNTRIES_WITH_CONVERSIONS,
    ConversionsWorld,
    categories_file,
    conversions_file,
    country_weights,
    make_conversions,
    with_bots,
)
from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import SECONDS_PER_DAY, day_start, generator

LagModel = Literal["seconds", "lognormal", "mixture"]
SpellingSet = Literal["site", "residency", "ip"]

_LAG_SECONDS_WEIGHTS = (0.479, 0.437, 0.058, 0.0155, 0.0062, 0.0037)  # of 0 s, 1 s, … 5 s


@dataclass(frozen=True)
class BrokerWorld:
    """Parameters of one broker.

    partner: names the file, `broker_<partner>.csv`.
    opens_after_days, closes_after_days: the part of the conversions' days that the file covers.
    registration_share: conversions in that time that register; organic_share: broker rows without a conversion.
    lag_model: "seconds" (0 to 5 s), "lognormal" with `lag_median_seconds` and `lag_sigma`, or a "mixture" of both, half
    of the rows each; the median of each country differs by a lognormal factor of `lag_country_sigma`.
    sent_every_seconds: the broker notes a registration when it sends the next batch, at multiples of this.
    rounds_to_seconds: it cuts the time of a row to multiples of this, such as whole minutes.
    clock_offset_seconds: the broker's clock minus UTC; from `clock_changes_after_days` on, `changed_offset_seconds`.
    ip_spelling: the spelling set of ip_country; misspelt_share: of its cells, those with a typing error.
    ip_mismatch_share: registrations behind a VPN or a wrong geo-IP; residency_mismatch_share: residents of elsewhere.
    repeated_share: repeated rows, without a conversion of their own.
    outages: stretches of six hours without rows.
    """

    partner: str = "one"
    opens_after_days: float = 20.75
    closes_after_days: float = 59.1
    registration_share: float = 0.915
    organic_share: float = 0.027
    lag_model: LagModel = "seconds"
    lag_median_seconds: float = 360.0
    lag_sigma: float = 1.2
    sent_every_seconds: int = 1
    rounds_to_seconds: int = 1
    clock_offset_seconds: int = 0
    clock_changes_after_days: float | None = None
    changed_offset_seconds: int = 0
    ip_spelling: SpellingSet = "ip"
    misspelt_share: float = 0.002
    ip_mismatch_share: float = 0.027
    residency_null_share: float = 0.86
    residency_mismatch_share: float = 0.08
    invalid_score_share: float = 0.0065
    leading_space_share: float = 0.002
    dash_share: float = 0.0002
    null_ip_share: float = 0.0003
    repeated_share: float = 0.002
    lag_country_sigma: float = 0.0
    outages: int = 0


def _registrations(
    conversions: pd.DataFrame, site: ConversionsWorld, world: BrokerWorld, chosen: np.ndarray, rng: np.random.Generator
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
    true_at = np.concatenate([created_at[linked] + lag, organic_at]).astype("int64")
    true_at = -(-true_at // world.sent_every_seconds) * world.sent_every_seconds
    lag = true_at[: len(linked)] - created_at[linked]
    rows = pd.DataFrame(
        {
            "true_at": true_at,
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
    own_at = rows["true_at"] + _clock_offsets(world, start, rows["true_at"].to_numpy())
    rows["timestamp"] = own_at // world.rounds_to_seconds * world.rounds_to_seconds
    return rows


def _other_country(rng: np.random.Generator, country: np.ndarray, countries: int | None) -> np.ndarray:
    """Return another country for each country, by traffic: VPN exits are where the servers are."""
    drawn = rng.choice(len(ISO2), len(country), p=country_weights(countries))
    return np.where(drawn == country, (country + 1) % COUNTRIES_WITH_CONVERSIONS, drawn)


def _lags(rng: np.random.Generator, world: BrokerWorld, count: int) -> np.ndarray:
    """Return the lags from conversion to registration, in whole seconds."""
    if world.lag_model == "mixture":
        at_once = _lags(rng, replace(world, lag_model="seconds"), count)
        return np.where(rng.random(count) < 0.5, at_once, _lags(rng, replace(world, lag_model="lognormal"), count))
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


def _as_broker_writes(rows: pd.DataFrame, world: BrokerWorld, rng: np.random.Generator) -> pd.DataFrame:
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


def _broker_sample(
    conversions: pd.DataFrame, site: ConversionsWorld, world: BrokerWorld, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[SampleFile, pd.DataFrame]:
    """Return the broker's file and the truth of each of its rows."""
    rows = _registrations(conversions, site, world, chosen, rng)
    written = pd.concat([rows, _as_broker_writes(rows, world, rng).drop(columns="timestamp")], axis=1)
    repeats = written.iloc[rng.choice(len(rows), round(len(rows) * world.repeated_share), replace=False)].copy()
    repeats[["conversion_id", "lag_seconds"]] = pd.NA
    repeats["kind"] = "repeat"
    # Repeats are shuffled among their equals, so that position carries no information.
    every = pd.concat([written, repeats], ignore_index=True)
    every = every.iloc[rng.permutation(len(every))].sort_values("timestamp", kind="stable", ignore_index=True)
    name = f"broker_{world.partner}.csv"
    columns = ["timestamp", "country_residency", "ip_country", "important_score"]
    truth = pd.DataFrame(
        {
            "broker_source_file": name,
            "broker_source_row": np.arange(1, len(every) + 1),
            "conversion_id": every["conversion_id"],
            "lag_seconds": every["lag_seconds"],
            "kind": every["kind"],
            "ip_iso2": np.array(ISO2, dtype=object)[every["seen"]],
        }
    )
    return SampleFile("broker_rows", name, every[columns], line_end="\r\n"), truth


def _clock_truth(site: ConversionsWorld, world: BrokerWorld) -> pd.DataFrame:
    """Return one row per stretch of the broker's clock: start (UTC), seconds ahead, and the lag model."""
    stretches = [(0.0, world.clock_offset_seconds)]
    if world.clock_changes_after_days is not None:
        stretches.append((world.clock_changes_after_days, world.changed_offset_seconds))
    start = pd.Timestamp(site.first_day)
    return pd.DataFrame(
        {
            "broker_source_file": f"broker_{world.partner}.csv",
            "from_at": [start + timedelta(days=days) for days, _ in stretches],
            "offset_seconds": [offset for _, offset in stretches],
            "lag_model": world.lag_model,
            "lag_median_seconds": None if world.lag_model == "seconds" else world.lag_median_seconds,
            "lag_sigma": None if world.lag_model == "seconds" else world.lag_sigma,
        }
    )


def sample_of(site: ConversionsWorld, brokers: Sequence[BrokerWorld], seed: int) -> Sample:
    """Return conversions, page categories and a file for each broker, with the truth.

    A conversion registers with one broker at most. Truth: `broker_rows` (broker_source_file, broker_source_row,
    conversion_id or null, lag_seconds, kind, ip_iso2: the country that ip_country means) and `broker_clocks`. Rows that
    are equal in every cell are interchangeable: which of them has the conversion and which is the repeat is unknowable.
    Raises ValueError if the brokers' registration shares add up to more than one.
    """
    if sum(broker.registration_share for broker in brokers) > 1 + 1e-9:
        raise ValueError("registration_share of all brokers together is above 1")
    conversions = make_conversions(site, generator(seed, "clicks"))
    draw = generator(seed, "registrations").random(len(conversions))
    if site.bot_bursts:
        conversions, is_bot = with_bots(conversions, site, generator(seed, "bots"))
        draw = np.where(is_bot, np.inf, draw)
    files = [conversions_file(conversions), categories_file()]
    truths, clocks = [], []
    taken = 0.0
    for broker in brokers:
        chosen = (draw >= taken) & (draw < taken + broker.registration_share)
        taken += broker.registration_share
        rng = generator(seed, f"broker {broker.partner}")
        file, truth = _broker_sample(conversions, site, broker, chosen, rng)
        files.append(file)
        truths.append(truth)
        clocks.append(_clock_truth(site, broker))
    if not brokers:
        return Sample(tuple(files))
    return Sample(
        tuple(files),
        {"broker_rows": pd.concat(truths, ignore_index=True), "broker_clocks": pd.concat(clocks, ignore_index=True)},
    )


@dataclass(frozen=True)
class AffiliateWorld:
    """The parameters of a site and its brokers."""

    site: ConversionsWorld
    brokers: tuple[BrokerWorld, ...]


def world_at(scale: float) -> AffiliateWorld:
    """Return the world at a scale; 1.0 has as many conversions as the public file, always within 60 days."""
    return AffiliateWorld(ConversionsWorld(conversions=max(1_000, round(102_365 * scale))), (BrokerWorld(),))


def make_sample(world: AffiliateWorld, seed: int) -> Sample:
    """Make the sample of a world, as `sample_of` does."""
    return sample_of(world.site, world.brokers, seed)
