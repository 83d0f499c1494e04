"""The generated conversions of the affiliate's site, with bots and a scanner."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from quintet.samples.countries import ISO2, SPELLINGS
from quintet.samples.sample import SampleFile
from quintet.samples.seeding import SECONDS_PER_DAY, arrival_times, as_timestamps, day_start

_HOUR_WEIGHTS = (27, 26, 26, 26, 27, 31, 37, 42, 46, 48, 49, 51, 54, 54, 57, 55, 54, 52, 51, 50, 49, 45, 37, 30)

_WEEKDAY_WEIGHTS = (1.0, 1.03, 1.0, 1.0, 0.87, 0.77, 0.79)

_PALESTINE = ISO2.index("PS")

COUNTRIES_WITH_CONVERSIONS = len(ISO2) - 1

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


def country_weights(countries: int | None = None) -> np.ndarray:
    """Return the share of conversions of each country of `ISO2`; Zipf-like with a thin tail.

    countries: the number of countries with conversions, busiest first; None for all but the last.
    """
    rank = np.arange(1, len(ISO2) + 1)
    weights = np.exp(-rank / 60) / (rank + 1.5) ** 0.9
    weights[min(countries or len(ISO2), COUNTRIES_WITH_CONVERSIONS) :] = 0
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


def with_bots(
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


def conversions_file(conversions: pd.DataFrame) -> SampleFile:
    """Return the inbox file; a join on country names repeats conversions of the West Bank as of the Gaza Strip."""
    rows = conversions.rename(columns={"country": "country_name"})
    rows["country_name"] = np.array(SPELLINGS["site"], dtype=object)[conversions["country"]]
    rows["created_at"] = as_timestamps(conversions["created_at"].to_numpy())
    repeated = rows[conversions["country"] == _PALESTINE].assign(country_name="Gaza Strip")
    rows = pd.concat([rows, repeated]).sort_index(kind="stable")
    return SampleFile("conversions", "conversions.csv", rows, delimiter=";")


def categories_file() -> SampleFile:
    """Return the inbox file of the page categories."""
    rows = pd.DataFrame(
        [(page, code) for page, code, _ in _CATEGORIES], columns=["page_category", "measurement_category"]
    )
    return SampleFile(
        "page_categories", "page_categories.csv", rows, delimiter=";", line_end="\r\n", ends_with_line_end=False
    )
