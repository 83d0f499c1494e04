"""Lists: what an entry matches, when it expires, and which entries are refused."""

from __future__ import annotations

import datetime as dt
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quintet.rules.lists import EntryError, EntryList, Matches

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def has(matches: Matches, entry: str, value: str) -> bool:
    return EntryList.of(matches, [(entry, None)]).has(value, NOW.timestamp())


@pytest.mark.parametrize(
    ("matches", "entry", "value", "is_in"),
    [
        ("value", "Device-1", " device-1", True),
        ("value", "Device-1", "device-11", False),
        ("network", "203.0.113.0/24", "203.0.113.7", True),
        ("network", "203.0.113.0/24", "203.0.114.7", False),
        ("network", "203.0.113.7", "203.0.113.7", True),
        ("network", "203.0.113.0/24", "::ffff:203.0.113.7", True),
        ("network", "2001:db8::/32", "2001:db8:1::5%eth0", True),
        ("network", "2001:db8::/32", "2001:db9::5", False),
        ("network", "0.0.0.0/0", "2001:db9::5", False),
        ("network", "203.0.113.0/24", "not an address", False),
        ("email_domain", "example.com", "ana@Example.COM.", True),
        ("email_domain", "example.com", "ana@mail.example.com", True),
        ("email_domain", "example.com", "ana@notexample.com", False),
        ("email_domain", "mail.example.com", "ana@example.com", False),
        ("phone_prefix", "+44 7911", "0044 (7911) 123-456", True),
        ("phone_prefix", "+44 7911", "+44 7912 123456", False),
        ("phone_prefix", "+44 7911", "+447", False),
    ],
)
def test_an_entry_matches_what_it_names(matches: Matches, entry: str, value: str, is_in: bool) -> None:
    assert has(matches, entry, value) is is_in


@pytest.mark.parametrize(
    ("matches", "entry", "said"),
    [
        ("network", "10.0.0.1/8", "has bits set beyond its length"),
        ("network", "10.0.0.300", "is no address or network"),
        ("email_domain", "no domain", "is no domain"),
        ("email_domain", "example", "is no domain"),
        ("phone_prefix", "call me", "is no phone prefix"),
        ("phone_prefix", "+", "is no phone prefix"),
        ("value", "  ", "is empty"),
        ("value", "a" * 321, "longer than 320"),
        ("value", "a\x00b", "control characters"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused(matches: Matches, entry: str, said: str) -> None:
    with pytest.raises(EntryError, match=said):
        EntryList.of(matches, [(entry, None)])


def test_an_entry_holds_until_it_expires() -> None:
    entries = EntryList.of("value", [("a", NOW), ("b", None)])
    assert entries.has("a", NOW.timestamp() - 1)
    assert not entries.has("a", NOW.timestamp())
    assert entries.has("b", NOW.timestamp())


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_networks_hold_what_the_standard_library_says(base: int, length: int, number: int) -> None:
    network = ipaddress.ip_network((base, length), strict=False)
    address = ipaddress.ip_address(number)
    assert has("network", str(network), str(address)) is (address in network)
    assert has("network", str(network), str(network.broadcast_address))
