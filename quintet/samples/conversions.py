"""Sample conversions, broker rows and page categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import SECONDS_PER_DAY, arrival_times, as_timestamps, day_start, generator

LagModel = Literal["seconds", "lognormal"]
SpellingSet = Literal["site", "residency", "ip"]

_HOUR_WEIGHTS = (27, 26, 26, 26, 27, 31, 37, 42, 46, 48, 49, 51, 54, 54, 57, 55, 54, 52, 51, 50, 49, 45, 37, 30)
_WEEKDAY_WEIGHTS = (1.0, 1.03, 1.0, 1.0, 0.87, 0.77, 0.79)
_LAG_SECONDS_WEIGHTS = (0.479, 0.437, 0.058, 0.0155, 0.0062, 0.0037)  # of 0 s, 1 s, … 5 s

_PALESTINE = ISO2.index("PS")
_COUNTRIES_WITH_CONVERSIONS = len(ISO2) - 1

# Most frequent first; mobile elements are rare on a desktop and the other way round.
_ELEMENTS = tuple(
    f"{place} {element}"
    for element in (
        *("top list row", "visit broker button", "top five box", "broker name link", "broker logo", "fee table link"),
        *("chapter summary button", "award badge", "country alternatives link", "popularity box", "bottom ribbon"),
        *("comparison header", "review header", "map pin", "fee calculator", "chart label"),
    )
    for place in ("mobile", "desktop", "shared")
)

_CATEGORIES: tuple[tuple[str, str, float], ...] = (  # page, code, relative conversions
    ("Best brokers - general", "01bestbr/02notrel/03notrel", 180),
    ("Best brokers - by country", "01bestbr/02notrel/03bycoun", 160),
    ("Country guides", "01countr/02notrel/03notrel", 140),
    ("Broker finder", "01finder/02notrel/03notrel", 140),
    ("Broker reviews - overview", "01review/02notrel/03overvw", 70),
    ("Not categorised", "01nocate/02notrel/03notrel", 48),
    ("Broker reviews - landing", "01review/02notrel/03notrel", 46),
    ("Two brokers compared", "01versus/02twobrk/03notrel", 25),
    ("How to buy a share", "01learnn/02shares/03buying", 22),
    ("Comparison table", "01versus/02notrel/03notrel", 21),
    ("Front page", "01frontp/02notrel/03notrel", 13),
    ("Broker reviews - alternatives", "01review/02notrel/03altern", 11),
    ("Broker reviews - fees", "01review/02notrel/03feesxx", 6),
    ("Broker reviews - withdrawal", "01review/02notrel/03wdrawl", 5.5),
    ("Best brokers - low cost", "01bestbr/02notrel/03lowcos", 5.2),
    ("Broker reviews - deposit", "01review/02notrel/03depost", 4.8),
    ("Broker reviews - opening an account", "01review/02notrel/03opening", 4.5),
    ("Best brokers - currency", "01bestbr/02curren/03notrel", 3.7),
    ("Learning", "01learnn/02notrel/03notrel", 2.7),
    ("Broker reviews - beginners", "01review/02notrel/03beginn", 2.2),
    ("Broker reviews - shares", "01review/02notrel/03shares", 2.2),
    ("Broker reviews - least deposit", "01review/02notrel/03leastd", 1.8),
    ("Broker reviews - options", "01review/02notrel/03option", 1.5),
    ("Scam warning", "01warnin/02notrel/03notrel", 1.3),
    ("Broker reviews - commission", "01review/02notrel/03commis", 1.2),
    ("Broker reviews - regulation", "01review/02notrel/03regula", 1.0),
    ("Broker reviews - free trades", "01review/02notrel/03freetr", 0.8),
    ("Broker reviews - app", "01review/02notrel/03appxxx", 0.8),
    ("Broker reviews - metals", "01review/02notrel/03metals", 0.6),
    ("Broker reviews - support", "01review/02notrel/03suppor", 0.5),
    ("Best brokers - contracts", "01bestbr/02notrel/03contra", 0.3),
    ("Goals", "01goalss/02notrel/03notrel", 0.2),
    ("How to buy a new issue", "01learnn/02shares/03newiss", 0.2),
    ("Broker reviews - first steps", "01review/02notrel/03firsts", 0.05),
    ("Best brokers - currency, beginners", "01bestbr/02curren/03beginn", 0.05),
    ("Best brokers - beginners", "01bestbr/02notrel/03beginn", 0.05),
    ("Quiz", "01quizzz/02notrel/03notrel", 0.05),
    ("About us - team", "01aboutu/02teamxx/03notrel", 0.05),
    ("About us - news", "01aboutu/02newsxx/03notrel", 0.05),
    ("Jobs", "01jobsxx/02notrel/03notrel", 0.05),
)

# Codes that the site sends and the mapping does not know.
_UNMAPPED_CODES = ("01safety/02isscam/03notrel", "01safety/02issafe/03notrel")
_UNMAPPED_WEIGHTS = (0.96, 0.04)

# Payloads of a vulnerability scanner: data that must be handled safely.
_PAYLOADS = (
    "x'; drop table clicks; --",
    'x" or "1"="1',
    "1;select sleep(5)#",
    "'||(select 'a;b' from dual)||'",
    '"><svg/onload=alert("a;b")>',
    "{{7*7}};${7*7}",
    "../../../../etc/hosts;\"'",
    "漢字'\"\\(;",
)


@dataclass(frozen=True)
class ConversionsWorld:
    """Parameters of the affiliate's site.

    conversions: distinct conversions over `days` days from `first_day`; the more per day, the harder is matching.
    repeat_click_share: later conversions of a session; double_click_share: of those, within two seconds.
    unmapped_share: conversions on pages that the mapping lacks. null_element_share: conversions without an element.
    scanner_share: conversions of a scanner, with payloads for texts.
    countries: how many countries send conversions, the busiest first; None for all.
    bot_bursts: stretches of ten minutes in which bots of one country convert 20 times as often as all visitors; their
    conversions are part of `conversions` and never register.
    """

    conversions: int = 102_365
    first_day: date = date(2024, 4, 1)
    days: int = 60
    repeat_click_share: float = 0.16
    double_click_share: float = 0.03
    unmapped_share: float = 0.078
    null_element_share: float = 0.0019
    scanner_share: float = 0.0006
    countries: int | None = None
    bot_bursts: int = 0


@dataclass(frozen=True)
class BrokerWorld:
    """Parameters of one broker.

    partner: names the file, `broker_<partner>.csv`.
    opens_after_days, closes_after_days: the part of the conversions' days that the file covers.
    registration_share: conversions in that time that register; organic_share: broker rows without a conversion.
    lag_model: "seconds" (0 to 5 s) or "lognormal" with `lag_median_seconds` and `lag_sigma`; the median of each country
    differs by a lognormal factor of `lag_country_sigma`.
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


def country_weights(countries: int | None = None) -> np.ndarray:
    """Return the share of conversions of each country of `ISO2`; Zipf-like with a thin tail.

    countries: the number of countries with conversions, busiest first; None for all but the last.
    """
    rank = np.arange(1, len(ISO2) + 1)
    weights = np.exp(-rank / 60) / (rank + 1.5) ** 0.9
    weights[min(countries or len(ISO2), _COUNTRIES_WITH_CONVERSIONS) :] = 0
    return weights / weights.sum()


def make_conversions(world: ConversionsWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return the conversions in order of time, one row per conversion.

    Columns as in the inbox, but for `country`, an index into `ISO2`, and `created_at`, Unix seconds.
    """
    again = round(world.conversions * world.repeat_click_share)
    first = world.conversions - again
    starts = arrival_times(rng, first, world.first_day, world.days, _HOUR_WEIGHTS, _WEEKDAY_WEIGHTS)
    # Session numbers follow time only roughly: a session may begin before its first conversion of these days.
    jumbled = np.argsort(np.arange(first) + rng.normal(0, 30, first))
    session_ids = (71_000_000 + np.cumsum(rng.integers(1, 200, first)))[jumbled]
    country = rng.choice(len(ISO2), first, p=country_weights(world.countries))
    is_mobile = rng.random(first) < 0.54
    session = np.concatenate([np.arange(first), rng.integers(0, first, again)])
    delay = rng.lognormal(np.log(90), 1.4, again)
    delay = np.where(rng.random(again) < world.double_click_share, rng.integers(0, 3, again), delay)
    last_second = day_start(world.first_day) + world.days * SECONDS_PER_DAY - 1
    created_at = np.concatenate([starts, np.minimum(starts[session[first:]] + delay.astype("int64"), last_second)])
    order = np.argsort(created_at, kind="stable")
    session = session[order]
    mobile = is_mobile[session]
    codes = np.array([code for _, code, _ in _CATEGORIES] + list(_UNMAPPED_CODES), dtype=object)
    weights = np.array([weight for _, _, weight in _CATEGORIES])
    code_weights = np.concatenate(
        [(1 - world.unmapped_share) * weights / weights.sum(), world.unmapped_share * np.array(_UNMAPPED_WEIGHTS)]
    )
    category = codes[rng.choice(len(codes), world.conversions, p=code_weights)]
    element = np.array(_ELEMENTS, dtype=object)[_elements(rng, mobile)]
    element[rng.random(world.conversions) < world.null_element_share] = None
    _let_scanner_in(rng, world, element, category)
    return pd.DataFrame(
        {
            "id": 5_200_000 + np.cumsum(1 + rng.poisson(rng.exponential(4.2, world.conversions))),
            "session_id": session_ids[session],
            "country": country[session],
            "is_mobile": mobile.astype("int8"),
            "ui_element": element,
            "created_at": created_at[order],
            "measurement_category": category,
        }
    )


def _with_bots(
    plain: pd.DataFrame, world: ConversionsWorld, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Turn some conversions into bot traffic; return all conversions in order of time, and which are of bots."""
    burst_seconds = 600
    span = world.days * SECONDS_PER_DAY
    each = max(round(20 * world.conversions * burst_seconds / span), 1)
    starts = day_start(world.first_day) + rng.integers(0, span - burst_seconds, world.bot_bursts)
    countries = rng.choice(len(ISO2), world.bot_bursts, p=country_weights(world.countries))
    taken = rng.choice(len(plain), min(each * world.bot_bursts, len(plain) // 2), replace=False)
    burst = np.arange(len(taken)) % world.bot_bursts
    created_at, country = plain["created_at"].to_numpy().copy(), plain["country"].to_numpy().copy()
    created_at[taken] = starts[burst] + rng.integers(0, burst_seconds, len(taken))
    country[taken] = countries[burst]
    is_bot = np.zeros(len(plain), dtype=bool)
    is_bot[taken] = True
    order = np.argsort(created_at, kind="stable")
    moved = plain.assign(created_at=created_at, country=country).iloc[order].reset_index(drop=True)
    return moved.assign(id=plain["id"]), is_bot[order]


def _elements(rng: np.random.Generator, mobile: np.ndarray) -> np.ndarray:
    """Return an index into `_ELEMENTS` for each conversion."""
    kind = rng.choice(len(_ELEMENTS) // 3, len(mobile), p=_zipf(len(_ELEMENTS) // 3))
    place = np.where(rng.random(len(mobile)) < 0.35, 2, np.where(mobile, 0, 1))
    return kind * 3 + place


def _zipf(count: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, count + 1)
    return weights / weights.sum()


def _let_scanner_in(
    rng: np.random.Generator, world: ConversionsWorld, element: np.ndarray, category: np.ndarray
) -> None:
    """Write payloads into some cells, in place; at least one of each kind of cell."""
    hits = rng.choice(
        world.conversions, min(world.conversions, max(2, round(world.conversions * world.scanner_share))), replace=False
    )
    payloads = np.array(_PAYLOADS, dtype=object)
    in_element, in_category = hits[::2], hits[1::2]
    element[in_element] = payloads[np.arange(len(in_element)) % len(payloads)]
    category[in_category] = category[in_category] + payloads[rng.integers(0, len(payloads), len(in_category))]


def _conversions_file(conversions: pd.DataFrame) -> SampleFile:
    """Return the inbox file; a join on country names repeats conversions of the West Bank as of the Gaza Strip."""
    rows = conversions.rename(columns={"country": "country_name"})
    rows["country_name"] = np.array(SPELLINGS["site"], dtype=object)[conversions["country"]]
    rows["created_at"] = as_timestamps(conversions["created_at"].to_numpy())
    repeated = rows[conversions["country"] == _PALESTINE].assign(country_name="Gaza Strip")
    rows = pd.concat([rows, repeated]).sort_index(kind="stable")
    return SampleFile("conversions", "conversions.csv", rows, delimiter=";")


def _categories_file() -> SampleFile:
    rows = pd.DataFrame(
        [(page, code) for page, code, _ in _CATEGORIES], columns=["page_category", "measurement_category"]
    )
    return SampleFile(
        "page_categories", "page_categories.csv", rows, delimiter=";", line_end="\r\n", ends_with_line_end=False
    )


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
    organic_country[rng.random(organic) < 0.1] = _COUNTRIES_WITH_CONVERSIONS
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
    return np.where(drawn == country, (country + 1) % _COUNTRIES_WITH_CONVERSIONS, drawn)


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
            "lag_median_seconds": world.lag_median_seconds if world.lag_model == "lognormal" else None,
            "lag_sigma": world.lag_sigma if world.lag_model == "lognormal" else None,
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
        conversions, is_bot = _with_bots(conversions, site, generator(seed, "bots"))
        draw = np.where(is_bot, np.inf, draw)
    files = [_conversions_file(conversions), _categories_file()]
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
