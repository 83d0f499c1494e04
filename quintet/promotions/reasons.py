"""Reasons: the evidence behind a score as short codes and as plain sentences.

Belongs here: which codes there are, when one is given, and its sentence. The same for a batch and for one account.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts
from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.links import LINK_EVIDENCE, burst_seconds
from quintet.promotions.model import AbuseModel
from quintet.promotions.profile import Population


@dataclass(frozen=True)
class Reason:
    """A code and what it says in a sentence."""

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
"""By evidence. `use_early` joins `use_hasty`."""

_OWN_NAMES = list(_OWN_CODES.values())
_NO_NUMBER = -1

_LINK_CODES = {
    "device_shared": "DEVICE_SHARED",
    "email_shared": "EMAIL_SHARED",
    "phone_shared": "PHONE_SHARED",
    "phone_block_shared": "PHONE_BLOCK_SHARED",
    "ip_shared": "IP_SHARED",
    "subnet_shared": "SUBNET_SHARED",
    "burst": "BURST",
    "same_code": "SAME_CODE",
    "cluster_size": "CLUSTER",
}
"""By evidence; the number behind the code counts accounts, this one among them."""

_AGE_STEPS_DAYS = np.array([60, 180, 365])

_SENTENCES = {
    "PHONE_MALFORMED": "The phone number is written as hardly anybody writes one.",
    "EMAIL_DOMAIN_RARE": "Hardly anybody else has an e-mail address of this domain.",
    "NAME_CASE_ODD": "The names are written in capitals and small letters as hardly anybody writes them.",
    "AGE_IMPLAUSIBLE": "The age at sign-up is far outside the {youngest:.0f} to {oldest:.0f} years of 98% of people.",
    "ACCOUNT_AGE_LT": "A code was used when the account was less than {number} days old, which few people do.",
    "USES": "The account used codes {number} times, which hardly any account does.",
    "DEVICE_SHARED": "{number} accounts signed up from this device.",
    "EMAIL_SHARED": "{number} accounts have this e-mail address, spelt in one way or another.",
    "PHONE_SHARED": "{number} accounts have this phone number, spelt in one way or another.",
    "PHONE_BLOCK_SHARED": "{number} accounts have phone numbers that are alike but for the last two digits.",
    "IP_SHARED": "{number} accounts signed up from this IP address.",
    "SUBNET_SHARED": "{number} accounts signed up from this part of the network.",
    "BURST": "{number} linked accounts signed up within {burst_hours:.0f} hours of one another.",
    "SAME_CODE": "{number} linked accounts used the same promotion code.",
    "CLUSTER": "{number} accounts are linked with one another.",
}


def reason_codes(columns: np.ndarray, accounts: Accounts, model: AbuseModel, reason_from: float) -> list[list[str]]:
    """The codes of each account, by its row of evidence, the weightiest first: of its own, then of its links.

    A reason of its own is given where it adds `reason_from` to the log-odds; what is shared is told where links
    together do.
    """
    added = model.contributions(columns)
    by_name = dict(zip(EVIDENCE, range(len(EVIDENCE)), strict=True))
    own = np.stack([added[:, by_name[name]] for name in _OWN_CODES], axis=1)
    own[:, list(_OWN_CODES).index("use_hasty")] += added[:, by_name["use_early"]]
    by_links = added[:, [by_name[name] for name in LINK_EVIDENCE]].sum(axis=1)
    counts = np.stack([_accounts_counted(name, columns[:, by_name[name]]) for name in _LINK_CODES], axis=1)
    told = (by_links >= reason_from)[:, None] & (counts > 1)
    lag_days = np.nan_to_num(accounts.use_lag_days)
    step = np.searchsorted(_AGE_STEPS_DAYS, lag_days, side="right")
    whole_years = 365 * (lag_days // 365 + 1)
    age_days = np.where(step < len(_AGE_STEPS_DAYS), np.append(_AGE_STEPS_DAYS, 0)[step], whole_years).astype(int)
    order = np.argsort(-own, axis=1, kind="stable")
    own_row, rank = np.nonzero(np.take_along_axis(own >= reason_from, order, axis=1))
    own_place = order[own_row, rank]
    numbers = np.full(own.shape, _NO_NUMBER)
    numbers[:, _OWN_NAMES.index("ACCOUNT_AGE_LT")] = age_days
    numbers[:, _OWN_NAMES.index("USES")] = np.rint(accounts.uses)
    link_row, link_place = np.nonzero(told)
    row = np.concatenate([own_row, link_row])
    place = np.concatenate([own_place, len(_OWN_NAMES) + link_place])
    number = np.concatenate([numbers[own_row, own_place], counts[link_row, link_place]])
    by_row = np.argsort(row, kind="stable")  # of one row the own ones stay first
    starts = np.searchsorted(row[by_row], np.arange(len(columns) + 1))
    codes: list[list[str]] = pa.ListArray.from_arrays(starts, _written(place, number).take(by_row)).to_pylist()
    return codes


def _written(place: np.ndarray, number: np.ndarray) -> pa.Array:
    """Codes by their place among all, each with its number."""
    distinct, which = np.unique(np.stack([place, number]), axis=1, return_inverse=True)
    names = [*_OWN_NAMES, *_LINK_CODES.values()]
    texts = [
        names[at] + ("" if count == _NO_NUMBER else f"_{count}") + ("D" if names[at] == "ACCOUNT_AGE_LT" else "")
        for at, count in distinct.T.tolist()
    ]
    return pa.array(texts, pa.string()).take(which.reshape(-1))


def explained(code: str, population: Population) -> Reason:
    """The code with its sentence."""
    stem, _, last = code.rpartition("_")
    number = last.removesuffix("D")
    name = stem if number.isdigit() else code
    sentence = _SENTENCES[name].format(
        number=number,
        youngest=population.age_years.low,
        oldest=population.age_years.high,
        burst_hours=burst_seconds(population.span_seconds) / 3_600,
    )
    return Reason(code, sentence)


def _accounts_counted(name: str, values: np.ndarray) -> np.ndarray:
    """The number of accounts behind a column of link evidence, which is logarithmic."""
    is_natural = name in {"burst", "same_code"}
    return np.rint(np.exp(values) if is_natural else np.exp2(values)).astype(int)
