"""The candidate graph of one scored account: accounts that share keys with it or with accounts linked with it."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import repeat
from operator import attrgetter, getitem
from typing import Any

import numpy as np
import pyarrow as pa

from quintet.promotions.identity import KINDS, MOST_COUNTED, NEAREST
from quintet.promotions.links import LARGEST_CLUSTER, LINK_FROM, Members

_MOST_SHARERS = tuple(kind.most_sharers for kind in KINDS)

Held = tuple[float, str, int]
"""One of the many holders of a strong key: time of sign-up (infinite if unknown), user, and row (-1 for the guest)."""


@dataclass(frozen=True, slots=True)
class Added:
    """One account by itself."""

    user_id: str
    created_at_s: float
    name: str
    code: np.ndarray
    code_rarity: np.ndarray
    born_at_s: float
    unverified_email: float
    unverified_phone: float
    early_use: float
    agent: int
    agent_share: float
    form: int
    form_share: float
    kind: tuple[int, ...]
    key: tuple[int, ...]


fields_of: Callable[[Added], tuple[Any, ...]] = attrgetter(*(field.name for field in fields(Added)))
"""An added account as a tuple of numbers, texts and arrays, which the garbage collector need not track."""


@dataclass(frozen=True)
class Columns:
    """Many accounts, by row. Row i has the keys `key[key_start[i]:key_start[i + 1]]`, with their kinds in `kind`."""

    user_id: pa.Array
    members: Members
    key_start: np.ndarray
    kind: np.ndarray
    key: np.ndarray


class Stored:
    """One of many accounts, with the fields of `Added`. Its user and keys are read on use: for most, never."""

    __slots__ = (
        *("_columns", "_row", "agent", "agent_share", "born_at_s", "code", "code_rarity", "created_at_s", "name"),
        *("unverified_email", "unverified_phone", "early_use", "form", "form_share"),
    )

    def __init__(self, columns: Columns, row: int) -> None:
        self._columns, self._row = columns, row
        members = columns.members
        codes = slice(members.code_start.item(row), members.code_start.item(row + 1))
        self.created_at_s: float = members.created_at_s.item(row)
        self.name: str = members.name.item(row)
        self.code, self.code_rarity = members.code[codes], members.code_rarity[codes]
        self.born_at_s: float = members.born_at_s.item(row)
        self.unverified_email: float = members.unverified_email.item(row)
        self.unverified_phone: float = members.unverified_phone.item(row)
        self.early_use: float = members.early_use.item(row)
        self.agent: int = members.agent.item(row)
        self.agent_share: float = members.agent_share.item(row)
        self.form: int = members.form.item(row)
        self.form_share: float = members.form_share.item(row)

    @property
    def user_id(self) -> str:
        """The user id."""
        return str(self._columns.user_id[self._row])

    @property
    def kind(self) -> tuple[int, ...]:
        """The kind of each key."""
        return tuple(self._columns.kind[self._keys()].tolist())

    @property
    def key(self) -> tuple[int, ...]:
        """The keys."""
        return tuple(self._columns.key[self._keys()].tolist())

    def _keys(self) -> slice:
        start = self._columns.key_start
        return slice(start.item(self._row), start.item(self._row + 1))


Entry = Added | Stored


def members_of_entries(entries: Sequence[Entry]) -> Members:
    """Return the accounts as members, the input of links."""
    codes = [entry.code for entry in entries]
    return Members(
        created_at_s=np.array([entry.created_at_s for entry in entries]),
        name=np.array([entry.name for entry in entries], dtype=object),
        code_start=np.cumsum([0, *map(len, codes)]),
        code=np.concatenate(codes),
        code_rarity=np.concatenate([entry.code_rarity for entry in entries]),
        born_at_s=np.array([entry.born_at_s for entry in entries]),
        unverified_email=np.array([entry.unverified_email for entry in entries]),
        unverified_phone=np.array([entry.unverified_phone for entry in entries]),
        early_use=np.array([entry.early_use for entry in entries]),
        agent=np.array([entry.agent for entry in entries], dtype=np.int64),
        agent_share=np.array([entry.agent_share for entry in entries]),
        form=np.array([entry.form for entry in entries], dtype=np.int64),
        form_share=np.array([entry.form_share for entry in entries]),
    )


def time_of(entry: Entry) -> float:
    """Return when the account signed up, infinite if that is unknown."""
    return entry.created_at_s if math.isfinite(entry.created_at_s) else math.inf


class CandidateGraph:
    """The scored account (the guest), its cluster, and all accounts that share a key with one of the cluster.

    known: the row of the guest if it is known already; it is ignored. below: later rows joined after the guest. Places
    are positions in `entries`, which holds all guests that are scored together, each with its neighbours.
    """

    def __init__(self, entries: list[Entry], guest: Entry, known: int | None, below: int) -> None:
        self.guest, self.known, self._entries, self._below = len(entries), known, entries, below
        entries.append(guest)
        self._frontier = [self.guest]
        self._place, self._cluster = {-1: self.guest}, {self.guest}
        self._guest_keys = set(guest.key)
        self._sharers: dict[int, list[int]] = {}
        self._in_time: dict[int, list[Held]] = {}
        self._found: set[tuple[int, int]] = set()
        self._fresh: dict[tuple[int, int], list[int]] = {}

    def keys_to_look_up(self) -> dict[int, int]:
        """Return the keys of the frontier that were not looked up before, with the kind of each."""
        frontier = (self._entries[at] for at in self._frontier)
        keys = {key: kind for one in frontier for kind, key in zip(one.kind, one.key, strict=True)}
        for known in keys.keys() & self._sharers.keys():
            del keys[known]
        return keys

    def look_up(
        self,
        keys: Iterable[int],
        holders: Mapping[int, Sequence[int]],
        in_time: Mapping[int, Sequence[Held]],
        entry_of: Callable[[int], Entry],
        points: Sequence[Sequence[float]],
    ) -> bool:
        """Add the known accounts that hold each key, and so the pairs of the frontier; return whether to go on.

        holders: the rows of each key, except of those in `in_time`: strong keys that may have more than `NEAREST`.
        Accounts whose keys alone make a link are the next frontier at once, so a second round of weighing is rare.
        """
        for key in keys:
            if key in in_time:
                self._sort(key, in_time[key])
                continue
            others = [row for row in holders[key] if row != self.known and row < self._below]
            self._sharers[key] = [-1, *others] if key in self._guest_keys else others
        fresh: dict[tuple[int, int], list[int]] = {}
        for at in self._frontier:
            for kind, key in zip(self._entries[at].kind, self._entries[at].key, strict=True):
                sharers = self._sharers[key]
                count = len(sharers)
                most = _MOST_SHARERS[kind]
                if count < 2 or (most is not None and count > most):
                    continue
                if most is None and count > NEAREST:
                    sharers = self._nearest(at, key)
                for row in sharers:
                    other = self._place.get(row)
                    if other is None:
                        other = self._place[row] = len(self._entries)
                        self._entries.append(entry_of(row))
                    pair = (at, other) if at < other else (other, at)
                    counts = fresh.get(pair)
                    if counts is None:
                        if at == other or pair in self._found:
                            continue
                        counts = fresh[pair] = [0] * len(KINDS)
                    if not 0 < counts[kind] <= count:
                        counts[kind] = count
        self._found.update(fresh)
        self._fresh |= fresh
        counted = repeat(MOST_COUNTED)
        return self.take(
            ends for ends, counts in fresh.items() if sum(map(getitem, points, map(min, counts, counted))) >= LINK_FROM
        )

    def _sort(self, key: int, holders: Sequence[Held]) -> None:
        """Note the holders of a strong key in order of time, with the guest if it is one."""
        held = [one for one in holders if one[2] != self.known and one[2] < self._below]
        if key in self._guest_keys:
            guest = self._entries[self.guest]
            insort(held, (time_of(guest), guest.user_id, -1))
        self._in_time[key] = held
        self._sharers[key] = [row for _, _, row in held]

    def _nearest(self, at: int, key: int) -> list[int]:
        """Return the rows of the holders of a key that are nearest in time to the account at this place."""
        held, own = self._in_time[key], self._entries[at]
        place = bisect_left(held, (time_of(own), own.user_id, -1))
        before, after = max(place - NEAREST // 2, 0), place + 1 + NEAREST // 2
        return [row for _, _, row in held[before:after]]

    def take(self, links: Iterable[tuple[int, int]]) -> bool:
        """Make the accounts linked by these pairs the next frontier.

        Return whether there are any, and the cluster is not too large.
        """
        self._frontier = sorted({place for ends in links for place in ends} - self._cluster)
        self._cluster.update(self._frontier)
        return bool(self._frontier) and len(self._cluster) <= LARGEST_CLUSTER

    def fresh_pairs(self) -> dict[tuple[int, int], list[int]]:
        """Return the pairs that were not returned before, with the counts of `Pairs.sharers`."""
        fresh, self._fresh = self._fresh, {}
        return fresh
