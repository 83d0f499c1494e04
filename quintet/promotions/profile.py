"""Profile plausibility: how unusual a sign-up's phone, e-mail domain, names and age are in the population."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from string import ascii_lowercase, digits

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quintet.promotions.accounts import Accounts, column_of, rows_of
from quintet.promotions.identity import KIND_NAMES, KeyRules, identity_keys, is_foreign, usual_country, without_common
from quintet.promotions.mailboxes import mailbox_form
from quintet.promotions.sharing import common_keys, ring_places, sharing_shares, stranger_share

PROFILE_EVIDENCE = ("phone_strange", "email_domain_strange", "name_case_strange", "age_strange", "unverified")

_MOST_VALUES = 5_000
_LONGEST_SHAPE = 32
_MOST_USES = 1_000
_QUANTILES = np.linspace(0, 1, 201)
_LOW, _HIGH = 0.01, 0.99
_LEAST_MEANING = 0.2
_EARLY = 0.2
_LEAST_SHARE = 1e-3
CODE_RARITY_ORDERS = 3
"""The decimal orders from a code that everybody uses to the rarest that is told apart."""
_SHAPES = str.maketrans(dict.fromkeys(digits, "9") | dict.fromkeys(ascii_lowercase, "a"))


@dataclass(frozen=True)
class Commonness:
    """The share of the population whose value is at most as common, by value; `rest` for any other value."""

    tail: Mapping[str, float]
    rest: float

    @classmethod
    def of(cls, values: pa.Array) -> Commonness:
        """Compute it from the known values. Only the most common 5,000 are stored."""
        counts = pc.value_counts(values.drop_null())
        value, count = counts.field("values"), counts.field("counts").to_numpy()
        total = count.sum() + 1
        ranked, inverse = np.unique(count, return_inverse=True)
        tail = np.cumsum(ranked * np.bincount(inverse, minlength=len(ranked))) / total
        common = np.argsort(-count, kind="stable")[:_MOST_VALUES]
        pooled = 1 - count[common].sum() / total
        names = value.take(pa.array(common)).to_pylist()
        return cls(dict(sorted(zip(names, tail[inverse[common]].tolist(), strict=True))), float(pooled))

    def strangeness(self, value: str | None) -> float:
        """Return 0 if a tenth of the population or more is as rare, rising to 1 at a hundredth; 0 for None."""
        if value is None:
            return 0.0
        return min(max(-math.log10(self.tail.get(value, self.rest)) - 1, 0.0), 1.0)


@dataclass(frozen=True)
class Range:
    """The distribution of a value in the population, as 201 quantiles."""

    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, values: np.ndarray) -> Range:
        """Compute it from the values that are not NaN; without any, no value is strange."""
        known = values[np.isfinite(values)]
        return cls(tuple(np.quantile(known, _QUANTILES).tolist()) if len(known) else ())

    @cached_property
    def low(self) -> float:
        """The 1% quantile."""
        return float(np.interp(_LOW, _QUANTILES, self.quantiles)) if self.quantiles else np.nan

    @cached_property
    def high(self) -> float:
        """The 99% quantile."""
        return float(np.interp(_HIGH, _QUANTILES, self.quantiles)) if self.quantiles else np.nan

    def below(self, values: np.ndarray) -> np.ndarray:
        """Return 0 down to a twentieth of the range below the 1% quantile, rising to 1 at a tenth; 0 for NaN."""
        return self._beyond(self.low - values)

    def above(self, values: np.ndarray) -> np.ndarray:
        """Return the same above the 99% quantile."""
        return self._beyond(values - self.high)

    def _beyond(self, distance: np.ndarray) -> np.ndarray:
        width = self.high - self.low
        if not width > 0:
            return np.zeros(len(distance))
        return _from_nought_to_one((distance / width - 0.05) / 0.05)

    def rarity_below(self, values: np.ndarray) -> np.ndarray:
        """Return how rare so low a value is: 0 if all are as low, 1 if a thousandth is; 0 for NaN."""
        if not self.quantiles:
            return np.zeros(len(values))
        share = np.interp(values, self._points, _QUANTILES)
        return _from_nought_to_one(-np.log10(np.maximum(share, _LEAST_SHARE)) / 3)

    @cached_property
    def _points(self) -> np.ndarray:
        return np.array(self.quantiles)


def _from_nought_to_one(values: np.ndarray) -> np.ndarray:
    """Clip the values to 0 and 1; 0 for NaN."""
    return np.fmin(np.fmax(values, 0), 1)


@dataclass(frozen=True)
class Population:
    """Statistics of the people who sign up, frozen with a model, so batch and online scores agree.

    early_use_days: how soon after the sign-up a fifth of first uses are; early_use_share: share of first uses as soon.
    use_count: share of accounts with at least this number of uses. span_seconds: time within which 98% of them signed
    up. code_share: share of the uses, by promotion code. key_sharing: share of accounts that share a key with another,
    by kind of identity key. agent_share, form_share: share of the accounts, by user agent and by form of the mailbox,
    of the most common 5,000 each.
    unverified_phone_share, unverified_email_share: of the accounts for which it is known. stranger_share: share of the
    pairs who alone have a device in common whose last names differ. country, phone_digits,
    common_keys, ring_places: as in `KeyRules`.
    """

    accounts: int
    phone_shape: Commonness
    email_domain: Commonness
    name_case: Commonness
    age_years: Range
    use_lag_days: Range
    early_use_days: float
    early_use_share: float
    use_count: tuple[float, ...]
    span_seconds: float
    code_share: Mapping[str, float]
    key_sharing: Mapping[str, tuple[float, ...]]
    agent_share: Mapping[str, float]
    form_share: Mapping[str, float]
    unverified_phone_share: float
    unverified_email_share: float
    stranger_share: float
    country: str
    phone_digits: int
    common_keys: tuple[str, ...]
    ring_places: tuple[str, ...]

    @classmethod
    def of(cls, accounts: Accounts) -> Population:
        """Compute it from the accounts, without labels."""
        signed_up = Range.of(accounts.created_at_s)
        counts = pc.value_counts(pa.array(accounts.code, pa.string()))
        uses = max(len(accounts.code), 1)
        shares = dict(
            zip(counts.field("values").to_pylist(), (counts.field("counts").to_numpy() / uses).tolist(), strict=True)
        )
        span_seconds = float(np.nan_to_num(signed_up.high - signed_up.low))
        country, phone_digits = usual_country(phone for (phone,) in rows_of(accounts.fields["phone"]))
        lag_days = accounts.use_lag_days[np.isfinite(accounts.use_lag_days)]
        early_use_days = float(np.quantile(lag_days, _EARLY)) if len(lag_days) else 0.0
        keys = identity_keys(accounts, KeyRules(country, phone_digits))
        common = common_keys(keys, accounts, span_seconds)
        keys = without_common(keys, common)
        return cls(
            accounts=len(accounts),
            phone_shape=Commonness.of(column_of(_shapes(accounts))),
            email_domain=Commonness.of(column_of(_domains(accounts))),
            name_case=Commonness.of(column_of(_cases(accounts))),
            age_years=Range.of(accounts.age_years),
            use_lag_days=Range.of(accounts.use_lag_days),
            early_use_days=early_use_days,
            early_use_share=_share_of((lag_days <= early_use_days).astype(float)),
            use_count=_shares_with_as_many(accounts.uses),
            span_seconds=span_seconds,
            code_share=dict(sorted(shares.items())),
            key_sharing=sharing_shares(keys, len(accounts)),
            agent_share=_shares(pa.array(accounts.fields["user_agent"], pa.string())),
            form_share=_shares(column_of(mailbox_forms(accounts))),
            unverified_phone_share=_share_of(accounts.unverified_phone),
            unverified_email_share=_share_of(accounts.unverified_email),
            stranger_share=stranger_share(keys, accounts),
            country=country,
            phone_digits=phone_digits,
            common_keys=common,
            ring_places=ring_places(keys),
        )

    @cached_property
    def key_rules(self) -> KeyRules:
        """What identity keys depend on."""
        return KeyRules(self.country, self.phone_digits, frozenset(self.common_keys), frozenset(self.ring_places))

    def phone_strangeness(self, row: tuple[str | None]) -> float:
        """Return how rare the shape of a row's phone number is; 0 for a plain number of another country."""
        (phone,) = row
        if phone is None or is_foreign(phone, self.country):
            return 0.0
        return self.phone_shape.strangeness(phone_shape(phone))

    def agent_share_of(self, user_agent: str | None) -> float:
        """Return the share of accounts with this user agent, for an unknown one as if it were one of them."""
        return self.agent_share.get(user_agent or "", 1 / (1 + self.accounts))

    def form_share_of(self, form: str | None) -> float:
        """Return the share of accounts whose mailbox has this form, for an unknown one as if it were one of them."""
        return self.form_share.get(form or "", 1 / (1 + self.accounts))

    def code_rarity(self, promo_code: str) -> float:
        """Return 0 for a code that everybody uses, 1 for one with a thousandth of the uses or less."""
        share = self.code_share.get(promo_code, 1 / (1 + self.accounts))
        return min(max(-math.log10(max(share, _LEAST_SHARE)) / CODE_RARITY_ORDERS, 0.0), 1.0)

    @cached_property
    def sharing_meaning(self) -> np.ndarray:
        """By kind of key and number of sharers, 1 where a hundredth of the accounts or less share one with as many.

        It falls to a fifth where nearly half do.
        """
        sharing = np.array([self.key_sharing[name] for name in KIND_NAMES])
        return np.clip(-np.log10(np.maximum(sharing, _LEAST_SHARE)) / 2, _LEAST_MEANING, 1)

    def use_count_strangeness(self, uses: np.ndarray) -> np.ndarray:
        """Return 0 for as many uses as a hundredth of the accounts have or fewer, rising to 1 at twice as many."""
        place = np.minimum(uses, len(self.use_count) - 1).astype(int)
        return self._use_count_strangeness[place]

    @cached_property
    def _use_count_strangeness(self) -> np.ndarray:
        share = np.array(self.use_count)
        most = max(np.count_nonzero(share >= _LOW) - 1, 1)
        return _from_nought_to_one(np.log2(np.maximum(np.arange(len(share)), 1) / most))


def _shares(values: pa.Array) -> dict[str, float]:
    """Return the share of the known values by value, of the most common 5,000."""
    counts = pc.value_counts(values.drop_null())
    value, count = counts.field("values"), counts.field("counts").to_numpy()
    by_value = pc.rank(value, tiebreaker="first").to_numpy()
    common = np.lexsort((by_value, -count))[:_MOST_VALUES]  # the same ones in whatever order accounts come
    shares = (count[common] / max(count.sum(), 1)).tolist()
    return dict(sorted(zip(value.take(pa.array(common)).to_pylist(), shares, strict=True)))


def _share_of(flags: np.ndarray) -> float:
    """Return the share of ones among the known flags; 1 without any, so that none is a surprise."""
    known = flags[np.isfinite(flags)]
    return float(known.mean()) if len(known) else 1.0


def _shares_with_as_many(uses: np.ndarray) -> tuple[float, ...]:
    counts = np.bincount(np.minimum(uses, _MOST_USES).astype(int), minlength=1)
    share = (np.cumsum(counts[::-1])[::-1]) / (len(uses) + 1)
    return (*share.tolist(), 1 / (len(uses) + 1))


def phone_shape(phone: str) -> str:
    """Return the phone with digits as 9 and letters as a: "+9-999-999-9999a999"."""
    return phone[:_LONGEST_SHAPE].lower().translate(_SHAPES)


def email_domain(email: str) -> str:
    """Return the part after the last @ in lower case; all of the text if there is none."""
    return email.lower().rpartition("@")[2]


def name_case(first_name: str, last_name: str) -> str:
    """Return the case of both names, each "lower", "upper", "mixed", "uncased" or "no letters"."""
    return f"{_case(first_name)} {_case(last_name)}"


def _case(name: str) -> str:
    is_lower, is_upper = name == name.lower(), name == name.upper()
    if is_lower and is_upper:
        return "uncased" if name.replace(" ", "").isalpha() else "no letters"
    return "lower" if is_lower else "upper" if is_upper else "mixed"


def mailbox_forms(accounts: Accounts) -> Iterator[str | None]:
    """Return the form of each account's mailbox."""
    rows = rows_of(*(accounts.fields[name] for name in ("email", "first_name", "last_name")))
    return (None if email is None else mailbox_form(email, *names) for email, *names in rows)


def _shapes(accounts: Accounts) -> Iterator[str | None]:
    return (None if phone is None else phone_shape(phone) for (phone,) in rows_of(accounts.fields["phone"]))


def _domains(accounts: Accounts) -> Iterator[str | None]:
    return (None if email is None else email_domain(email) for (email,) in rows_of(accounts.fields["email"]))


def _cases(accounts: Accounts) -> Iterator[str | None]:
    names = rows_of(accounts.fields["first_name"], accounts.fields["last_name"])
    return (None if first is None or last is None else name_case(first, last) for first, last in names)


def profile_evidence(accounts: Accounts, population: Population) -> dict[str, np.ndarray]:
    """Return the columns `PROFILE_EVIDENCE`, each from 0 (common, or unknown) to 1 (very rare).

    unverified: how few people leave e-mail and phone unverified as the account does, up to a hundredth.
    """
    age = population.age_years
    flags = (
        (accounts.unverified_email, population.unverified_email_share),
        (accounts.unverified_phone, population.unverified_phone_share),
    )
    unverified = sum(-math.log10(max(share, _LEAST_SHARE)) * np.nan_to_num(flag) for flag, share in flags)
    return {
        "phone_strange": np.fromiter(map(population.phone_strangeness, rows_of(accounts.fields["phone"])), dtype=float),
        "email_domain_strange": np.fromiter(map(population.email_domain.strangeness, _domains(accounts)), dtype=float),
        "name_case_strange": np.fromiter(map(population.name_case.strangeness, _cases(accounts)), dtype=float),
        "age_strange": np.maximum(age.below(accounts.age_years), age.above(accounts.age_years)),
        "unverified": np.minimum(unverified / 2, 1),
    }
