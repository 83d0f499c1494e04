"""Generated users of which some come back under another name: one person, a handful of accounts, over months.

Such a person has one phone and one home, changes what is easy to change, and forgets something each time. Neighbours,
couples and flatmates who recommend a code to each other look much the same and are honest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from quintet.samples.promotions_people import People, as_sample, crowds, people
from quintet.samples.sample import Sample
from quintet.samples.seeding import SECONDS_PER_DAY, day_start, generator

_FROM, _DAYS = date(2022, 6, 1), 730


@dataclass(frozen=True)
class SecondAccountsWorld:
    """The parameters of the world.

    share: of the accounts, those of people with several. smallest, largest: accounts of such a person.
    device_reset, number_changed: how likely the person has a new device or telephone number since the last account.
    gap_days: mean time between two accounts of one person.
    """

    users: int = 10_000
    share: float = 0.04
    smallest: int = 3
    largest: int = 15
    device_reset: float = 0.25
    number_changed: float = 0.5
    gap_days: float = 20.0
    code_kept: float = 0.3
    label_share: float = 0.0


HARD_SECOND_ACCOUNTS = SecondAccountsWorld(device_reset=0.6, number_changed=0.8, gap_days=40.0, largest=8)
"""People who change most of what links their accounts."""


def make_second_accounts(world: SecondAccountsWorld, seed: int) -> Sample:
    """Generate users, codes and usages, with the truth.

    Truth: `promo_users` (user_id, is_abuser, ring_id or null, why, ring_size, ring_days); why is `second_account` or
    the honest crowd of the user. All accounts of a person count as abuse.
    """
    rng = generator(seed, "second_accounts")
    users = people(world.users, rng, _FROM, _DAYS)
    rows = rng.permutation(world.users)
    wanted = round(world.users * world.share)
    sizes = rng.integers(world.smallest, world.largest + 1, wanted)
    sizes = sizes[: max(int(np.searchsorted(np.cumsum(sizes), wanted, side="right")), 1)]
    person = np.repeat(np.arange(len(sizes)), sizes)
    several, honest = rows[: len(person)], rows[len(person) :]
    why = np.full(world.users, "honest", dtype=object)
    _share_honestly(users, honest, why, rng)
    days = _come_back(world, users, several, person, sizes, rng)
    why[several] = "second_account"
    return as_sample(users, several, person, days, why, rng, code_kept=world.code_kept, label_share=world.label_share)


def _come_back(
    world: SecondAccountsWorld,
    users: People,
    rows: np.ndarray,
    person: np.ndarray,
    sizes: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Turn `rows` into later accounts of the first row of each person; return the days between first and last."""
    count = len(rows)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    origin = rows[first[person]]
    gaps = rng.exponential(world.gap_days, count) * (np.arange(count) != first[person])
    passed = pd.Series(gaps).groupby(person).cumsum().to_numpy()
    begins = rng.uniform(0, _DAYS * 0.6, len(sizes))
    users.created_at[rows] = day_start(_FROM) + (begins[person] + passed) * SECONDS_PER_DAY

    users.device_id[rows] = _last_changed(users.device_id[rows], person, world.device_reset, rng)
    users.phone[rows] = _last_changed(users.phone[rows], person, world.number_changed, rng)
    # a home line gets another address of the same network every week or so
    network = pd.Series(users.ip_address[origin]).str.rsplit(".", n=1).str[0]
    same = rng.random(count) < 0.35
    own = network + "." + pd.Series(rng.integers(1, 255, count)).astype(str)
    users.ip_address[rows] = np.where(same, users.ip_address[origin], own.to_numpy(dtype=object))
    for column in ("city", "timezone", "gender"):
        getattr(users, column)[rows] = getattr(users, column)[origin]
    keeps_agent = rng.random(count) < 0.7
    users.user_agent[rows] = np.where(keeps_agent, users.user_agent[origin], users.user_agent[rows])
    keeps_name = rng.random(count) < 0.5
    users.first_name[rows] = np.where(keeps_name, users.first_name[origin], users.first_name[rows])
    users.last_name[rows] = np.where(rng.random(count) < 0.4, users.last_name[origin], users.last_name[rows])
    users.dob[rows] = np.where(rng.random(count) < 0.4, users.dob[origin], users.dob[rows])
    mailbox = rng.random(count)
    tag = pd.Series(rng.integers(1, 1_000, count)).astype(str).to_numpy(dtype=object)
    is_gmail = users.mail_domain[origin] == "gmail.com"
    name, domain = users.mail_name[origin], users.mail_domain[origin]
    tagged = (mailbox < 0.25) & is_gmail
    users.mail_name[rows] = np.where(tagged, name + "+" + tag, users.mail_name[rows])
    numbered = (mailbox >= 0.25) & (mailbox < 0.55)
    users.mail_name[rows] = np.where(numbered, name + tag, users.mail_name[rows])
    users.mail_domain[rows] = np.where(tagged | numbered, domain, users.mail_domain[rows])
    users.is_phone_verified[rows] = rng.random(count) < 0.35
    return pd.Series(passed).groupby(person).max().to_numpy()


def _last_changed(own: np.ndarray, person: np.ndarray, changed: float, rng: np.random.Generator) -> np.ndarray:
    """Return the values that persons use: the last own value at which they changed, in order of their accounts."""
    is_first = np.concatenate([[True], person[1:] != person[:-1]])
    at = np.where(is_first | (rng.random(len(own)) < changed), np.arange(len(own)), 0)
    return own[np.maximum.accumulate(at)]


def _share_honestly(users: People, honest: np.ndarray, why: np.ndarray, rng: np.random.Generator) -> None:
    """Let honest users share flats, providers and telephones."""
    couple, flat, network, tower, _ = np.split(
        rng.permutation(honest), (np.array([0.1, 0.16, 0.36, 0.46]) * len(honest)).astype(int)
    )
    for rows, group in crowds(couple, 2, 2, rng):
        users.ip_address[rows] = users.ip_address[group]
        users.city[rows], users.timezone[rows] = users.city[group], users.timezone[group]
        users.last_name[rows] = np.where(rng.random(len(rows)) < 0.6, users.last_name[group], users.last_name[rows])
        one = rng.random(len(rows)) < 0.5
        users.device_id[rows[one]] = users.device_id[group[one]]
    for rows, group in crowds(flat, 3, 6, rng):
        users.ip_address[rows] = users.ip_address[group]
        users.city[rows], users.timezone[rows] = users.city[group], users.timezone[group]
        one = rng.random(len(rows)) < 0.15
        users.device_id[rows[one]] = users.device_id[group[one]]
    for rows, group in crowds(network, 5, 40, rng):  # neighbours with one provider
        users.ip_address[rows] = (
            pd.Series(users.ip_address[group]).str.rsplit(".", n=1).str[0]
            + "."
            + pd.Series(rng.integers(1, 255, len(rows))).astype(str)
        ).to_numpy(dtype=object)
        users.city[rows], users.timezone[rows] = users.city[group], users.timezone[group]
    for rows, group in crowds(tower, 150, 600, rng):
        users.ip_address[rows] = users.ip_address[group]
    for name, rows in (("couple", couple), ("flat", flat), ("network", network), ("tower", tower)):
        why[rows] = name
