"""Limit guesses of keys by address, without locking out who has the right one.

Keys that Quintet makes have 256 random bits: nobody guesses them, and they are accepted at once. The admin key of the
settings is chosen by a person. After twenty wrong keys in a minute from an address, it is compared once a second and
in turn, so that a guesser behind the same proxy neither learns it nor keeps its owner out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from quintet.state.faults import STATE_FAULTS

WRONG_KEYS = 20
"""Wrong keys that an address may send in a minute before its guesses are slowed down."""

TURN_SECONDS = 1.0
MOST_WAITING = 5
"""Requests of an address that wait for their turn; more are refused unread."""

_KNOWN_SECONDS = 5.0
"""How long it is not asked again whether other services have counted too many."""

_LIMIT = RateLimitItemPerMinute(WRONG_KEYS)
_IPV6_PREFIX = 64  # what one customer usually has


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Guesses:
    """Counts wrong keys by address. sleep: waits for seconds.

    shared: where several services count together, counts a wrong key of a network, and returns how many there were in
    the last minute. While it fails, this service counts alone.
    """

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        shared: Callable[[str], int] | None = None,
    ) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._sleep, self._shared = sleep, shared
        self._turns: dict[str, _Turn] = {}
        self._many_until: dict[str, float] = {}

    def are_many(self, host: str) -> bool:
        """Return whether an address has sent too many wrong keys, as far as this service knows."""
        network = network_of(host)
        return self._many_until.get(network, 0.0) > time.monotonic() or not self._limiter.test(_LIMIT, network)

    async def count(self, host: str) -> bool:
        """Count a wrong key; return whether the address had sent too many before."""
        if self.are_many(host):
            return True
        network = network_of(host)
        self._limiter.hit(_LIMIT, network)
        if self._shared is not None:
            with suppress(*STATE_FAULTS):
                if await asyncio.to_thread(self._shared, network) >= WRONG_KEYS:
                    now = time.monotonic()
                    self._many_until = {one: until for one, until in self._many_until.items() if until > now}
                    self._many_until[network] = now + _KNOWN_SECONDS
                    return True
        return False

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
