"""Identity keys: normalised values that two accounts of one person share."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import betainc

from quintet.promotions.accounts import Accounts, Column, code_of, column_of, rows_of
from quintet.warehouse.connect import connect_closed


@dataclass(frozen=True)
class Kind:
    """A kind of key.

    points: the weight of sharing one. most_sharers: of a soft key, which honest people share too, so that its weight
    falls with the number of sharers; a key of more accounts is a hub, such as a carrier's address, and is ignored.
    None for a strong key: however many share it, each is paired with the `NEAREST` others in time.
    """

    name: str
    points: float
    most_sharers: int | None = None


_FIELD_KINDS = (
    Kind("device", 3.0),
    Kind("email", 3.0),
    Kind("phone", 3.0),
    Kind("phone_block", 1.6),
    Kind("ip", 1.4, 50),
    Kind("subnet", 0.8, 50),
)
"""In the order of `_keys_of_fields`."""

KINDS = (*_FIELD_KINDS, Kind("code_burst", 1.0, 12))
NEAREST = 30
"""Of a strong key with more sharers: half of these before, half of these after an account in time are its pairs."""
KIND_NAMES = tuple(kind.name for kind in KINDS)
_CODE_BURST = len(_FIELD_KINDS)

_DEVICE, _PLACES = KIND_NAMES.index("device"), (KIND_NAMES.index("ip"), KIND_NAMES.index("subnet"))

STRONG = tuple(number for number, kind in enumerate(KINDS) if kind.most_sharers is None)

FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""Digits of a phone number with its country code (E.164); other lengths give no key."""

_FEWEST_COMMON, _LEAST_SPREAD, _MOST_IN_COMMON = 10, 0.2, 0.1
_LEAST_ODDS, _MANY = 0.01, 20
_FEWEST_INTERNATIONAL_DIGITS = 11
_FEWEST_ALIKE = 4
_COUNTRY = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}")
"""The country calling codes of ITU-T E.164; none is the beginning of another."""
_NO_VALUE = frozenset(("", "-", "0", "n/a", "na", "nil", "none", "null", "test", "undefined", "unknown"))
_DOTLESS = frozenset(("gmail.com", "googlemail.com"))
_BURST_SECONDS = 2 * 86_400
_EMAIL = re.compile(r"([^@+]*)(?:\+[^@]*)?@([^@]+)")
_NO_DIGIT = re.compile(r"(?:x|ext).*$|[^0-9]", re.DOTALL)
_IPV4 = re.compile(r"([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})\.[0-9]{1,3}")
_NOT_PUBLIC = re.compile(
    r"(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2[0-9]|3[01])"
    r"|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|22[4-9]|2[3-9][0-9]|[3-9][0-9][0-9])\."
)
ID_FIELDS = ("device_id", "email", "phone", "ip_address")
"""The fields that keys are made of, beside the codes that an account used."""


@dataclass(frozen=True)
class KeyRules:
    """What the keys of a population depend on.

    country: the calling code of most of its phone numbers, "" if unknown; phone_digits: their usual number of digits
    with the code. common: strong keys, as "<kind> <key>", that unrelated people share: placeholders such as a device
    that all browsers of one kind report. They are no keys.
    """

    country: str = ""
    phone_digits: int = 0
    common: frozenset[str] = frozenset()


def canonical_email(email: str) -> str | None:
    """Return the mailbox in lower case, without plus tag; None if it is not an address.

    Gmail ignores dots before the @; other providers do not.
    """
    parts = _EMAIL.fullmatch(email.lower())
    if not parts or parts[1] in _NO_VALUE:
        return None
    if parts[2] in _DOTLESS:
        local = parts[1].replace(".", "")
        return f"{local}@gmail.com" if local else None
    return f"{parts[1]}@{parts[2]}"


def device_key(device: str) -> str | None:
    """Return the device in lower case; None for a text that stands for no device, such as zeros or "unknown"."""
    key = device.lower()
    if key in _NO_VALUE:
        return None
    return None if len(key) >= _FEWEST_ALIKE and len(set(key) - set("-_:{} ")) <= 1 else key


def phone_key(phone: str, rules: KeyRules) -> str | None:
    """Return the digits with the country's calling code, without extension; None if it is not a number.

    A number without the code is one of the population's country. Numbers of one digit or in a row of digits stand for
    no number.
    """
    digits = _NO_DIGIT.sub("", phone.lower().replace("(0)", ""))
    if not phone.lstrip().startswith("+"):
        if digits.startswith("00"):
            digits = digits[2:]
        elif rules.country:
            if digits.startswith("0"):
                digits = rules.country + digits[1:]
            elif len(digits) + len(rules.country) == rules.phone_digits:
                digits = rules.country + digits
    national = digits.removeprefix(rules.country)
    if not FEWEST_DIGITS <= len(digits) <= MOST_DIGITS or len(set(national)) == 1 or national in "01234567890":
        return None
    return digits


def usual_country(phones: Iterable[str | None]) -> tuple[str, int]:
    """Return the most frequent calling code of the numbers that have one, and their usual number of digits.

    ("", 0) where no number is written with a plus sign or has enough digits for a code.
    """
    counts = Counter(
        (found[0], len(digits))
        for phone in (None if text is None else _as_typed(text) for text in phones)
        if phone is not None
        for digits in [_NO_DIGIT.sub("", phone.lower()).removeprefix("00")]
        if phone.lstrip().startswith("+") or len(digits) >= _FEWEST_INTERNATIONAL_DIGITS
        if len(digits) <= MOST_DIGITS and (found := _COUNTRY.match(digits))
    )
    by_country: Counter[str] = Counter()
    for (country, _), count in counts.items():
        by_country[country] += count
    if not by_country:
        return "", 0
    country = min(by_country, key=lambda code: (-by_country[code], code))
    return country, min((number for code, number in counts if code == country), key=lambda n: (-counts[country, n], n))


def address_keys(ip_address: str) -> tuple[str | None, str | None]:
    """Return the address that identifies a line, and its network; None for private and malformed addresses.

    IPv4: the address and its /24. IPv6: the /64, within which a device changes its address, and the /48.
    """
    if ":" in ip_address:
        return _ipv6_nets(ip_address)
    net = _IPV4.fullmatch(ip_address)
    return (ip_address, net[1]) if net and not _NOT_PUBLIC.match(ip_address) else (None, None)


def _ipv6_nets(text: str) -> tuple[str | None, str | None]:
    try:
        address = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return None, None
    if address.ipv4_mapped is not None:
        mapped = str(address.ipv4_mapped)
        return (mapped, mapped.rpartition(".")[0]) if address.ipv4_mapped.is_global else (None, None)
    if address.is_private or address.is_link_local or address.is_loopback or address.is_multicast:
        return None, None
    return address.exploded[:19], address.exploded[:14]


def keys_of_account(
    fields: Sequence[str | None], codes: Iterable[str], created_at_s: float, rules: KeyRules
) -> Iterator[tuple[int, str]]:
    """Return the keys of an account, with indices in `KINDS`. fields: by `ID_FIELDS`; created_at_s may be NaN."""
    for kind, key in enumerate(_keys_of_fields(fields, rules)):
        if key is not None and f"{KIND_NAMES[kind]} {key}" not in rules.common:
            yield kind, key
    if math.isfinite(created_at_s):
        for code in codes:
            for key in _code_bursts(code, created_at_s):
                yield _CODE_BURST, key


def _keys_of_fields(fields: Sequence[str | None], rules: KeyRules) -> tuple[str | None, ...]:
    """Return the keys of the `_FIELD_KINDS`. fields: by `ID_FIELDS`."""
    device, email, phone, ip_address = (None if text is None else _as_typed(text) for text in fields)
    digits = None if phone is None else phone_key(phone, rules)
    line, net = (None, None) if ip_address is None else address_keys(ip_address)
    return (
        None if device is None else device_key(device),
        None if email is None else canonical_email(email),
        digits,
        # A block of a hundred consecutive numbers, often bought together.
        None if digits is None else digits[:-2],
        line,
        net,
    )


def _as_typed(text: str) -> str:
    """Return the text without what a reader does not see: zero-width characters, and full-width ones as plain."""
    return text if text.isascii() else code_of(text)


def _code_bursts(code: str, created_at_s: float) -> tuple[str, str]:
    """Return a code with the sign-up days in two overlapping windows: sign-ups within a day share at least one."""
    return (
        f"{code}|a|{created_at_s // _BURST_SECONDS:.0f}",
        f"{code}|b|{(created_at_s + _BURST_SECONDS / 2) // _BURST_SECONDS:.0f}",
    )


def identity_keys(accounts: Accounts, rules: KeyRules) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Return `keys_of_account` of all accounts as a long table: account row, index in `KINDS`, key."""
    fields = rows_of(*(accounts.fields[name] for name in ID_FIELDS))
    of_fields = column_of(chain.from_iterable(_keys_of_fields(values, rules) for values in fields))
    has_key = of_fields.is_valid().to_numpy(zero_copy_only=False)
    for number in STRONG if rules.common else ():
        prefix = f"{KIND_NAMES[number]} "
        common = pa.array([key.removeprefix(prefix) for key in rules.common if key.startswith(prefix)], pa.string())
        places = np.arange(number, len(of_fields), len(_FIELD_KINDS))
        is_common = pc.is_in(of_fields.take(pa.array(places)), common)
        has_key[places] &= ~is_common.to_numpy(zero_copy_only=False)
    row, kind = np.divmod(np.flatnonzero(has_key), len(_FIELD_KINDS))
    at_s = accounts.created_at_s[accounts.code_row]
    is_known = np.isfinite(at_s)
    known = np.flatnonzero(is_known)
    codes = compress((code for (code,) in rows_of(accounts.code)), is_known.tolist())
    bursts = column_of(chain.from_iterable(map(_code_bursts, codes, at_s[known].tolist())))
    return (
        np.concatenate([row, np.repeat(accounts.code_row[known], 2)]),
        np.concatenate([kind, np.full(len(bursts), _CODE_BURST)]).astype(np.uint8),
        pa.concat_arrays([of_fields.filter(pa.array(has_key)), bursts]),
    )


MOST_SHARERS_SQL = f"[{', '.join(str(kind.most_sharers or 2**31) for kind in KINDS)}][kind + 1]"
"""An SQL expression for the most sharers of a key of `kind`."""

MOST_COUNTED = max(kind.most_sharers or 0 for kind in KINDS)
"""More sharers of a strong key do not change the weight of a pair."""

_ACCOUNTS_BY_SHARERS = f"""
    select kind, sharers, count(*)
    from (
        select kind, account, max(sharers) as sharers
        from (
            select kind, account, count(*) over (partition by kind, key) as sharers
            from (select distinct account, kind, key from identity_key)
        )
        where sharers between 2 and {MOST_SHARERS_SQL}
        group by all
    )
    group by all
"""


def sharing_shares(accounts: Accounts, rules: KeyRules) -> dict[str, tuple[float, ...]]:
    """Return by kind, and number of sharers up to `MOST_COUNTED`, how common it is that as many share a key.

    Of a soft kind it is the share of accounts that share a key that is not a hub, for any number. Of a strong kind it
    is the share of those that share a key with a third as many or more, so that a family of six is as common as any;
    of these a key counts for at most twice as many accounts: a large ring must not make its own key common. It never
    rises with the number.
    """
    row, kind, key = identity_keys(accounts, rules)
    with connect_closed(threads=2) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        found = connection.sql(_ACCOUNTS_BY_SHARERS).fetchall()
    shares = np.zeros((len(KINDS), MOST_COUNTED + 1))
    as_many = np.maximum(np.arange(MOST_COUNTED + 1) / 2, 2)
    for number, sharers, count in found:
        counted = count * np.minimum(1, 2 * as_many / sharers) * (as_many <= sharers)
        shares[number] += counted if number in STRONG else count
    shares = np.minimum.accumulate(shares, axis=1)
    return dict(zip(KIND_NAMES, map(tuple, (shares / max(len(accounts), 1)).tolist()), strict=True))


_COMMON = f"""
    with own_key as (
        select distinct identity_key.*, signed_up.* exclude (account)
        from identity_key join signed_up using (account)
        where kind in ({", ".join(map(str, STRONG))})
    ),

    held as (
        select * from own_key
        qualify count(*) over (partition by kind, key) >= {_FEWEST_COMMON}
    ),

    -- one place says nothing about a device: people in a shop or a library are where it stands
    other_key as (
        select distinct account, kind as other_kind, key as other_key
        from identity_key semi join held using (account)
        where kind < {_CODE_BURST}
    ),

    elsewhere as (
        select held.kind, held.key, held.account, other_kind, other_key
        from held join other_key on held.account = other_key.account and held.kind <> other_key.other_kind
        where not (held.kind = {_DEVICE} and other_kind in {_PLACES})
    ),

    agreeing as (
        select kind, key, account from elsewhere
        qualify count(*) over (partition by kind, key, other_kind, other_key) > 1
    ),

    code_share as (select code, count(*) / sum(count(*)) over () as share from used group by code),

    of_code as (
        select held.kind, held.key, used.code, count(*) as uses
        from held join used using (account)
        group by all
    ),

    by_code as (
        select kind, key, sum(uses) as uses, list(struct_pack(uses, share)) as codes
        from of_code join code_share using (code)
        group by all
    ),

    by_agreement as (select kind, key, count(distinct account) as agreeing from agreeing group by all),

    comparable as (
        select kind, key, count(distinct account) as comparable from elsewhere group by all
    )

    select
        kind, key, coalesce(any_value(codes), []),
        sum(unverified_email), count(unverified_email), sum(unverified_phone), count(unverified_phone)
    from held
    left join by_code using (kind, key)
    left join by_agreement using (kind, key)
    join comparable using (kind, key)
    group by kind, key
    having any_value(comparable) >= {1 - _MOST_IN_COMMON} * count(*)
        and coalesce(any_value(agreeing), 0) <= {_MOST_IN_COMMON} * count(*)
        and (count(*) >= {_MANY} or coalesce(any_value(uses), 0) >= {_FEWEST_COMMON} / 2)
        and stddev_pop(created_at_s) >= {_LEAST_SPREAD} * ?
    order by kind, key
"""


def common_keys(accounts: Accounts, rules: KeyRules, span_seconds: float) -> tuple[str, ...]:
    """Return the strong keys that unrelated people share, as "<kind> <key>".

    At least 10 accounts have it; nearly all have other keys, on which hardly any two of them agree, the place of a
    device apart; they use each code as often as the population does; they signed up throughout `span_seconds`, the time
    of the population; and they have verified phones and e-mails as often as it.
    """
    row, kind, key = identity_keys(accounts, rules)
    code = accounts.code if isinstance(accounts.code, pa.Array) else pa.array(accounts.code, pa.string())
    with connect_closed(threads=2) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        connection.register("used", pa.table({"account": pa.array(accounts.code_row), "code": code}))
        times = pa.table(
            {
                "account": np.arange(len(accounts)),
                "created_at_s": accounts.created_at_s,
                "unverified_email": pa.array(accounts.unverified_email, from_pandas=True),
                "unverified_phone": pa.array(accounts.unverified_phone, from_pandas=True),
            }
        )
        connection.register("signed_up", times)
        found = connection.execute(_COMMON, [span_seconds]).fetchall()
    unverified = [_share_of_ones(flags) for flags in (accounts.unverified_email, accounts.unverified_phone)]
    return tuple(
        f"{KIND_NAMES[number]} {value}"
        for number, value, codes, *counts in found
        if not _is_surprising([(code["uses"], sum(one["uses"] for one in codes), code["share"]) for code in codes])
        and not _is_surprising(zip(counts[::2], counts[1::2], unverified, strict=True))
    )


def _share_of_ones(flags: np.ndarray) -> float:
    known = flags[np.isfinite(flags)]
    return float(known.mean()) if len(known) else 1.0


def _is_surprising(counts: Iterable[tuple[int | None, int, float]]) -> bool:
    """Return whether one of several (successes, trials, share of the population) has odds below 1% in all."""
    some = [(successes, trials, share) for successes, trials, share in counts if successes]
    return any(betainc(k, n - k + 1, share) < _LEAST_ODDS / len(some) for k, n, share in some)


def identity_key_table(accounts: Accounts, rules: KeyRules) -> pa.Table:
    """Return the table `identity_key`: user_id, kind, key; one row per account and key."""
    row, kind, key = identity_keys(accounts, rules)
    names = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(KIND_NAMES)).cast(pa.string())
    return pa.table({"user_id": accounts.user_id.take(pa.array(row)), "kind": names, "key": key})


def number_of(values: tuple[object, ...]) -> int:
    """Return 64 bits that identify a text, or a key and its kind, within this process only."""
    return hash(values)


def hashed(*columns: Column) -> np.ndarray:
    """Return `number_of` each row; among ten million rows a collision has odds of about 1 in 400,000."""
    return np.fromiter(map(number_of, rows_of(*columns)), dtype=np.int64, count=len(columns[0]))
