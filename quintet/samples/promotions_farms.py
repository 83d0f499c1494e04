"""Generated users of which some are account farms: one operator with tools, many accounts, at any speed.

A farm owns a few devices, addresses, mailboxes and SIM cards and spreads its accounts over them. The honest share as
well: families, dormitories, carriers, cafes with one computer, companies with one mail domain and one telephone system.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from quintet.samples.promotions_people import People, as_sample, crowds, people
from quintet.samples.sample import Sample
from quintet.samples.seeding import SECONDS_PER_DAY, day_start, generator

_FROM, _DAYS = date(2021, 1, 1), 1_095
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/114.0.0.0 Safari/537.36",
    "Dalvik/2.1.0 (Linux; U; Android 9; SM-G950F Build/PPR1.180610.011)",
    "okhttp/4.9.3",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36",
)


@dataclass(frozen=True)
class FarmsWorld:
    """The parameters of the world.

    farm_share: of the accounts, those that belong to a farm. smallest, largest: accounts of a farm, log-uniform.
    shortest_hours, longest_days: the time that a farm takes to open its accounts, log-uniform.
    device_kept, address_kept, mailbox_kept, sim_kept: how likely an account of a farm uses one of the farm's devices,
        addresses, mailboxes or SIM cards, and not one of its own.
    """

    users: int = 10_000
    farm_share: float = 0.05
    smallest: int = 3
    largest: int = 120
    shortest_hours: float = 1.0
    longest_days: float = 365.0
    device_kept: float = 0.75
    address_kept: float = 0.5
    mailbox_kept: float = 0.35
    sim_kept: float = 0.3
    code_kept: float = 0.8
    label_share: float = 0.0


HARD_FARMS = FarmsWorld(device_kept=0.35, address_kept=0.25, mailbox_kept=0.2, sim_kept=0.15, largest=40)
"""Farms that replace most of what they use."""


def make_farms(world: FarmsWorld, seed: int) -> Sample:
    """Generate users, codes and usages, with the truth.

    Truth: `promo_users` (user_id, is_abuser, ring_id or null, why, ring_size, ring_days); why is `farm` or the honest
    crowd of the user.
    """
    rng = generator(seed, "farms")
    users = people(world.users, rng, _FROM, _DAYS)
    sizes = _sizes(world, rng)
    farm = np.repeat(np.arange(len(sizes)), sizes)
    rows = rng.permutation(world.users)
    farmed, honest = rows[: len(farm)], rows[len(farm) :]
    why = np.full(world.users, "honest", dtype=object)
    _share_honestly(users, honest, why, rng)
    days = _open_accounts(world, users, farmed, farm, len(sizes), rng)
    why[farmed] = "farm"
    return as_sample(users, farmed, farm, days, why, rng, code_kept=world.code_kept, label_share=world.label_share)


def _sizes(world: FarmsWorld, rng: np.random.Generator) -> np.ndarray:
    wanted = round(world.users * world.farm_share)
    drawn = np.exp(rng.uniform(np.log(world.smallest), np.log(world.largest + 1), wanted)).astype(int)
    return drawn[: max(int(np.searchsorted(np.cumsum(drawn), wanted, side="right")), 1)]


def _open_accounts(
    world: FarmsWorld, users: People, rows: np.ndarray, farm: np.ndarray, farms: int, rng: np.random.Generator
) -> np.ndarray:
    """Replace the profiles of `rows` by those of farms; return the days over which each farm opens its accounts."""
    count = len(rows)
    longest = world.longest_days
    days = np.exp(rng.uniform(np.log(world.shortest_hours / 24), np.log(longest), farms))
    start = rng.uniform(0, _DAYS - days)
    users.created_at[rows] = day_start(_FROM) + (start[farm] + rng.random(count) * days[farm]) * SECONDS_PER_DAY

    # tools are bought as the farm grows: one device for each ten accounts or so, one address for each fifteen
    size = np.bincount(farm, minlength=farms)
    users.device_id[rows] = _pooled(users.device_id[rows], farm, size // 10 + 1, world.device_kept, rng)
    users.ip_address[rows] = _pooled(users.ip_address[rows], farm, size // 15 + 1, world.address_kept, rng)
    users.phone[rows] = _pooled(users.phone[rows], farm, size // 6 + 1, world.sim_kept, rng)
    keeps = rng.random(count) < world.mailbox_kept
    name = users.mail_name[rows[np.unique(farm, return_index=True)[1]]]
    for row, own in zip(rows[keeps], farm[keeps], strict=True):
        users.mail_name[row] = _variant(name[own], rng)
        users.mail_domain[row] = "gmail.com"
    agent = rng.integers(0, len(_AGENTS), farms)
    scripted = rng.random(count) < 0.6
    users.user_agent[rows[scripted]] = np.array(_AGENTS, dtype=object)[agent[farm[scripted]]]
    users.is_phone_verified[rows] = rng.random(count) < 0.15
    users.is_email_verified[rows] = rng.random(count) < 0.5
    return days


def _pooled(own: np.ndarray, farm: np.ndarray, pools: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """Return values of which the share `kept` is one of the farm's pool; pools: the number of values of each farm."""
    first = np.concatenate([[0], np.cumsum(pools)])
    pool = own[rng.integers(0, len(own), int(first[-1]))]
    chosen = pool[first[farm] + (rng.random(len(own)) * pools[farm]).astype(int)]
    return np.where(rng.random(len(own)) < kept, chosen, own)


def _variant(name: str, rng: np.random.Generator) -> str:
    """Return another spelling of one Gmail mailbox: a tag after a plus sign, or a dot somewhere."""
    if rng.random() < 0.5:
        return f"{name}+{rng.integers(1, 10_000)}"
    at = int(rng.integers(1, max(len(name), 2)))
    return f"{name[:at]}.{name[at:]}"


def _share_honestly(users: People, honest: np.ndarray, why: np.ndarray, rng: np.random.Generator) -> None:
    """Let honest users live, work and study together."""
    family, dormitory, carrier, cafe, company, _ = np.split(
        rng.permutation(honest), (np.array([0.15, 0.18, 0.26, 0.265, 0.295]) * len(honest)).astype(int)
    )
    for rows, group in crowds(family, 2, 5, rng):
        users.ip_address[rows] = users.ip_address[group]
        users.last_name[rows] = users.last_name[group]
        one = rng.random(len(rows)) < 0.4
        users.device_id[rows[one]] = users.device_id[group[one]]
        line = rng.random(len(rows)) < 0.1
        users.phone[rows[line]] = users.phone[group[line]]
    for rows, group in crowds(dormitory, 30, 90, rng):
        users.ip_address[rows] = users.ip_address[group]
    for rows, group in crowds(carrier, 100, 400, rng):
        users.ip_address[rows] = users.ip_address[group]
    for rows, group in crowds(cafe, 8, 25, rng):
        users.ip_address[rows] = users.ip_address[group]
        users.device_id[rows] = users.device_id[group]
    for rows, group in crowds(company, 10, 60, rng):
        users.ip_address[rows] = users.ip_address[group]
        users.mail_domain[rows] = users.last_name[group] + "-" + users.mail_name[group] + ".com"
        extension = rng.permutation(9_000)[: len(rows)] + 1_000
        users.phone[rows] = np.array([phone[:-4] for phone in users.phone[group]], dtype=object) + extension.astype(
            str
        ).astype(object)
    for name, rows in (
        ("family", family),
        ("dormitory", dormitory),
        ("carrier", carrier),
        ("cafe", cafe),
        ("company", company),
    ):
        why[rows] = name
    replaced = rng.random(len(honest)) < 0.02  # a device that somebody else had before
    users.device_id[honest[replaced]] = rng.permutation(users.device_id[honest[replaced]])
