"""Transactions by minute and status, and checkout sales by hour, with injected incidents."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pandas as pd

from quintet.samples.payments_checkout import checkout_sample
from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import generator

STATUSES = ("approved", "denied", "failed", "reversed", "backend_reversed", "refunded", "processing")
_MINUTES_PER_DAY = 1_440

# Approved transactions a minute at the full hour; the minutes between are interpolated.
_APPROVED = np.array(
    (
        *(11, 4, 1.4, 0.8, 0.5, 1.5, 14, 58, 135, 245, 335, 365),
        *(330, 295, 300, 335, 370, 390, 340, 250, 180, 135, 96, 58),
    )
)
_DENIED_SHARE_BY_DAY, _DENIED_SHARE_BY_NIGHT = 0.095, 0.17
_SHARE_OF_APPROVED = {"failed": 0.00002, "reversed": 0.006, "backend_reversed": 0.001, "refunded": 0.0022}
_WEEKDAY_LOAD = np.array([1.0, 1.04, 1.03, 1.05, 1.08, 0.82, 0.7])

_SURGES = {  # by status: added transactions a minute for each approved one that is usual, and the least
    "denied": (0.25, 12.0),
    "failed": (0.02, 5.0),
    "reversed": (0.25, 15.0),
    "backend_reversed": (0.02, 4.0),
    "refunded": (0.02, 4.0),
}
_INCIDENT_KINDS = ("surge", "ramp", "stall", "silence")
_BENIGN_KINDS = ("spike", "campaign", "gap")
_MARGIN_MINUTES = 45
_SHARE_LEFT = {"holiday": 0.45, "quiet_night": 0.33}


@dataclass(frozen=True)
class PaymentsWorld:
    """Days of payments.

    first_day: the day of `transactions_1.csv`; there are `days` files, one per day.
    last_file_is_dated: whether the last file is of the later edition, with a timestamp and sorted by status first.
    incidents_per_day, benign_per_day: how many of each are injected, on average; from two days on, one more incident
    crosses the first midnight.
    checkout_days: checkout files, one by day.
    holidays, quiet_nights: days with less than half of the usual traffic, and nights (0-6h) with a third of it, after
    the first day; neither is an incident.
    ramp_minutes: how long a ramp takes to reach its height, from and to before: the slower, the longer it looks like
    chance.
    size: traffic as a multiple of the usual. growth_per_day: its daily growth. weekend_share: of Saturdays and Sundays.
    pay_days: days, counted from 0, with twice the traffic. promotions: hours with three times the traffic, on average
    one in two days. opens, closes: hours in which there are rows, earlier or later by `hours_vary_minutes` (a standard
    deviation); pause: hours in between without any, which vary as much; rest_days: weekdays (Monday is 0) without any.
    Where the business closes, an outage of each week begins at night and lasts over the opening.
    """

    first_day: date = date(2024, 1, 1)
    days: int = 2
    last_file_is_dated: bool = False
    incidents_per_day: float = 2.0
    benign_per_day: float = 2.0
    checkout_days: int = 2
    holidays: int = 0
    quiet_nights: int = 0
    ramp_minutes: tuple[int, int] = (60, 180)
    size: float = 1.0
    growth_per_day: float = 1.0
    weekend_share: float = 1.0
    pay_days: tuple[int, ...] = ()
    promotions: bool = False
    opens: float = 0.0
    closes: float = 24.0
    hours_vary_minutes: float = 3.0
    pause: tuple[float, float] | None = None
    rest_days: tuple[int, ...] = ()


def usual_rates(first_day: date, days: int, rng: np.random.Generator) -> np.ndarray:
    """Return expected transactions by minute and status, without incidents; shape (days * 1440, 7), by `STATUSES`."""
    minute = np.arange(days * _MINUTES_PER_DAY)
    hour = minute % _MINUTES_PER_DAY / 60
    weekday = (first_day.weekday() + minute // _MINUTES_PER_DAY) % 7
    by_day = rng.lognormal(0, 0.05, days)[minute // _MINUTES_PER_DAY]
    # The load drifts as an AR(1) process by quarter hour.
    shocks = rng.normal(0, 0.02, days * 96)
    kernel = 0.9 ** np.arange(60)
    drift = np.exp(np.convolve(shocks, kernel)[: days * 96])[minute // 15]
    approved = np.interp(hour, np.arange(25), [*_APPROVED, _APPROVED[0]]) * _WEEKDAY_LOAD[weekday] * by_day * drift
    night = np.clip(1 - approved / 40, 0, 1)
    denied_share = _DENIED_SHARE_BY_DAY + (_DENIED_SHARE_BY_NIGHT - _DENIED_SHARE_BY_DAY) * night
    by_status = {status: approved * share for status, share in _SHARE_OF_APPROVED.items()}
    by_status |= {"approved": approved, "denied": approved * denied_share / (1 - denied_share)}
    by_status["processing"] = np.full(len(minute), 0.0007)
    return np.stack([by_status[status] for status in STATUSES], axis=1)


def _trade(world: PaymentsWorld, rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply size, growth, weekends, pay days and promotions to the rates; return whether the business is open."""
    day, minute_of_day = np.divmod(np.arange(len(rates)), _MINUTES_PER_DAY)
    weekday = (world.first_day.weekday() + day) % 7
    factor = world.size * world.growth_per_day ** (np.arange(len(rates)) / _MINUTES_PER_DAY)
    factor *= np.where(weekday >= 5, world.weekend_share, 1.0) * np.where(np.isin(day, world.pay_days), 2.0, 1.0)
    if world.promotions:
        for start in rng.integers(0, len(rates) - 120, world.days // 2):
            length = int(rng.integers(60, 120))
            factor[start : start + length] *= 1 + 2 * np.minimum(1, np.arange(length) / 15)
    rates *= factor[:, None]
    opens, closes, *pause = (
        np.rint(60 * hour + rng.normal(0, world.hours_vary_minutes, world.days))[day] if 0 < hour < 24 else 60 * hour
        for hour in (world.opens, world.closes, *(world.pause or ()))
    )
    is_open = (minute_of_day >= opens) & (minute_of_day < closes) & ~np.isin(weekday, world.rest_days)
    return is_open & ~((minute_of_day >= pause[0]) & (minute_of_day < pause[1])) if pause else is_open


def _outages_over_opening(is_open: np.ndarray, days: int, rng: np.random.Generator) -> list[tuple]:
    """Plan an outage of each week that begins at night: it is noticed from the opening on."""
    openings = np.flatnonzero(~is_open[:-1] & is_open[1:]) + 1
    openings = openings[openings >= 2 * _MINUTES_PER_DAY]
    if not len(openings):
        return []
    chosen = rng.choice(openings, min(max(days // 7, 1), len(openings)), replace=False)
    return [("silence", "", int(start), int(rng.integers(40, 90)), True) for start in chosen]


def _free_start(
    rng: np.random.Generator, is_taken: np.ndarray, length: int, day: int, hours: tuple[int, int]
) -> int | None:
    """Return a minute of the day from which `length` minutes and a margin are free; None if there is none."""
    first = day * _MINUTES_PER_DAY + hours[0] * 60
    last = min(day * _MINUTES_PER_DAY + hours[1] * 60, len(is_taken)) - length
    if last <= first:
        return None
    ends = np.cumsum(np.concatenate([[0], is_taken]))
    starts = np.arange(first, last)
    before, after = (
        np.maximum(starts - _MARGIN_MINUTES, 0),
        np.minimum(starts + length + _MARGIN_MINUTES, len(is_taken)),
    )
    free = starts[ends[after] == ends[before]]
    return int(rng.choice(free)) if len(free) else None


def _plan(world: PaymentsWorld, is_open: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Plan the events: kind, status, start (minute from the first midnight), length (minutes), is_incident."""
    is_taken = ~is_open
    plan = _outages_over_opening(is_open, world.days, rng)
    if world.days > 1 and is_open.all():
        plan.append(("surge", "backend_reversed", _MINUTES_PER_DAY - 25, 62, True))
    events = [(True, day) for day in np.repeat(np.arange(world.days), rng.poisson(world.incidents_per_day, world.days))]
    events += [(False, day) for day in np.repeat(np.arange(world.days), rng.poisson(world.benign_per_day, world.days))]
    for _, _, start, length, _ in plan:
        is_taken[start : start + length] = True
    for is_incident, day in events:
        kind = str(rng.choice(_INCIDENT_KINDS if is_incident else _BENIGN_KINDS))
        status = str(rng.choice(list(_SURGES)))
        lengths = {"surge": (10, 90), "ramp": world.ramp_minutes, "stall": (10, 60), "silence": (6, 40)}
        lengths |= {"spike": (1, 3), "campaign": (40, 120), "gap": (1, 2)}
        length = int(rng.integers(*lengths[kind]))
        # At night a stalled, silent or busier minute looks like a usual one.
        hours = (0, 24) if kind in ("surge", "spike") else (8, 22)
        free = _free_start(rng, is_taken, length, int(day), hours)
        if free is not None:
            is_taken[free : free + length] = True
            plan.append((kind, status, free, length, is_incident))
    columns = ["kind", "status", "start", "length", "is_incident"]
    return pd.DataFrame(plan, columns=columns).sort_values("start", ignore_index=True)


def _happen(rates: np.ndarray, is_silent: np.ndarray, event: pd.Series) -> None:
    """Apply an event to the rates or the feed, in place."""
    window = slice(event["start"], event["start"] + event["length"])
    approved, denied, processing = (STATUSES.index(name) for name in ("approved", "denied", "processing"))
    if event["kind"] in ("silence", "gap"):
        is_silent[window] = True
    elif event["kind"] == "campaign":
        rates[window] *= 1.6
    elif event["kind"] == "stall":
        rates[window, processing] += 0.04 * rates[window, approved]
        rates[window, [approved]] *= 0.05
        rates[window, [denied]] *= 0.3
    else:
        by_approved, least = _SURGES[event["status"]]
        added = np.maximum(by_approved * rates[window, approved], least)
        if event["kind"] == "ramp":
            added = added * np.linspace(0.05, 1.3, event["length"])
        if event["kind"] == "spike":
            added = added * 0.6
        rates[window, STATUSES.index(event["status"])] += added


_WHY = {
    "surge": "transactions of the status jump to a multiple of what is usual",
    "ramp": "transactions of the status rise slowly to a multiple of what is usual",
    "stall": "approvals nearly stop while payments pile up in processing",
    "silence": "the feed sends nothing at all in hours that are never empty",
    "spike": "benign: a single burst of one or two minutes",
    "campaign": "benign: more of everything in the usual proportions",
    "gap": "benign: one minute was lost",
    "holiday": "benign: a day with less than half of the usual traffic",
    "quiet_night": "benign: a night with a third of the usual traffic",
}


def _event_truth(plan: pd.DataFrame, first_day: date) -> pd.DataFrame:
    """Return series, started_at, ended_at (exclusive), kind, is_incident, why."""
    series = np.select(
        [plan["kind"].isin(["silence", "gap"]), plan["kind"].isin(["stall", "campaign", *_SHARE_LEFT])],
        ["feed", "volume"],
        plan["status"].to_numpy(dtype=object),
    )
    started_at = pd.Timestamp(first_day) + pd.to_timedelta(plan["start"], unit="min")
    return pd.DataFrame(
        {
            "series": series,
            "started_at": started_at,
            "ended_at": started_at + pd.to_timedelta(plan["length"], unit="min"),
            "kind": plan["kind"],
            "is_incident": plan["is_incident"],
            "why": plan["kind"].map(_WHY),
        }
    )


def _calendar(world: PaymentsWorld, rng: np.random.Generator) -> pd.DataFrame:
    """Return holidays and quiet nights: kind, status, start, length, is_incident as in the plan."""
    days = 1 + rng.permutation(max(world.days - 1, 0))[: world.holidays + world.quiet_nights]
    is_holiday = np.arange(len(days)) < world.holidays
    return pd.DataFrame(
        {
            "kind": np.where(is_holiday, "holiday", "quiet_night"),
            "status": "",
            "start": days * _MINUTES_PER_DAY,
            "length": np.where(is_holiday, _MINUTES_PER_DAY, 360),
            "is_incident": False,
        }
    )


def _transaction_counts(
    world: PaymentsWorld, rng: np.random.Generator, calendar: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return counts by minute and status, and the plan of the events."""
    rates = usual_rates(world.first_day, world.days, rng)
    is_open = _trade(world, rates, rng)
    for kind, start, length in calendar[["kind", "start", "length"]].itertuples(index=False):  # a few events
        rates[start : start + length] *= _SHARE_LEFT[kind]
    plan = _plan(world, is_open, rng)
    is_silent = ~is_open
    for _, event in plan.iterrows():  # a few events, not rows of data
        _happen(rates, is_silent, event)
    counts = rng.poisson(rates * rng.gamma(60, 1 / 60, (len(rates), 1)))
    counts[is_silent] = 0
    plan = pd.concat([plan, calendar]) if len(calendar) else plan
    return counts, plan.sort_values("start", ignore_index=True)


def _transaction_file(world: PaymentsWorld, number: int, counts: np.ndarray, rng: np.random.Generator) -> SampleFile:
    """Return the file of one day: only counts above zero; count column and order of rows depend on the edition."""
    minute, status = np.nonzero(counts)
    shuffled = rng.permutation(len(minute))
    name = f"transactions_{number}.csv"
    statuses = np.array(STATUSES, dtype=object)[status]
    if world.last_file_is_dated and number == world.days:
        day = np.datetime64(world.first_day + timedelta(days=number - 1), "s")
        rows = pd.DataFrame(
            {"timestamp": day + minute.astype("timedelta64[m]"), "status": statuses, "count": counts[minute, status]}
        )
        return SampleFile("transactions", name, rows.sort_values(["status", "timestamp"]))
    shuffled = shuffled[np.argsort(minute[shuffled], kind="stable")]
    hour, rest = (pd.Series(part).astype("str").str.zfill(2) for part in (minute // 60, minute % 60))
    rows = pd.DataFrame(
        {
            "time": hour + "h " + rest,
            "status": statuses,
            "f0_" if number % 2 else "count": counts[minute, status],
        }
    )
    return SampleFile("transactions", name, rows.iloc[shuffled])


def transaction_minutes(world: PaymentsWorld, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the transactions of `make_sample` in the form of `fct_payment_minutes`, and the truth.

    Minutes: day, minute_at, status, count, is_observed; every minute and status. Truth: series, started_at, ended_at
    (exclusive), kind, is_incident, why.
    """
    calendar = _calendar(world, generator(seed, "transactions.calendar"))
    counts, plan = _transaction_counts(world, generator(seed, "transactions"), calendar)
    minute_at = pd.Timestamp(world.first_day) + pd.to_timedelta(np.arange(len(counts)), unit="min")
    minutes = pd.DataFrame(
        {
            "minute_at": np.repeat(minute_at, len(STATUSES)),
            "status": np.tile(np.array(STATUSES, dtype=object), len(counts)),
            "count": counts.ravel(),
            "is_observed": np.repeat(counts.any(axis=1), len(STATUSES)),
        }
    )
    minutes.insert(0, "day", minutes["minute_at"].dt.date)
    return minutes, _event_truth(plan, world.first_day)


_FOUR_WEEKS = PaymentsWorld(days=28, incidents_per_day=1.5, benign_per_day=1, checkout_days=1)

WORLDS: Mapping[str, PaymentsWorld] = MappingProxyType(
    {
        "closes at night": replace(_FOUR_WEEKS, opens=8, closes=22),
        "closes at night and on Sundays": replace(_FOUR_WEEKS, opens=9, closes=20.5, rest_days=(6,)),
        "rests on weekends": replace(_FOUR_WEEKS, opens=7, closes=19, rest_days=(5, 6)),
        "keeps irregular hours": replace(_FOUR_WEEKS, opens=8, closes=22, hours_vary_minutes=30),
        "pauses at midday": replace(_FOUR_WEEKS, opens=9, closes=21, pause=(13.5, 16), hours_vary_minutes=15),
        "opens two days a week": replace(
            _FOUR_WEEKS, opens=8, closes=15, rest_days=(0, 1, 3, 4, 6), incidents_per_day=8
        ),
        "has quiet weekends": replace(_FOUR_WEEKS, weekend_share=0.25),
        "grows from nothing": replace(_FOUR_WEEKS, size=0.02, growth_per_day=1.15),
        "grows slowly": replace(_FOUR_WEEKS, growth_per_day=1.03),
        "triples in a month": replace(_FOUR_WEEKS, opens=8, closes=22, growth_per_day=1.04),
        "has pay days": replace(_FOUR_WEEKS, pay_days=(0, 14, 15, 27)),
        "runs promotions": replace(_FOUR_WEEKS, promotions=True),
        "has a few payments a minute": replace(_FOUR_WEEKS, size=0.02),
        "has thousands a minute": replace(_FOUR_WEEKS, size=20),
    }
)
"""Businesses of other kinds than the usual one, by what they are."""


def world_at(scale: float) -> PaymentsWorld:
    """Return the world at a scale: two days or more; from scale 3 on the last file is of the dated edition."""
    days = max(2, round(2 * scale))
    return PaymentsWorld(days=days, checkout_days=days, last_file_is_dated=scale >= 3)


def make_sample(world: PaymentsWorld, seed: int) -> Sample:
    """Generate transaction files, one a day, and checkout files, with the truth.

    Truth: `transactions` (series, started_at, ended_at, kind, is_incident, why; times UTC), `transaction_days`
    (source_file, day) and `checkout_sales` (source_file, hour, kind, expected, observed, why). Benign events have
    is_incident false.
    Raises ValueError for less than one day.
    """
    if world.days < 1 or world.checkout_days < 1:
        raise ValueError("days and checkout_days must be at least 1")
    rng = generator(seed, "transactions")
    counts, plan = _transaction_counts(world, rng, _calendar(world, generator(seed, "transactions.calendar")))
    by_day = counts.reshape(world.days, _MINUTES_PER_DAY, len(STATUSES))
    files = [_transaction_file(world, number, by_day[number - 1], rng) for number in range(1, world.days + 1)]
    checkout_files, anomalies = checkout_sample(world.first_day, world.checkout_days, generator(seed, "checkout_sales"))
    days = pd.DataFrame(
        {
            "source_file": [file.name for file in files],
            "day": [world.first_day + timedelta(days=number) for number in range(world.days)],
        }
    )
    return Sample(
        (*files, *checkout_files),
        {
            "transactions": _event_truth(plan, world.first_day),
            "transaction_days": days,
            "checkout_sales": anomalies,
        },
    )
