"""Injected rings: invented rings of many sizes and speeds among the accounts at hand, and how many a model catches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from quintet.ml.model_registry import Verdict
from quintet.promotions.accounts import TEXTS, Accounts
from quintet.promotions.evidence import gather
from quintet.promotions.policy import Policy
from quintet.promotions.profile import Population

SEED = 20_260
SIZES = (3, 5, 12, 31, 64, 200, 500)
DAYS = {"an hour": 1 / 24, "three days": 3.0, "a month": 30.0, "a year": 365.0}
"""The time over which a ring opens its accounts."""
SHARED = {
    "a device": ("device",),
    "a phone": ("phone",),
    "a mailbox": ("email",),
    "device, address and code": ("device", "ip", "code"),
    "numbers in a row, address and code": ("phone_block", "ip", "code"),
}
"""The keys that a ring shares."""
LARGE = 12
"""Accounts from which a new model must catch as much of a ring as the active one, and not only as the scorecard."""
TOLERANCE = 0.02

_KEPT = 0.9
_MOST_AROUND = 10_000
_SMALL_SHARES_ALL = 31
_SECONDS_PER_DAY = 86_400
_SIZE_GROUPS = ((3, 5), (12, 31), (64, 500))


class Scorer(Protocol):
    """What is asked of a model: the population that its evidence refers to, and a score by row of evidence."""

    @property
    def population(self) -> Population:
        """The reference for evidence."""

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """Return a score from 0 to 1 for each row of evidence."""


@dataclass(frozen=True)
class InjectedRings:
    """Accounts of a population, and after them those of injected rings.

    rings: a row for each injected account, in order, with its ring's size, days and shared keys, as in `SIZES`, `DAYS`
    and `SHARED`.
    """

    accounts: Accounts
    rings: pd.DataFrame

    def caught(self, models: Mapping[str, Scorer], policy: Policy) -> dict[str, pd.DataFrame]:
        """Return how much of the rings each model flags and blocks: grouped_by, rings, accounts, flagged, blocked.

        grouped_by: size, days or shared; flagged (review or block) and blocked are shares of the accounts.
        """
        columns: dict[int, np.ndarray] = {}
        found = {}
        for name, model in models.items():
            key = id(model.population)
            if key not in columns:
                columns[key] = gather(self.accounts, model.population).columns[len(self.accounts) - len(self.rings) :]
            decision = policy.decisions(model.scores(columns[key]))
            found[name] = _by_group(self.rings.assign(flagged=decision != "allow", blocked=decision == "block"))
        return found


def inject_rings(accounts: Accounts, seed: int = SEED) -> InjectedRings:
    """Add rings to the accounts, or to 10,000 of them where there are more; equal arguments give equal rings.

    The accounts of a ring have the profiles, verifications and codes of random people of the population, at times
    within its own; nine of ten have each key that the ring shares.
    """
    rng = np.random.default_rng(seed)
    around = np.arange(len(accounts))
    if len(around) > _MOST_AROUND:
        around = np.sort(rng.choice(around, _MOST_AROUND, replace=False))
    rings = pd.DataFrame(_ring_rows(), columns=["ring", "size", "days", "shared"])
    if not len(around):
        return InjectedRings(accounts, rings.head(0))
    together = _taken(accounts, np.concatenate([around, rng.choice(around, len(rings))]))
    return InjectedRings(_as_rings(together, len(around), rings, rng), rings)


def _ring_rows() -> Iterator[tuple[int, int, str, str]]:
    """Yield (ring, size, days, shared) for each account: large rings share one of the strong keys, small ones each."""
    ring = 0
    for place, size in enumerate(SIZES):
        for turn, days in enumerate(DAYS):
            names = list(SHARED)
            for shared in names if size <= _SMALL_SHARES_ALL else [names[(place + turn) % 4]]:
                yield from [(ring, size, days, shared)] * size
                ring += 1


def _taken(accounts: Accounts, rows: np.ndarray) -> Accounts:
    """Return the accounts of these rows."""
    count = np.diff(accounts.code_start)[rows]
    start = np.concatenate([[0], np.cumsum(count)])
    code_at = np.arange(start[-1]) - np.repeat(start[:-1] - accounts.code_start[rows], count)
    return Accounts(
        fields={name: pa.array(accounts.fields[name], pa.string()).take(pa.array(rows)) for name in TEXTS},
        code_start=start,
        code=pa.array(accounts.code, pa.string()).take(pa.array(code_at)),
        **{
            name: getattr(accounts, name)[rows]
            for name in (
                *("created_at_s", "born_at_s", "unverified_email", "unverified_phone"),
                *("age_years", "use_lag_days", "uses"),
            )
        },
    )


def _as_rings(accounts: Accounts, first: int, rings: pd.DataFrame, rng: np.random.Generator) -> Accounts:
    """Return the accounts with those from row `first` on turned into the rings."""
    count, ring = len(rings), rings["ring"].to_numpy()
    start = np.unique(ring, return_index=True)[1][ring]
    has = {
        key: np.array([key in SHARED[shared] for shared in rings["shared"]]) & (rng.random(count) < _KEPT)
        for key in ("device", "phone", "email", "phone_block", "ip", "code")
    }
    donor = {name: pa.array(column[first:], pa.string()).to_pylist() for name, column in accounts.fields.items()}
    phone = _phones(donor["phone"], has["phone"] | has["phone_block"], start, rng)
    own: dict[str, list[str | None]] = {
        "user_id": [f"injected account {number}" for number in range(count)],
        "device_id": [f"{number:016x}" for number in rng.integers(0, 2**62, count)],
        "email": [
            None if email is None else f"{name:012x}@{email.rpartition('@')[2]}"
            for name, email in zip(rng.integers(0, 2**47, count), donor["email"], strict=True)
        ],
        "ip_address": [
            ".".join(map(str, parts)) for parts in rng.integers((24, 0, 0, 1), (100, 256, 256, 255), (count, 4))
        ],
    }
    for row in np.flatnonzero(has["phone"]):
        phone[row] = phone[start[row]]
    for row in np.flatnonzero(has["phone_block"]):
        phone[row] = f"{phone[start[row]][:-2]}{row % 100:02}"
    for key, name in (("device", "device_id"), ("ip", "ip_address")):
        for row in np.flatnonzero(has[key]):
            own[name][row] = own[name][start[row]]
    for row in np.flatnonzero(has["email"]):
        own["email"][row] = f"{ring[row]:08x}ring+{row}@gmail.com"
    fields = {
        name: pa.concat_arrays([column[:first], pa.array((own | {"phone": phone}).get(name, donor[name]), pa.string())])
        for name, column in accounts.fields.items()
    }
    created_at_s = accounts.created_at_s.copy()
    created_at_s[first:] = _times(accounts.created_at_s[:first], rings, rng)
    code = _codes(accounts, first + start, first + np.flatnonzero(has["code"]), first)
    return Accounts(
        fields=fields,
        created_at_s=created_at_s,
        born_at_s=accounts.born_at_s,
        unverified_email=accounts.unverified_email,
        unverified_phone=accounts.unverified_phone,
        age_years=accounts.age_years,
        use_lag_days=accounts.use_lag_days,
        uses=accounts.uses,
        code_start=accounts.code_start,
        code=code,
    )


def _phones(
    donor: Sequence[str | None], is_needed: np.ndarray, start: np.ndarray, rng: np.random.Generator
) -> list[str | None]:
    """Return other numbers in the donors' formats: all digits but the first four are drawn.

    start: the first row of each row's ring, which has a number if the ring shares one, though its donor has none.
    """
    needs = set(start[is_needed].tolist())
    known = [phone for phone in donor if phone is not None and sum(map(str.isdigit, phone)) >= 9] or ["+15550100000"]
    phones: list[str | None] = []
    for row, phone in enumerate(donor):
        text = known[row % len(known)] if row in needs else phone
        if text is None:
            phones.append(None)
            continue
        drawn, seen, letters = rng.integers(0, 10, len(text)), 0, []
        for digit, letter in zip(drawn, text, strict=True):
            seen += letter.isdigit()
            letters.append(str(digit) if letter.isdigit() and seen > 4 else letter)
        phones.append("".join(letters))
    return phones


def _times(known: np.ndarray, rings: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Return the times of sign-up: evenly over the ring's days, somewhere within the time of the population."""
    finite = known[np.isfinite(known)]
    if not len(finite):
        return np.full(len(rings), np.nan)
    begin, end = float(finite.min()), float(finite.max())
    lasts = rings["days"].map(DAYS).to_numpy() * _SECONDS_PER_DAY
    starts = rng.random(int(rings["ring"].max()) + 1)[rings["ring"]]
    return np.floor(begin + starts * np.maximum(end - begin - lasts, 0) + rng.random(len(rings)) * lasts)


def _codes(accounts: Accounts, start: np.ndarray, rows: np.ndarray, first: int) -> pa.Array:
    """Return the codes, where those of `rows` have the first code of their ring's first account that has one."""
    code = pa.array(accounts.code, pa.string()).to_pylist()
    has_code = np.diff(accounts.code_start) > 0
    for row in rows[has_code[rows]]:
        origin = start[row - first]
        if has_code[origin]:
            code[accounts.code_start[row]] = code[accounts.code_start[origin]]
    return pa.array(code, pa.string())


def _by_group(rings: pd.DataFrame) -> pd.DataFrame:
    sizes = pd.Series(index=rings.index, dtype=object)
    for low, high in _SIZE_GROUPS:
        sizes[rings["size"].between(low, high)] = f"{low} to {high} accounts"
    parts = [
        rings.groupby(group, sort=False)[["flagged", "blocked"]]
        .agg(["size", "mean"])
        .set_axis(["accounts", "flagged", "_", "blocked"], axis=1)
        .rename_axis("rings")
        .reset_index()
        .assign(grouped_by=name)
        for name, group in (("size", sizes), ("days", rings["days"]), ("shared", rings["shared"]))
    ]
    return pd.concat(parts, ignore_index=True)[["grouped_by", "rings", "accounts", "flagged", "blocked"]]


def ring_verdict(new: pd.DataFrame, scorecard: pd.DataFrame) -> Verdict:
    """Return the promotion gate's verdict on what a new model catches, as `InjectedRings.caught`.

    It must flag as much of the rings as the scorecard in every group, and block as much in every group but that of
    rings of fewer than `LARGE` accounts; `TOLERANCE` is allowed. Small rings look like families, so that labels may
    well teach a model to leave those to a person. The active model is no measure: one of few labels flags more of
    everybody, and which model is active would depend on the order in which labels arrived.
    """
    if worse := _worse(new, scorecard, "flagged") or _worse(_but_small(new), _but_small(scorecard), "blocked"):
        return Verdict(False, f"the new model lets injected rings pass that the scorecard catches: {worse}")
    return Verdict(True, "it catches injected rings as before")


def _but_small(caught: pd.DataFrame) -> pd.DataFrame:
    return caught[~(_least(caught) < LARGE)]


def _least(caught: pd.DataFrame) -> pd.Series:
    """Return the smallest size of the groups by size; NaN for the others."""
    return caught["rings"].str.split().str[0].where(caught["grouped_by"] == "size").astype(float)


def _worse(new: pd.DataFrame, before: pd.DataFrame, measure: str) -> str:
    """Describe the largest fall of a measure; "" if none is above `TOLERANCE`."""
    both = new.merge(before, on=["grouped_by", "rings"], suffixes=("", "_before"))
    falls = both[f"{measure}_before"] - both[measure]
    if both.empty or falls.max() <= TOLERANCE:
        return ""
    worst = both.iloc[int(falls.argmax())]
    shares = f"{worst[measure]:.0%} instead of {worst[f'{measure}_before']:.0%}"
    return f"{shares} {measure} of rings by {worst['grouped_by']} ({worst['rings']})"
