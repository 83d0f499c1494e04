"""Sample conversions, broker rows and page categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from quintet.samples.broker import as_broker_writes, registrations
from quintet.samples.conversions_world import PALESTINE, PAYLOADS, BrokerWorld, ClicksWorld, country_weights
from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import SECONDS_PER_DAY, arrival_times, as_timestamps, day_start, generator

_HOUR_WEIGHTS = (27, 26, 26, 26, 27, 31, 37, 42, 46, 48, 49, 51, 54, 54, 57, 55, 54, 52, 51, 50, 49, 45, 37, 30)
_WEEKDAY_WEIGHTS = (1.0, 1.03, 1.0, 1.0, 0.87, 0.77, 0.79)
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


def make_conversions(world: ClicksWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return the conversions in order of time, one row per conversion.

    Columns as in the inbox, but for `country`, an index into `ISO2`, and `created_at`, Unix seconds.
    """
    again = round(world.clicks * world.repeat_click_share)
    first = world.clicks - again
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
    category = codes[rng.choice(len(codes), world.clicks, p=code_weights)]
    element = np.array(_ELEMENTS, dtype=object)[_elements(rng, mobile)]
    element[rng.random(world.clicks) < world.null_element_share] = None
    _let_scanner_in(rng, world, element, category)
    return pd.DataFrame(
        {
            "id": 5_200_000 + np.cumsum(1 + rng.poisson(rng.exponential(4.2, world.clicks))),
            "session_id": session_ids[session],
            "country": country[session],
            "is_mobile": mobile.astype("int8"),
            "ui_element": element,
            "created_at": created_at[order],
            "measurement_category": category,
        }
    )


def _with_bots(plain: pd.DataFrame, world: ClicksWorld, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Turn some conversions into bot traffic; return all conversions in order of time, and which are of bots."""
    burst_seconds = 600
    span = world.days * SECONDS_PER_DAY
    each = max(round(20 * world.clicks * burst_seconds / span), 1)
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


def _let_scanner_in(rng: np.random.Generator, world: ClicksWorld, element: np.ndarray, category: np.ndarray) -> None:
    """Write payloads into some cells, in place; at least one of each kind of cell."""
    hits = rng.choice(world.clicks, min(world.clicks, max(2, round(world.clicks * world.scanner_share))), replace=False)
    payloads = np.array(PAYLOADS, dtype=object)
    in_element, in_category = hits[::2], hits[1::2]
    element[in_element] = payloads[np.arange(len(in_element)) % len(payloads)]
    category[in_category] = category[in_category] + payloads[rng.integers(0, len(payloads), len(in_category))]


def _conversions_file(conversions: pd.DataFrame) -> SampleFile:
    """Return the inbox file; a join on country names repeats conversions of the West Bank as of the Gaza Strip."""
    rows = conversions.rename(columns={"country": "country_name"})
    rows["country_name"] = np.array(SPELLINGS["site"], dtype=object)[conversions["country"]]
    rows["created_at"] = as_timestamps(conversions["created_at"].to_numpy())
    repeated = rows[conversions["country"] == PALESTINE].assign(country_name="Gaza Strip")
    rows = pd.concat([rows, repeated]).sort_index(kind="stable")
    return SampleFile("conversions", "conversions.csv", rows, delimiter=";")


def _categories_file() -> SampleFile:
    rows = pd.DataFrame(
        [(page, code) for page, code, _ in _CATEGORIES], columns=["page_category", "measurement_category"]
    )
    return SampleFile(
        "page_categories", "page_categories.csv", rows, delimiter=";", line_end="\r\n", ends_with_line_end=False
    )


def _broker_sample(
    conversions: pd.DataFrame, site: ClicksWorld, world: BrokerWorld, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[SampleFile, pd.DataFrame]:
    """Return the broker's file and the truth of each of its rows."""
    rows = registrations(conversions, site, world, chosen, rng)
    written = pd.concat([rows, as_broker_writes(rows, world, rng).drop(columns="timestamp")], axis=1)
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


def _clock_truth(site: ClicksWorld, world: BrokerWorld) -> pd.DataFrame:
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


def sample_of(site: ClicksWorld, brokers: Sequence[BrokerWorld], seed: int) -> Sample:
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
class ConversionsWorld:
    """The parameters of a site and its brokers."""

    site: ClicksWorld
    brokers: tuple[BrokerWorld, ...]


def world_at(scale: float) -> ConversionsWorld:
    """Return the world at a scale; 1.0 has as many conversions as the public file, always within 60 days."""
    return ConversionsWorld(ClicksWorld(clicks=max(1_000, round(102_365 * scale))), (BrokerWorld(),))


def make_sample(world: ConversionsWorld, seed: int) -> Sample:
    """Make the sample of a world, as `sample_of` does."""
    return sample_of(world.site, world.brokers, seed)
