"""Identity keys: normalised values that two accounts of one person share."""

from __future__ import annotations

import ipaddress
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from quintet.promotions.accounts import Accounts, Column, code_of, column_of, rows_of


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
    Kind("phone_range", 0.6, 12),
    Kind("ip", 1.4, 50),
    Kind("subnet", 0.8, 50),
    Kind("ring_place", 3.0),
    Kind("mailbox_stem", 1.8, 50),
    Kind("mail_domain", 1.4, 50),
)
"""In the order of `_keys_of_fields`."""

KINDS = (*_FIELD_KINDS, Kind("code_burst", 1.0, 12), Kind("code_agent", 1.2, 12))
NEAREST = 30
"""Of a strong key with more sharers: half of these before, half of these after an account in time are its pairs."""
KIND_NAMES = tuple(kind.name for kind in KINDS)
CODE_BURST, CODE_AGENT = len(_FIELD_KINDS), len(_FIELD_KINDS) + 1

STRONG = tuple(number for number, kind in enumerate(KINDS) if kind.most_sharers is None)

FEWEST_DIGITS, MOST_DIGITS = 7, 15
"""Digits of a phone number with its country code (E.164); other lengths give no key."""

_FEWEST_INTERNATIONAL_DIGITS = 11
_FEWEST_ALIKE = 4
_COUNTRY = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2}")
"""The country calling codes of ITU-T E.164; none is the beginning of another."""
_NO_VALUE = frozenset(("", "-", "0", "n/a", "na", "nil", "none", "null", "test", "undefined", "unknown"))
_DOTLESS = frozenset(("gmail.com", "googlemail.com"))
_INTERNATIONAL = re.compile(r"\+[1-9](?:[ .()-]{0,3}[0-9])*")
_FEWEST_FOREIGN = 9
_BURST_SECONDS = 2 * 86_400
_EMAIL = re.compile(r"([^@+]*)(?:\+[^@]*)?@([^@]+)")
_NO_LETTER = re.compile(r"[\W\d_]+")
_NO_DIGIT = re.compile(r"(?:x|ext).*$|[^0-9]", re.DOTALL)
_IPV4 = re.compile(r"([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})\.[0-9]{1,3}")
_NOT_PUBLIC = re.compile(
    r"(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2[0-9]|3[01])"
    r"|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|22[4-9]|2[3-9][0-9]|[3-9][0-9][0-9])\."
)
ID_FIELDS = ("device_id", "email", "phone", "ip_address", "first_name", "last_name")
"""The fields that keys are made of, beside the codes that an account used."""
_FEWEST_OF_STEM, _FEWEST_OF_NAME = 4, 3


@dataclass(frozen=True)
class KeyRules:
    """What the keys of a population depend on.

    country: the calling code of most of its phone numbers, "" if unknown; phone_digits: their usual number of digits
    with the code. common: strong keys, as "<kind> <key>", that unrelated people share: placeholders such as a device
    that all browsers of one kind report. They are no keys. ring_places: `place_number` of the addresses and networks
    from which mostly accounts of one ring sign up: whoever else does so belongs to it.
    """

    country: str = ""
    phone_digits: int = 0
    common: frozenset[str] = frozenset()
    ring_places: frozenset[str] = frozenset()


class Keys(NamedTuple):
    """Identity keys of many accounts as a long table: account row, index in `KINDS`, key."""

    row: np.ndarray
    kind: np.ndarray
    key: pa.Array


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


def mailbox_stem(mailbox: str, names: Iterable[str | None]) -> str | None:
    """Return the letters before the @ with the domain, if there is a number or a mark beside them.

    Mailboxes that are numbered have one stem. None for a stem that holds one of the account's own names, since people
    of one name have it in common by chance, and for fewer than four letters.
    """
    local, _, domain = mailbox.partition("@")
    letters = _NO_LETTER.sub("", local)
    if len(letters) < _FEWEST_OF_STEM or letters == local:
        return None
    is_own = any(
        len(part) >= _FEWEST_OF_NAME and part in letters for name in names if name for part in name_parts(name)
    )
    return None if is_own else f"{letters}@{domain}"


def name_parts(name: str) -> list[str]:
    """Return the words of a name in lower case, without accents."""
    plain = name if name.isascii() else unicodedata.normalize("NFKD", name)
    return [_NO_LETTER.sub("", word) for word in plain.lower().split()]


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


def is_foreign(phone: str, country: str) -> bool:
    """Return whether this is a plain international number of another country than the population's."""
    plain = _INTERNATIONAL.fullmatch(phone.strip())
    digits = _NO_DIGIT.sub("", phone) if plain else ""
    code = _COUNTRY.match(digits)
    return code is not None and code[0] != country and _FEWEST_FOREIGN <= len(digits) <= MOST_DIGITS


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
    fields: Sequence[str | None], codes: Iterable[str], created_at_s: float, agent: int, rules: KeyRules
) -> Iterator[tuple[int, str]]:
    """Return the keys of an account, with indices in `KINDS`.

    fields: by `ID_FIELDS`. created_at_s may be NaN. agent: as `agent_number` returns it.
    """
    for kind, key in enumerate(_keys_of_fields(fields, rules)):
        if key is not None and f"{KIND_NAMES[kind]} {key}" not in rules.common:
            yield kind, key
    for code in codes:
        if math.isfinite(created_at_s):
            for key in _code_bursts(code, created_at_s):
                yield CODE_BURST, key
        if agent:
            yield CODE_AGENT, _code_agent(code, agent)


def _keys_of_fields(fields: Sequence[str | None], rules: KeyRules) -> tuple[str | None, ...]:
    """Return the keys of the `_FIELD_KINDS`. fields: by `ID_FIELDS`."""
    device, email, phone, ip_address, *names = (None if text is None else _as_typed(text) for text in fields)
    mailbox = None if email is None else canonical_email(email)
    digits = None if phone is None else phone_key(phone, rules)
    line, net = (None, None) if ip_address is None else address_keys(ip_address)
    return (
        None if device is None else device_key(device),
        mailbox,
        digits,
        # A block of a hundred consecutive numbers, often bought together.
        None if digits is None else digits[:-2],
        None if digits is None else digits[:-3],
        line,
        net,
        _ring_place(line, net, rules.ring_places) if rules.ring_places else None,
        None if mailbox is None else mailbox_stem(mailbox, names),
        None if mailbox is None else mailbox.rpartition("@")[2],
    )


def _ring_place(line: str | None, net: str | None, ring_places: frozenset[str]) -> str | None:
    """Return the address, or else the network, if it is a ring's."""
    return next((place for place in (line, net) if place is not None and place_number(place) in ring_places), None)


def place_number(place: str) -> str:
    """Return an address or network as a short hash: models are kept longer than the accounts they were made of."""
    return blake2b(place.encode(), digest_size=8).hexdigest()


def _as_typed(text: str) -> str:
    """Return the text without what a reader does not see: zero-width characters, and full-width ones as plain."""
    return text if text.isascii() else code_of(text)


def _code_bursts(code: str, created_at_s: float) -> tuple[str, str]:
    """Return a code with the sign-up days in two overlapping windows: sign-ups within a day share at least one."""
    return (
        f"{code}|a|{created_at_s // _BURST_SECONDS:.0f}",
        f"{code}|b|{(created_at_s + _BURST_SECONDS / 2) // _BURST_SECONDS:.0f}",
    )


def agent_number(user_agent: str | None) -> int:
    """Return 64 bits that identify a user agent, in every process; 0 if it is unknown."""
    if user_agent is None:
        return 0
    return int.from_bytes(blake2b(user_agent.encode(), digest_size=8).digest(), "little", signed=True)


def agent_numbers(accounts: Accounts) -> np.ndarray:
    """Return `agent_number` of all accounts."""
    agents = rows_of(accounts.fields["user_agent"])
    return np.fromiter((agent_number(agent) for (agent,) in agents), dtype=np.int64, count=len(accounts))


def _code_agent(code: str, agent: int) -> str:
    """Return a code with the user agent: a tool or a phone that is reset has both in common with itself."""
    return f"{code}|{agent:x}"


def identity_keys(accounts: Accounts, rules: KeyRules) -> Keys:
    """Return `keys_of_account` of all accounts."""
    fields = rows_of(*(accounts.fields[name] for name in ID_FIELDS))
    of_fields = column_of(chain.from_iterable(_keys_of_fields(values, rules) for values in fields))
    has_key = of_fields.is_valid()
    row, kind = np.divmod(np.flatnonzero(has_key.to_numpy(zero_copy_only=False)), len(_FIELD_KINDS))
    at_s = accounts.created_at_s[accounts.code_row]
    is_known = np.isfinite(at_s)
    known = np.flatnonzero(is_known)
    codes = compress((code for (code,) in rows_of(accounts.code)), is_known.tolist())
    bursts = column_of(chain.from_iterable(map(_code_bursts, codes, at_s[known].tolist())))
    agent = agent_numbers(accounts)[accounts.code_row]
    with_agent = np.flatnonzero(agent)
    codes = compress((code for (code,) in rows_of(accounts.code)), (agent != 0).tolist())
    of_agents = column_of(map(_code_agent, codes, agent[with_agent].tolist()))
    keys = Keys(
        np.concatenate([row, np.repeat(accounts.code_row[known], 2), accounts.code_row[with_agent]]),
        np.concatenate(
            [kind, np.full(len(bursts), CODE_BURST), np.full(len(of_agents), CODE_AGENT)],
            dtype=np.uint8,
            casting="unsafe",
        ),
        pa.concat_arrays([of_fields.filter(has_key), bursts, of_agents]),
    )
    return without_common(keys, rules.common)


def without_common(keys: Keys, common: Collection[str]) -> Keys:
    """Return the keys but for the common ones, as in `KeyRules`."""
    if not common:
        return keys
    is_common = np.zeros(len(keys.row), dtype=bool)
    for number in STRONG:
        prefix = f"{KIND_NAMES[number]} "
        values = pa.array([key.removeprefix(prefix) for key in common if key.startswith(prefix)], pa.string())
        of_kind = np.flatnonzero(keys.kind == number)
        is_common[of_kind] = pc.is_in(keys.key.take(pa.array(of_kind)), values).to_numpy(zero_copy_only=False)
    return Keys(keys.row[~is_common], keys.kind[~is_common], keys.key.filter(pa.array(~is_common)))


MOST_SHARERS_SQL = f"[{', '.join(str(kind.most_sharers or 2**31) for kind in KINDS)}][kind + 1]"
"""An SQL expression for the most sharers of a key of `kind`."""

MOST_COUNTED = max(kind.most_sharers or 0 for kind in KINDS)
"""More sharers of a strong key do not change the weight of a pair."""


def identity_key_table(accounts: Accounts, rules: KeyRules) -> pa.Table:
    """Return the table `identity_key`: user_id, kind, key; one row per account and key."""
    row, kind, key = identity_keys(accounts, rules)
    names = pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int8)), pa.array(KIND_NAMES)).cast(pa.string())
    return pa.table({"user_id": accounts.user_id.take(pa.array(row)), "kind": names, "key": key})


Numbering = Callable[[tuple[object, ...]], int]
"""Gives texts a number that identifies them."""


def number_of(values: tuple[object, ...]) -> int:
    """Return 64 bits that identify a text, or a key and its kind, within this process only."""
    return hash(values)


def number_anywhere(values: tuple[object, ...]) -> int:
    """Return 64 bits that identify texts in any process; a tenth as fast as `number_of`."""
    return int.from_bytes(blake2b(repr(values).encode(), digest_size=8).digest(), signed=True)


def hashed(*columns: Column, number: Numbering = number_of) -> np.ndarray:
    """Return the number of each row; among ten million rows a collision has odds of about 1 in 400,000."""
    return np.fromiter(map(number, rows_of(*columns)), dtype=np.int64, count=len(columns[0]))
