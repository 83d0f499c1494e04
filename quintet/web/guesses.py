"""Limit guesses of keys by address, without locking out who has the right one.

Keys that Quintet makes have 256 random bits: nobody guesses them, and they are accepted at once. The admin key of the
settings is chosen by a person. After twenty wrong keys in a minute from an address, it is compared once a second and
in turn, so that a guesser behind the same proxy neither learns it nor keeps its owner out.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

WRONG_KEYS = 20
"""Wrong keys that an address may send in a minute before its guesses are slowed down."""

TURN_SECONDS = 1.0
MOST_WAITING = 5
"""Requests of an address that wait for their turn; more are refused unread."""

_LIMIT = RateLimitItemPerMinute(WRONG_KEYS)
_IPV6_PREFIX = 64  # what one customer usually has


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Guesses:
    """Counts wrong keys by address. sleep: waits for seconds."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._sleep = sleep
        self._turns: dict[str, _Turn] = {}

    def are_many(self, host: str) -> bool:
        """Return whether an address has sent too many wrong keys."""
        return not self._limiter.test(_LIMIT, network_of(host))

    def count(self, host: str) -> None:
        """Count a wrong key."""
        if not self.are_many(host):  # the storage starts a thread for a hit
            self._limiter.hit(_LIMIT, network_of(host))

    async def may_compare(self, host: str) -> bool:
        """Wait for the address's turn to compare a key with the admin key; return False if too many wait already."""
        if not self.are_many(host):
            return True
        turn = self._turns.setdefault(network_of(host), _Turn())
        if turn.waiting >= MOST_WAITING:
            return False
        turn.waiting += 1
        try:
            async with turn.lock:
                await self._sleep(TURN_SECONDS)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                self._turns.pop(network_of(host), None)
        return True


def network_of(host: str) -> str:
    """Return the address, or the network of an IPv6 address that its owner can vary freely."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
