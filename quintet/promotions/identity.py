"""Identity keys: normalised values that two accounts of one person share."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress

import duckdb
import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts, Column, column_of, rows_of


@dataclass(frozen=True)
class Kind:
    """A kind of key.

    points: the weight of sharing one. is_soft: whether honest people share it too, so its weight falls with the number
    of sharers. most_sharers: a key of more accounts is a hub, such as a carrier's address, and is ignored.
    """

    name: str
    points: float
    is_soft: bool
    most_sharers: int


_FIELD_KINDS = (
    Kind("device", 3.0, False, 30),
    Kind("email", 3.0, False, 30),
    Kind("phone", 3.0, False, 30),
    Kind("phone_block", 1.6, True, 12),
    Kind("ip", 1.4, True, 50),
    Kind("subnet", 0.8, True, 50),
)
"""In the order of `_keys_of_fields`."""

KINDS = (*_FIELD_KINDS, Kind("code_burst", 1.0, True, 12))
KIND_NAMES = tuple(kind.name for kind in KINDS)
_CODE_BURST = len(_FIELD_KINDS)

FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""Digits of a phone number with its country code (E.164); other lengths give no key."""

_NATIONAL_DIGITS = 10
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


def canonical_email(email: str) -> str | None:
    """Return the address in lower case, without plus tag and dots before the @; None if it is not an address."""
    parts = _EMAIL.fullmatch(email.lower())
    local = parts[1].replace(".", "") if parts else ""
    return f"{local}@{parts[2]}" if parts and local else None


def phone_digits(phone: str) -> str | None:
    """Return the digits without extension and international prefix, at most the last ten; None if not a number.

    The country code is dropped, since one person may write it or not.
    """
    digits = _NO_DIGIT.sub("", phone.lower()).removeprefix("00")
    return digits[-_NATIONAL_DIGITS:] if FEWEST_DIGITS <= len(digits) <= MOST_DIGITS else None


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
    fields: Sequence[str | None], codes: Iterable[str], created_at_s: float
) -> Iterator[tuple[int, str]]:
    """Return the keys of an account, with indices in `KINDS`. fields: by `ID_FIELDS`; created_at_s may be NaN."""
    for kind, key in enumerate(_keys_of_fields(fields)):
        if key is not None:
            yield kind, key
    if math.isfinite(created_at_s):
        for code in codes:
            for key in _code_bursts(code, created_at_s):
                yield _CODE_BURST, key


def _keys_of_fields(fields: Sequence[str | None]) -> tuple[str | None, ...]:
    """Return the keys of the `_FIELD_KINDS`. fields: by `ID_FIELDS`."""
    device, email, phone, ip_address = fields
    digits = None if phone is None else phone_digits(phone)
    line, net = (None, None) if ip_address is None else address_keys(ip_address)
    return (
        None if device is None else device.lower(),
        None if email is None else canonical_email(email),
        digits,
        # A block of a hundred consecutive numbers, often bought together.
        None if digits is None else digits[:-2],
        line,
        net,
    )


def _code_bursts(code: str, created_at_s: float) -> tuple[str, str]:
    """Return a code with the sign-up days in two overlapping windows: sign-ups within a day share at least one."""
    return (
        f"{code}|a|{created_at_s // _BURST_SECONDS:.0f}",
        f"{code}|b|{(created_at_s + _BURST_SECONDS / 2) // _BURST_SECONDS:.0f}",
    )


def identity_keys(accounts: Accounts) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Return `keys_of_account` of all accounts as a long table: account row, index in `KINDS`, key."""
    of_fields = column_of(chain.from_iterable(map(_keys_of_fields, rows_of(*(accounts.fields[f] for f in ID_FIELDS)))))
    has_key = of_fields.is_valid().to_numpy(zero_copy_only=False)
    row, kind = np.divmod(np.flatnonzero(has_key), len(_FIELD_KINDS))
    at_s = accounts.created_at_s[accounts.code_row]
    is_known = np.isfinite(at_s)
    known = np.flatnonzero(is_known)
    codes = compress((code for (code,) in rows_of(accounts.code)), is_known.tolist())
    bursts = column_of(chain.from_iterable(map(_code_bursts, codes, at_s[known].tolist())))
    return (
        np.concatenate([row, np.repeat(accounts.code_row[known], 2)]),
        np.concatenate([kind, np.full(len(bursts), _CODE_BURST)]).astype(np.uint8),
        pa.concat_arrays([of_fields.drop_null(), bursts]),
    )


_SHARING = f"""
    select kind, count(distinct account)
    from (
        select kind, account, count(*) over (partition by kind, key) as sharers
        from (select distinct account, kind, key from identity_key)
    )
    where sharers between 2 and [{", ".join(str(kind.most_sharers) for kind in KINDS)}][kind + 1]
    group by kind
"""


def sharing_shares(accounts: Accounts) -> dict[str, float]:
    """Return by kind the share of accounts that share a key that is not a hub."""
    row, kind, key = identity_keys(accounts)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        counts = dict(connection.sql(_SHARING).fetchall())
    return {name: counts.get(number, 0) / max(len(accounts), 1) for number, name in enumerate(KIND_NAMES)}


def identity_key_table(accounts: Accounts) -> pa.Table:
    """Return the table `identity_key`: user_id, kind, key; one row per account and key."""
    row, kind, key = identity_keys(accounts)
    names = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(KIND_NAMES)).cast(pa.string())
    return pa.table({"user_id": accounts.user_id.take(pa.array(row)), "kind": names, "key": key})


def number_of(values: tuple[object, ...]) -> int:
    """Return 64 bits that identify a text, or a key and its kind, within this process only."""
    return hash(values)


def hashed(*columns: Column) -> np.ndarray:
    """Return `number_of` each row; among ten million rows a collision has odds of about 1 in 400,000."""
    return np.fromiter(map(number_of, rows_of(*columns)), dtype=np.int64, count=len(columns[0]))
