"""Honest, unrelated users, and how any of the promotion worlds writes them to files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from quintet.samples.sample import Sample, SampleFile
from quintet.samples.seeding import SECONDS_PER_DAY, as_timestamps, day_start, faker, uuids

_MAIL_DOMAINS = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "gmx.net", "proton.me")
_MAIL_WEIGHTS = (0.52, 0.16, 0.14, 0.1, 0.04, 0.04)


@dataclass
class People:
    """The columns of users, an array each; created_at is Unix seconds, dob a day."""

    user_id: np.ndarray
    created_at: np.ndarray
    mail_name: np.ndarray
    mail_domain: np.ndarray
    is_email_verified: np.ndarray
    phone: np.ndarray
    is_phone_verified: np.ndarray
    first_name: np.ndarray
    last_name: np.ndarray
    ip_address: np.ndarray
    device_id: np.ndarray
    user_agent: np.ndarray
    city: np.ndarray
    gender: np.ndarray
    dob: np.ndarray
    timezone: np.ndarray


def people(count: int, rng: np.random.Generator, first_day: date, days: int) -> People:
    """Return `count` people who have nothing in common but their mail providers, cities and browsers."""
    fake = faker(rng)
    first_names = np.array([fake.first_name() for _ in range(1_500)], dtype=object)
    last_names = np.array([fake.last_name() for _ in range(1_500)], dtype=object)
    agents = np.array(
        [maker() for _ in range(200) for maker in (fake.chrome, fake.safari, fake.android_platform_token)], dtype=object
    )
    places = [fake.location_on_land() for _ in range(400)]
    place = np.minimum(rng.geometric(0.02, count), len(places)) - 1
    first, last = first_names[rng.integers(0, 1_500, count)], last_names[rng.integers(0, 1_500, count)]
    digits = rng.integers(0, 100_000, count).astype(str).astype(object)
    age_days = 365.25 * (18 + rng.gamma(4, 6, count).clip(0, 65))
    return People(
        user_id=uuids(rng, count).astype(object),
        created_at=(day_start(first_day) + rng.random(count) * days * SECONDS_PER_DAY),
        mail_name=pd.Series(first + last).str.lower().to_numpy(dtype=object) + digits,
        mail_domain=rng.choice(np.array(_MAIL_DOMAINS, dtype=object), count, p=_MAIL_WEIGHTS),
        is_email_verified=rng.random(count) < 0.8,
        phone=("1" + pd.Series(rng.integers(2_012_000_000, 9_899_999_999, count)).astype(str)).to_numpy(dtype=object),
        is_phone_verified=rng.random(count) < 0.6,
        first_name=first,
        last_name=last,
        ip_address=_addresses(count, rng),
        device_id=uuids(rng, count).astype(object),
        user_agent=agents[np.minimum(rng.geometric(0.01, count), len(agents)) - 1],
        city=np.array([where[2] for where in places], dtype=object)[place],
        gender=np.where(rng.random(count) < 0.5, "Female", "Male").astype(object),
        dob=np.datetime64(first_day) - age_days.astype(int),
        timezone=np.array([where[4] for where in places], dtype=object)[place],
    )


def _addresses(count: int, rng: np.random.Generator) -> np.ndarray:
    first = rng.choice([24, 47, 68, 73, 86, 98, 107, 174], count)
    octets = [part.astype(str).astype(object) for part in (first, *(rng.integers(0, 255, count) for _ in range(3)))]
    return np.asarray(octets[0] + "." + octets[1] + "." + octets[2] + "." + octets[3])


def crowds(
    rows: np.ndarray, smallest: int, largest: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield once (rows, the first row of the group of each): the rows split into groups of random sizes."""
    sizes = rng.integers(smallest, largest + 1, len(rows) // smallest + 1)
    group = np.repeat(np.arange(len(sizes)), sizes)[: len(rows)]
    first = np.unique(group, return_index=True)[1]
    yield rows, rows[first[group]]


def as_sample(
    users: People,
    rows: np.ndarray,
    ring: np.ndarray,
    days: np.ndarray,
    why: np.ndarray,
    rng: np.random.Generator,
    *,
    code_kept: float,
    label_share: float,
) -> Sample:
    """Return the files of users, codes and usages, and the truth.

    rows: the accounts of rings, ring: the number of the ring of each. days: by ring, the time over which it opens its
    accounts. why: of every account. code_kept: how likely an account of a ring uses the ring's code.
    """
    count = len(users.user_id)
    ring_of = np.full(count, -1)
    ring_of[rows] = ring
    ring, ring_days = ring_of, np.append(days, 0.0)[ring_of]
    is_abuser = ring >= 0
    codes = np.array([f"{word}{number}" for number in range(1, 81) for word in ("SAVE", "HELLO", "GIFT")], dtype=object)
    popularity = rng.pareto(1.2, len(codes)) + 0.2
    code = rng.choice(codes, count, p=popularity / popularity.sum())
    of_ring = rng.choice(codes, int(ring.max(initial=0)) + 1, p=popularity / popularity.sum())
    keeps = is_abuser & (rng.random(count) < code_kept)
    code[keeps] = of_ring[ring[keeps]]
    used = rng.random(count) < np.where(is_abuser, 0.95, 0.6)
    delay = np.where(is_abuser, rng.exponential(2.0, count), rng.exponential(45.0, count)) * SECONDS_PER_DAY
    used_at = (users.created_at + delay)[used]
    label = np.where(is_abuser, "TRUE", "FALSE").astype(object)
    label[rng.random(count) >= label_share] = None
    frame = pd.DataFrame(
        {
            "user_id": users.user_id,
            "created_at": as_timestamps(users.created_at),
            "email": users.mail_name + "@" + users.mail_domain,
            "is_email_verified": np.where(users.is_email_verified, "TRUE", "FALSE"),
            "phone": users.phone,
            "is_phone_verified": np.where(users.is_phone_verified, "TRUE", "FALSE"),
            "first_name": users.first_name,
            "last_name": users.last_name,
            "ip_address": users.ip_address,
            "device_id": users.device_id,
            "user_agent": users.user_agent,
            "city": users.city,
            "gender": users.gender,
            "dob": pd.Series(users.dob).dt.strftime("%Y-%m-%d"),
            "timezone": users.timezone,
            "is_abuser": label,
        }
    )
    usages = pd.DataFrame(
        {
            "user_id": users.user_id[used],
            "promo_code": code[used],
            "used_at": as_timestamps(used_at),
            "used_promo": "True",
        }
    )
    offers = pd.DataFrame(
        {
            "promo_code": codes,
            "discount_type": "percentage",
            "discount_value": rng.integers(5, 50, len(codes)),
            "min_purchase_amount": rng.integers(20, 200, len(codes)),
        }
    )
    size = np.where(is_abuser, np.bincount(ring[is_abuser], minlength=1)[np.maximum(ring, 0)], 0)
    ring_id = ("ring-" + pd.Series(ring).astype(str)).where(is_abuser, None)
    truth = pd.DataFrame(
        {
            "user_id": users.user_id,
            "is_abuser": is_abuser,
            "ring_id": ring_id,
            "why": why,
            "ring_size": size,
            "ring_days": ring_days,
        }
    )
    return Sample(
        (
            SampleFile("promo_users", "promo_users.csv", frame),
            SampleFile("promo_codes", "promo_codes.csv", offers),
            SampleFile("promo_usages", "promo_usages.csv", usages),
        ),
        {"promo_users": truth},
    )
