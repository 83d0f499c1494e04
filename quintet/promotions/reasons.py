"""Reasons: the evidence behind a score, as codes and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.links import LINK_EVIDENCE, burst_seconds
from quintet.promotions.model import AbuseModel
from quintet.promotions.profile import Population


@dataclass(frozen=True)
class Reason:
    """A code with its sentence."""

    code: str
    sentence: str


_OWN_CODES = {
    "phone_strange": "PHONE_MALFORMED",
    "email_domain_strange": "EMAIL_DOMAIN_RARE",
    "name_case_strange": "NAME_CASE_ODD",
    "age_strange": "AGE_IMPLAUSIBLE",
    "use_hasty": "ACCOUNT_AGE_LT",
    "uses_many": "USES",
}
"""By evidence. `use_early` counts with `use_hasty` where at most a tenth of first uses are as early."""
_FEW = 1 / 3

_OWN_NAMES = list(_OWN_CODES.values())
_OWN_COLUMNS = np.array([EVIDENCE.index(name) for name in _OWN_CODES])
_USE_HASTY, _USE_EARLY = list(_OWN_CODES).index("use_hasty"), EVIDENCE.index("use_early")

_LINK_CODES = {
    "device_shared": "DEVICE_SHARED",
    "email_shared": "EMAIL_SHARED",
    "phone_shared": "PHONE_SHARED",
    "phone_block_shared": "PHONE_BLOCK_SHARED",
    "mailbox_stem_shared": "EMAIL_ALIKE",
    "mail_domain_shared": "EMAIL_DOMAIN_SHARED",
    "ip_shared": "IP_SHARED",
    "subnet_shared": "SUBNET_SHARED",
    "burst": "BURST",
    "same_code": "SAME_CODE",
    "cluster_size": "CLUSTER",
}
"""By evidence; the number after the code counts accounts, this one included."""

_LINK_NAMES = list(_LINK_CODES.values())
_LINK_COLUMNS = np.array([EVIDENCE.index(name) for name in LINK_EVIDENCE])
_COUNTED_COLUMNS = np.array([EVIDENCE.index(name) for name in _LINK_CODES])
_IS_NATURAL = np.array([name in {"burst", "same_code"} for name in _LINK_CODES])

_AGE_STEPS_DAYS = (60, 180, 365)

SENTENCES = {
    "PHONE_MALFORMED": "The phone number is written in a very rare format.",
    "EMAIL_DOMAIN_RARE": "The e-mail domain is very rare among users.",
    "NAME_CASE_ODD": "The capital and small letters of the names are very unusual.",
    "AGE_IMPLAUSIBLE": "The age at sign-up is far outside the {youngest:.0f} to {oldest:.0f} years of 98% of people.",
    "ACCOUNT_AGE_LT": "A code was used when the account was less than {number} days old, which few people do.",
    "USES": "The account used codes {number} times, which very few accounts do.",
    "DEVICE_SHARED": "{number} accounts signed up from this device.",
    "EMAIL_SHARED": "{number} accounts have this e-mail address, spelt in one way or another.",
    "PHONE_SHARED": "{number} accounts have this phone number, spelt in one way or another.",
    "PHONE_BLOCK_SHARED": "{number} accounts have phone numbers that are alike but for the last two digits.",
    "EMAIL_ALIKE": "{number} accounts have e-mail addresses that are alike but for digits and dots.",
    "EMAIL_DOMAIN_SHARED": "{number} accounts have e-mail addresses of this domain, which few people use.",
    "IP_SHARED": "{number} accounts signed up from this IP address.",
    "SUBNET_SHARED": "{number} accounts signed up from this part of the network.",
    "BURST": "{number} linked accounts signed up within {burst_hours:.0f} hours of one another.",
    "SAME_CODE": "{number} linked accounts used the same promotion code.",
    "CLUSTER": "{number} accounts are linked with one another.",
}


def reason_codes(columns: np.ndarray, accounts: Accounts, model: AbuseModel, reason_from: float) -> list[list[str]]:
    """Return the reason codes of each account: its own by weight, then those of its links.

    columns: a row of evidence per account. A reason of its own adds at least `reason_from` to the log-odds; reasons of
    links are given if all links together do.
    """
    added = model.contributions(columns)
    own = added[:, _OWN_COLUMNS]
    own[:, _USE_HASTY] += np.where(columns[:, _USE_EARLY] >= _FEW, added[:, _USE_EARLY], 0.0)
    codes: list[list[str]] = [[] for _ in range(len(columns))]
    row, place = np.nonzero(own >= reason_from)
    by_weight = np.lexsort((-own[row, place], row))
    for at, which in zip(row[by_weight].tolist(), place[by_weight].tolist(), strict=True):
        codes[at].append(_own_code(_OWN_NAMES[which], accounts.use_lag_days[at], accounts.uses[at]))
    linked = np.flatnonzero(added[:, _LINK_COLUMNS].sum(axis=1) >= reason_from)
    counts = _accounts_counted(columns[linked][:, _COUNTED_COLUMNS])
    row, place = np.nonzero(counts > 1)
    for at, which, count in zip(linked[row].tolist(), place.tolist(), counts[row, place].tolist(), strict=True):
        codes[at].append(f"{_LINK_NAMES[which]}_{count}")
    return codes


def _own_code(name: str, use_lag_days: float, uses: float) -> str:
    if name == "ACCOUNT_AGE_LT":
        return f"{name}_{_age_step_days(use_lag_days)}D"
    return f"{name}_{uses:.0f}" if name == "USES" else name


def _age_step_days(use_lag_days: float) -> int:
    """Return the step above the lag: whole years for a long one, the first step if it is unknown."""
    lag_days = 0.0 if math.isnan(use_lag_days) else use_lag_days
    return next((step for step in _AGE_STEPS_DAYS if lag_days < step), 365 * (int(lag_days // 365) + 1))


def explained(code: str, population: Population) -> Reason:
    """Return the code with its sentence; for a code of rules that are no longer active, with one that says so."""
    stem, _, last = code.rpartition("_")
    number = last.removesuffix("D")
    name = stem if number.isdigit() else code
    if name not in SENTENCES:
        return Reason(code, "A rule or list that is no longer active.")
    sentence = SENTENCES[name].format(
        number=number,
        youngest=population.age_years.low,
        oldest=population.age_years.high,
        burst_hours=burst_seconds(population.span_seconds) / 3_600,
    )
    return Reason(code, sentence)


def _accounts_counted(values: np.ndarray) -> np.ndarray:
    """Return the numbers of accounts of logarithmic link evidence."""
    return np.rint(np.where(_IS_NATURAL, np.exp(values), np.exp2(values))).astype(int)
