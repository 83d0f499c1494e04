"""Lists of values: exact values, networks, e-mail domains and phone prefixes, each entry with an optional expiry.

An entry is a key, and a value has a few keys under which an entry may match it: a million entries are a dictionary.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Literal

from quintet.rules.conditions import folded
from quintet.rules.figures import Kind

Matches = Literal["value", "network", "email_domain", "phone_prefix"]
Key = str | tuple[int, int, int]

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9-]{2,}")
_LONGEST_ENTRY = 320
_MOST_DIGITS = 15
_BITS = {4: 32, 6: 128}
_MAPPED = bytes(10) + b"\xff\xff"

KINDS_OF: Mapping[Matches, frozenset[Kind]] = {
    "value": frozenset(("text", "address", "email", "phone")),
    "network": frozenset(("address",)),
    "email_domain": frozenset(("email",)),
    "phone_prefix": frozenset(("phone",)),
}
"""The kinds of figures that each way of matching applies to."""


class EntryError(ValueError):
    """An entry does not fit its list; the message says why and how to write it."""


def _address(text: str) -> tuple[int, int] | None:
    """Return the version and number of an IP address, an IPv4 address within IPv6 as itself; None if it is none."""
    try:
        if ":" not in text:
            return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, text))
        packed = socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return None
    return (4, int.from_bytes(packed[12:])) if packed.startswith(_MAPPED) else (6, int.from_bytes(packed))


def _network_key(text: str) -> Key:
    address, _, given = text.partition("/")
    length = int(given) if given.isascii() and given.isdigit() else _BITS[4] if address == text else -1
    found = _address(address) if ":" not in text and 0 <= length <= _BITS[4] else None
    if found is not None and not found[1] & ((1 << (_BITS[4] - length)) - 1):
        return 4, length, found[1] >> (_BITS[4] - length)  # five times as fast as the standard library
    try:
        network = ip_network(text)
    except ValueError as error:
        why = "has bits set beyond its length" if "host bits" in str(error) else "is no address or network"
        raise EntryError(f"{text} {why}; write it like 203.0.113.0/24") from None
    return (
        network.version,
        network.prefixlen,
        int(network.network_address) >> (network.max_prefixlen - network.prefixlen),
    )


def _domain_key(text: str) -> Key:
    domain = folded(text).removeprefix("@").rstrip(".")
    if not _DOMAIN.fullmatch(domain):
        raise EntryError(f"{text} is no domain; write it like example.com")
    return domain


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text)).removeprefix("00")


def _prefix_key(text: str) -> Key:
    digits = _digits(text)
    if not re.fullmatch(r"[+\d\s().-]+", text) or not 1 <= len(digits) <= _MOST_DIGITS:
        raise EntryError(f"{text} is no phone prefix; write it with the country code, like +44 7911")
    return digits


def _value_key(text: str) -> Key:
    return folded(text)


_KEY_OF: Mapping[Matches, Callable[[str], Key]] = {
    "value": _value_key,
    "network": _network_key,
    "email_domain": _domain_key,
    "phone_prefix": _prefix_key,
}


def key_of_entry(text: str, matches: Matches) -> Key:
    """Return the key of an entry as a person writes it. Raises EntryError if it does not fit."""
    trimmed = text.strip()
    if not trimmed:
        raise EntryError("an entry is empty; remove the line")
    if len(trimmed) > _LONGEST_ENTRY or not trimmed.isprintable():
        raise EntryError(f"{trimmed[:40]!r} is longer than {_LONGEST_ENTRY} characters or has control characters")
    return _KEY_OF[matches](trimmed)


@dataclass(frozen=True)
class ListForm:
    """A list as rules declare it.

    figure: what its entries are compared with. action: what a match does by itself (`allow`, `block`, `watch`), or
    `none` if only conditions name the list.
    """

    name: str
    figure: str
    matches: Matches
    action: str
    sentence: str = ""

    @property
    def code(self) -> str:
        """The reason of what it decides by itself."""
        return f"LIST_{self.name.upper()}"


@dataclass(frozen=True)
class EntryList:
    """The entries of a list: by key, the Unix second at which each expires, infinite if it does not."""

    matches: Matches
    expires: Mapping[Key, float] = field(default_factory=dict)
    lengths: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, matches: Matches, entries: Iterable[tuple[str, dt.datetime | None]]) -> EntryList:
        """Return the list of the entries with their expiry. Raises EntryError for one that does not fit."""
        return cls.of_keys(
            matches,
            (
                (key_of_entry(text, matches), math.inf if until is None else until.timestamp())
                for text, until in entries
            ),
        )

    @classmethod
    def of_keys(cls, matches: Matches, keys: Iterable[tuple[Key, float]]) -> EntryList:
        """Return the list of the keys with the seconds at which they expire."""
        expires = dict(keys)
        if matches == "network":
            lengths = {(key[0], key[1]) for key in expires if isinstance(key, tuple)}
        elif matches == "phone_prefix":
            lengths = {(0, len(key)) for key in expires if isinstance(key, str)}
        else:
            lengths = set()
        return cls(matches, expires, tuple(sorted(lengths)))

    def __len__(self) -> int:
        """The number of entries."""
        return len(self.expires)

    def has(self, value: str, at_s: float) -> bool:
        """Return whether an entry matches the value and has not expired by `at_s`, in Unix seconds."""
        expires = self.expires
        if self.matches == "value":
            until = expires.get(folded(value))
            return until is not None and at_s < until
        return any((until := expires.get(key)) is not None and at_s < until for key in self._keys_of(value))

    def members(self, values: Sequence[str], at_s: float) -> list[bool]:
        """Return whether each of many values is in the list, as `has`; a domain of many addresses is looked up once."""
        if self.matches != "email_domain":
            return [self.has(value, at_s) for value in values]
        known: dict[str, bool] = {}
        found = []
        for value in values:
            domain = value.rpartition("@")[2]
            is_in = known.get(domain)
            if is_in is None:
                is_in = known[domain] = self.has(domain, at_s)
            found.append(is_in)
        return found

    def _keys_of(self, value: str) -> Iterator[Key]:
        if self.matches == "email_domain":
            domain = folded(value).rpartition("@")[2].rstrip(".")
            while "." in domain:
                yield domain
                domain = domain.partition(".")[2]
        elif self.matches == "phone_prefix":
            digits = _digits(value)
            yield from (digits[:length] for _, length in self.lengths if length <= len(digits))
        elif (found := _address(value.strip())) is not None:
            version, number = found
            bits = _BITS[version]
            yield from ((version, length, number >> (bits - length)) for of, length in self.lengths if of == version)
