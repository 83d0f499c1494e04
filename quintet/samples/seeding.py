"""Seeded randomness for all samples: named streams, identifiers, arrival times, groups."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zlib import crc32

import numpy as np
from faker import Faker

SECONDS_PER_DAY = 86_400


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random stream `name` of `seed`; it is independent of the streams of other names."""
    return np.random.default_rng([seed, crc32(name.encode())])


def faker(rng: np.random.Generator) -> Faker:
    """Return a Faker that draws from `rng`."""
    fake = Faker("en_US")
    fake.seed_instance(int(rng.integers(2**32)))
    return fake


def uuids(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return `count` random UUIDs of version 4, as text."""
    octets = np.frombuffer(rng.bytes(16 * count), dtype=np.uint8).reshape(count, 16).copy()
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(octets.tobytes().hex().encode(), dtype="S1").reshape(count, 32)
    dashed = np.ascontiguousarray(np.insert(digits, [8, 12, 16, 20], b"-", axis=1))
    return dashed.view("S36").ravel().astype("U36")


def day_start(day: date) -> int:
    """Return midnight UTC of `day`, Unix seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def as_timestamps(unix_seconds: np.ndarray) -> np.ndarray:
    """Return Unix seconds as datetime64[s], UTC."""
    return unix_seconds.astype("int64").astype("datetime64[s]")


def arrival_times(
    rng: np.random.Generator,
    count: int,
    first_day: date,
    days: int,
    hour_weights: Sequence[float],
    weekday_weights: Sequence[float],
) -> np.ndarray:
    """Return `count` sorted arrival times in Unix seconds over `days` days; days differ by a few percent.

    hour_weights: 24 relative loads by UTC hour; weekday_weights: 7 relative loads, Monday first.
    """
    weekdays = (first_day.weekday() + np.arange(days)) % 7
    by_day = np.asarray(weekday_weights)[weekdays] * rng.lognormal(0, 0.06, days)
    load = np.cumsum(np.outer(by_day, hour_weights).ravel())
    hours = np.searchsorted(load, rng.random(count) * load[-1], side="right")
    seconds = day_start(first_day) + hours * 3_600 + rng.integers(0, 3_600, count)
    return np.sort(seconds)


def groups(rng: np.random.Generator, members: int, smallest: int, largest: int) -> np.ndarray:
    """Return the group number, from 0, of each of `members` members; sizes are uniform from `smallest` to `largest`.

    Leftover members join the last group. Fewer members than `smallest` form one small group.
    """
    sizes = rng.integers(smallest, largest + 1, members // smallest + 1)
    ends = np.cumsum(sizes)
    whole = max(int(np.searchsorted(ends, members, side="right")), 1)
    return np.minimum(np.searchsorted(ends, np.arange(members), side="right"), whole - 1)
