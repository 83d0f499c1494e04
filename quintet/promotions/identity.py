"""Identity keys: what two accounts of one person have in common, spelt in one way.

Belongs here: which kinds of key there are, how each is made of a sign-up, and the long table `identity_key` of them.
How much it means that two accounts share a key does not belong here (`links.py`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from quintet.promotions.accounts import Accounts


@dataclass(frozen=True)
class Kind:
    """A kind of key.

    points: the weight of sharing one. is_soft: whether honest people share it too, so that it means less the more
    share it. most_sharers: a key that more accounts have is a hub, such as a carrier's address, and means nothing.
    """

    name: str
    points: float
    is_soft: bool
    most_sharers: int


KINDS = (
    Kind("device", 3.0, False, 30),
    Kind("email", 3.0, False, 30),
    Kind("phone", 3.0, False, 30),
    Kind("phone_block", 1.6, True, 12),
    Kind("ip", 1.4, True, 50),
    Kind("subnet", 0.8, True, 50),
    Kind("code_burst", 1.0, True, 12),
)
KIND_NAMES = tuple(kind.name for kind in KINDS)

FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""Of a phone number with its country code (E.164); other lengths identify nobody."""

_NATIONAL_DIGITS = 10
_HASHED_AT_ONCE = 500_000
_BURST_SECONDS = 2 * 86_400
_EMAIL = r"^(?P<local>[^@+]*)(?:\+[^@]*)?@(?P<domain>[^@]+)$"
_IPV4 = r"^(?P<net>\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}$"
_NOT_PUBLIC = (
    r"^(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])"
    r"|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])|22[4-9]|2[3-9]\d|[3-9]\d\d)\."
)


def canonical_email(email: pa.Array) -> pa.Array:
    """Lower case, without plus tag and without dots before the @; null where there is no @."""
    parts = pc.extract_regex(pc.utf8_lower(email), _EMAIL)
    local = pc.replace_substring(pc.struct_field(parts, "local"), ".", "")
    address = pc.binary_join_element_wise(local, pc.struct_field(parts, "domain"), "@")
    return pc.if_else(pc.equal(local, ""), None, address)


def phone_digits(phone: pa.Array) -> pa.Array:
    """The digits without extension and international prefix, at most the last ten; null where they are no number.

    The country code goes, since one person writes it and leaves it out.
    """
    bare = pc.replace_substring_regex(pc.utf8_lower(phone), r"(?:x|ext).*$|[^0-9]", "")
    digits = pc.if_else(pc.starts_with(bare, "00"), pc.utf8_slice_codeunits(bare, 2), bare)
    length = pc.utf8_length(digits)
    is_number = pc.and_(pc.greater_equal(length, FEWEST_DIGITS), pc.less_equal(length, MOST_DIGITS))
    return pc.if_else(is_number, pc.utf8_slice_codeunits(digits, -_NATIONAL_DIGITS), None)


def address_keys(ip_address: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The address that identifies a line, and the net around it; null for private and malformed addresses.

    IPv4: the address and its /24. IPv6: the /64, within which a device changes its address by itself, and the /48.
    """
    is_private = pc.match_substring_regex(ip_address, _NOT_PUBLIC)
    net = pc.struct_field(pc.extract_regex(pc.if_else(is_private, None, ip_address), _IPV4), "net")
    line = pc.if_else(pc.is_valid(net), ip_address, None)
    has_colon = pc.fill_null(pc.match_substring(ip_address, ":"), False)
    if not pc.any(has_colon).as_py():
        return line, net
    distinct = pc.unique(pc.filter(ip_address, has_colon))
    known = [_ipv6_nets(text) for text in distinct.to_pylist()]
    place = pc.index_in(ip_address, value_set=distinct)
    lines, nets = (pa.array([pair[side] for pair in known], pa.string()).take(place) for side in (0, 1))
    return pc.coalesce(line, lines), pc.coalesce(net, nets)


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


def identity_keys(accounts: Accounts) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """The long table of keys: account row, index in `KINDS`, key. An account may have several keys of a kind."""
    fields = accounts.fields
    digits = phone_digits(fields["phone"])
    line, net = address_keys(fields["ip_address"])
    wide = {
        "device": pc.utf8_lower(fields["device_id"]),
        "email": canonical_email(fields["email"]),
        "phone": digits,
        # A block of a hundred numbers that follow one another: bought together.
        "phone_block": pc.utf8_slice_codeunits(digits, 0, -2),
        "ip": line,
        "subnet": net,
    }
    every = pa.concat_arrays(list(wide.values()))
    present = np.flatnonzero(every.is_valid().to_numpy(zero_copy_only=False))
    kinds, rows = np.divmod(present, max(len(accounts), 1))
    code_row, code_key = _code_bursts(accounts)
    return (
        np.concatenate([rows, code_row]),
        np.concatenate([kinds, np.full(len(code_row), len(wide))]).astype(np.uint8),
        pa.concat_arrays([every.drop_null(), code_key]),
    )


def _code_bursts(accounts: Accounts) -> tuple[np.ndarray, pa.Array]:
    """A code and the days of sign-up, in two overlapping windows: who signs up within a day shares one of them."""
    row = accounts.code_row
    at_s = accounts.created_at_s[row]
    is_known = np.isfinite(at_s)
    row, at_s, code = row[is_known], at_s[is_known], accounts.code.filter(pa.array(is_known))
    windows = []
    for name, ahead_s in (("a", 0), ("b", _BURST_SECONDS / 2)):
        number = pa.array(((at_s + ahead_s) // _BURST_SECONDS).astype(np.int64)).cast(pa.string())
        windows.append(pc.binary_join_element_wise(code, pa.scalar(name), number, "|"))
    return np.concatenate([row, row]), pa.concat_arrays(windows)


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
    """By kind, the share of the accounts that have a key in common with another which is no hub."""
    row, kind, key = identity_keys(accounts)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("identity_key", pa.table({"account": pa.array(row), "kind": pa.array(kind), "key": key}))
        counts = dict(connection.sql(_SHARING).fetchall())
    return {name: counts.get(number, 0) / max(len(accounts), 1) for number, name in enumerate(KIND_NAMES)}


def identity_key_table(accounts: Accounts) -> pa.Table:
    """The table `identity_key`: user_id, kind, key; a row a key that an account has."""
    row, kind, key = identity_keys(accounts)
    names = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(KIND_NAMES)).cast(pa.string())
    return pa.table({"user_id": accounts.fields["user_id"].take(pa.array(row)), "kind": names, "key": key})


def hashed(texts: pa.Array) -> np.ndarray:
    """64 bits of each text; among ten million texts the odds of one collision are about 1 in 400,000."""
    parts = [
        pd.util.hash_array(texts.slice(start, _HASHED_AT_ONCE).to_numpy(zero_copy_only=False), categorize=False)
        for start in range(0, len(texts), _HASHED_AT_ONCE)
    ]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *parts])
