"""The online index: every known account by its keys, so that one sign-up is judged in about a millisecond.

Belongs here: finding the accounts that a sign-up is linked with, and adding it. What is made of them is written once,
for batches too (`links.py`, `evidence.py`, `model.py`, `reasons.py`).
"""

from __future__ import annotations

import bisect
import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quintet.online.together import Together
from quintet.promotions.accounts import Accounts, SignUp, Usage, accounts_as_given
from quintet.promotions.candidates import members_of
from quintet.promotions.evidence import own_evidence, stacked
from quintet.promotions.identity import KIND_NAMES, KINDS, hashed, identity_keys
from quintet.promotions.links import (
    LARGEST_CLUSTER,
    LINK_FROM,
    Members,
    Pairs,
    components,
    link_evidence,
    pair_weights,
)
from quintet.promotions.model import AbuseModel
from quintet.promotions.policy import Policy
from quintet.promotions.reasons import Reason, explained, reason_codes

MOST_LINKED = 20
"""Linked accounts that a judgement names: the strongest links."""


@dataclass(frozen=True)
class LinkedAccount:
    """An account that the judged one is linked with: the weight of the link, and the kinds of keys that they share."""

    user_id: str
    weight: float
    shares: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """What is thought of a sign-up; the fields are those of a batch's scores, with sentences and linked accounts."""

    user_id: str
    score: float
    decision: str
    reasons: tuple[Reason, ...]
    linked: tuple[LinkedAccount, ...]
    cluster_id: str | None
    cluster_size: int
    model_version: str


@dataclass(frozen=True)
class _Entry:
    """One account in the index."""

    user_id: str
    created_at_s: float
    name: str
    code: np.ndarray
    code_rarity: np.ndarray
    kind: Sequence[int]
    key: Sequence[int]


@dataclass(frozen=True)
class _Guest:
    """A sign-up before it is judged: what it tells by itself."""

    account: Accounts
    entry: _Entry
    own: Mapping[str, np.ndarray]


class OnlineIndex:
    """Known accounts: those given at the start in arrays, those added since beside them. Threads may share it.

    What sign-ups tell by themselves is worked out for all that come at one time together, since the steps of that are
    written for batches and cost as much for one as for a few.
    Accounts that were added take several times the memory of those in arrays, until the index is built anew.
    """

    def __init__(self, accounts: Accounts, model: AbuseModel, policy: Policy) -> None:
        self.model, self.policy = model, policy
        self._lock = threading.Lock()
        self._user_id = accounts.fields["user_id"]
        self._members = members_of(accounts, model.population)
        row, kind, key = _hashed_keys(accounts)
        by_row = np.argsort(row, kind="stable")
        self._key_start = np.searchsorted(row[by_row], np.arange(len(accounts) + 1))
        self._kind, self._key = kind[by_row], key[by_row]
        by_key = np.argsort(key, kind="stable")
        self._sorted_key, self._holder = key[by_key], row[by_key].astype(np.int32)
        self._added: dict[int, _Entry] = {}
        self._added_row: dict[str, int] = {}
        self._added_holders: dict[int, list[int]] = {}
        self._rows = len(accounts)
        self._guests: Together[tuple[SignUp, Sequence[Usage]], _Guest] = Together(self._guests_of)

    def __len__(self) -> int:
        """How many accounts are known."""
        return self._rows

    def knows(self, user_id: str) -> bool:
        """Whether the account is in the index."""
        with self._lock:
            return self._row(user_id) is not None

    def judge(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> Judgement:
        """Judge the sign-up, with its uses of codes as far as they are known, beside all other known accounts.

        The index is left as it is. What it holds of an account with the same user_id is not looked at.
        """
        return self._judged(self._guests.run((sign_up, usages)))

    def judge_and_add(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> Judgement:
        """Judge the sign-up and make it known, as `judge` and then `add` do."""
        guest = self._guests.run((sign_up, usages))
        judgement = self._judged(guest)
        self._take(guest.entry, usages)
        return judgement

    def _guests_of(self, given: list[tuple[SignUp, Sequence[Usage]]]) -> list[_Guest]:
        accounts = accounts_as_given(given)
        own = own_evidence(accounts, self.model.population)
        entries = self._entries_of(accounts)
        return [
            _Guest(accounts.row(at), entry, {name: values[at : at + 1] for name, values in own.items()})
            for at, entry in enumerate(entries)
        ]

    def _judged(self, guest: _Guest) -> Judgement:
        with self._lock:
            rows, members, pairs, weight, shared_code = self._surroundings(guest.entry)
            user_ids = [guest.entry.user_id, *(self._entry(row).user_id for row in rows[1:])]
        is_link = weight >= LINK_FROM
        component = components(len(rows), pairs.a[is_link], pairs.b[is_link])
        links = link_evidence(pairs, weight, shared_code, members, component, self.model.population.span_seconds)
        columns = stacked({**guest.own} | {name: values[:1] for name, values in links.items()})
        score = self.model.scores(columns)
        codes = reason_codes(columns, guest.account, self.model, self.policy.reason_from)[0]
        cluster = np.flatnonzero(component == component[0]).tolist()
        return Judgement(
            user_id=guest.entry.user_id,
            score=float(score[0]),
            decision=str(self.policy.decisions(score)[0]),
            reasons=tuple(explained(code, self.model.population) for code in codes),
            linked=_strongest(pairs, weight, user_ids),
            cluster_id=min(user_ids[row] for row in cluster) if len(cluster) > 1 else None,
            cluster_size=len(cluster),
            model_version=self.model.version,
        )

    def add(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> bool:
        """Make the account known; whether it was not before. Of a known account only new uses are taken over."""
        return self._take(self._entry_of(sign_up, usages), usages)

    def _take(self, entry: _Entry, usages: Sequence[Usage]) -> bool:
        with self._lock:
            row = self._row(entry.user_id)
            if row is None:
                self._put(self._rows, entry, entry.key)
                self._added_row[entry.user_id] = self._rows
                self._rows += 1
                return True
            self._add_uses(row, usages)
            return False

    def add_usage(self, usage: Usage) -> bool:
        """Make a use of a known account known; False where the account is not known."""
        with self._lock:
            row = self._row(usage.user_id)
            if row is not None:
                self._add_uses(row, [usage])
            return row is not None

    def _add_uses(self, row: int, usages: Sequence[Usage]) -> None:
        known = self._entry(row)
        at = None if np.isnan(known.created_at_s) else dt.datetime.fromtimestamp(known.created_at_s, dt.UTC)
        used = self._entry_of(SignUp(known.user_id, at), usages)
        is_new = ~np.isin(used.code, known.code)
        new_keys = [(kind, key) for kind, key in zip(used.kind, used.key, strict=True) if key not in set(known.key)]
        if not is_new.any():
            return
        entry = _Entry(
            known.user_id,
            known.created_at_s,
            known.name,
            np.concatenate([known.code, used.code[is_new]]),
            np.concatenate([known.code_rarity, used.code_rarity[is_new]]),
            [*known.kind, *(kind for kind, _ in new_keys)],
            [*known.key, *(key for _, key in new_keys)],
        )
        self._put(row, entry, [key for _, key in new_keys])

    def _put(self, row: int, entry: _Entry, new_keys: Sequence[int]) -> None:
        self._added[row] = entry
        for key in new_keys:
            self._added_holders.setdefault(key, []).append(row)

    def _row(self, user_id: str) -> int | None:
        row = self._added_row.get(user_id)
        if row is not None:
            return row
        place = bisect.bisect_left(range(len(self._user_id)), user_id, key=lambda at: self._user_id[at].as_py())
        return place if place < len(self._user_id) and self._user_id[place].as_py() == user_id else None

    def _entry(self, row: int) -> _Entry:
        added = self._added.get(row)
        if added is not None:
            return added
        keys = slice(self._key_start[row], self._key_start[row + 1])
        codes = slice(self._members.code_start[row], self._members.code_start[row + 1])
        return _Entry(
            self._user_id[row].as_py(),
            float(self._members.created_at_s[row]),
            self._members.name[row],
            self._members.code[codes],
            self._members.code_rarity[codes],
            self._kind[keys].tolist(),
            self._key[keys].tolist(),
        )

    def _entry_of(self, sign_up: SignUp, usages: Sequence[Usage]) -> _Entry:
        return self._entries_of(accounts_as_given([(sign_up, usages)]))[0]

    def _entries_of(self, accounts: Accounts) -> list[_Entry]:
        members = members_of(accounts, self.model.population)
        row, kind, key = _hashed_keys(accounts)
        entries = []
        for at, user_id in enumerate(accounts.fields["user_id"].to_pylist()):
            codes, keys = slice(*members.code_start[at : at + 2].tolist()), np.flatnonzero(row == at)
            entries.append(
                _Entry(
                    user_id,
                    float(members.created_at_s[at]),
                    members.name[at],
                    members.code[codes],
                    members.code_rarity[codes],
                    kind[keys].tolist(),
                    key[keys].tolist(),
                )
            )
        return entries

    def _holders(self, keys: Sequence[int]) -> list[list[int]]:
        """The known accounts that have each key."""
        wanted = np.array(keys, dtype=np.uint64)
        low, high = self._sorted_key.searchsorted(wanted, "left"), self._sorted_key.searchsorted(wanted, "right")
        return [
            # Of a hub it is enough to know that it is one.
            self._holder[start : min(end, start + _MOST_SHARERS + 2)].tolist() + self._added_holders.get(key, [])
            for key, start, end in zip(keys, low.tolist(), high.tolist(), strict=True)
        ]

    def _surroundings(self, guest: _Entry) -> tuple[list[int], Members, Pairs, np.ndarray, np.ndarray]:
        """The guest (first), its cluster and all that share a key with one of it; their pairs, weighed.

        Rows are numbers of accounts, -1 for the guest; pairs hold places among these.
        """
        known = self._row(guest.user_id)
        guest_keys = set(guest.key)
        rows, place, entries = [-1], {-1: 0}, [guest]
        frontier, cluster = [0], {0}
        looked_up: dict[int, list[int]] = {}
        found: dict[tuple[int, int], list[float]] = {}
        parts: list[tuple[Pairs, np.ndarray, np.ndarray]] = []
        while frontier and len(cluster) <= LARGEST_CLUSTER:
            new_keys = list({key for at in frontier for key in entries[at].key} - looked_up.keys())
            for key, holders in zip(new_keys, self._holders(new_keys), strict=True):
                others = [row for row in holders if row != known] if known is not None else holders
                looked_up[key] = [-1, *others] if key in guest_keys else others
            fresh: dict[tuple[int, int], list[float]] = {}
            for at in frontier:
                for kind, key in zip(entries[at].kind, entries[at].key, strict=True):
                    sharers = looked_up[key]
                    if not 2 <= len(sharers) <= KINDS[kind].most_sharers:
                        continue
                    for row in sharers:
                        other = place.get(row)
                        if other is None:
                            other = place[row] = len(rows)
                            rows.append(row)
                            entries.append(self._entry(row))
                        pair = (at, other) if at < other else (other, at)
                        if at == other or pair in found:
                            continue
                        counts = fresh.setdefault(pair, [0.0] * len(KINDS))
                        counts[kind] = min(counts[kind] or np.inf, len(sharers))
            found |= fresh
            frontier = []
            if fresh:
                ends = np.array(list(fresh), dtype=np.intp)
                pairs = Pairs(ends[:, 0], ends[:, 1], np.array(list(fresh.values())))
                weight, shared_code = pair_weights(pairs, _members_of_entries(entries), self.model.population)
                parts.append((pairs, weight, shared_code))
                is_link = weight >= LINK_FROM
                frontier = sorted(set(ends[is_link].ravel().tolist()) - cluster)
                cluster.update(frontier)
        empty = np.zeros(0, dtype=np.intp)
        pairs = Pairs(
            np.concatenate([empty, *(part.a for part, _, _ in parts)]),
            np.concatenate([empty, *(part.b for part, _, _ in parts)]),
            np.concatenate([np.zeros((0, len(KINDS))), *(part.sharers for part, _, _ in parts)]),
        )
        weight = np.concatenate([np.zeros(0), *(part for _, part, _ in parts)])
        shared_code = np.concatenate([np.zeros(0), *(part for _, _, part in parts)])
        return rows, _members_of_entries(entries), pairs, weight, shared_code


_MOST_SHARERS = max(kind.most_sharers for kind in KINDS)


def _hashed_keys(accounts: Accounts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The identity keys as numbers: account row, kind, key."""
    row, kind, key = identity_keys(accounts)
    # The same text as a key of another kind is another number.
    return row, kind, hashed(key) + kind.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def _members_of_entries(entries: Sequence[_Entry]) -> Members:
    return Members(
        created_at_s=np.array([entry.created_at_s for entry in entries]),
        name=np.array([entry.name for entry in entries], dtype=object),
        code_start=np.cumsum([0, *(len(entry.code) for entry in entries)]),
        code=np.concatenate([entry.code for entry in entries]),
        code_rarity=np.concatenate([entry.code_rarity for entry in entries]),
    )


def _strongest(pairs: Pairs, weight: np.ndarray, user_ids: Sequence[str]) -> tuple[LinkedAccount, ...]:
    """The guest's links, the strongest first. The guest is place 0, which is the first of each of its pairs."""
    own = np.flatnonzero((pairs.a == 0) & (weight >= LINK_FROM))
    own = own[np.argsort(-weight[own], kind="stable")][:MOST_LINKED]
    return tuple(
        LinkedAccount(
            user_ids[pairs.b[at]],
            float(weight[at]),
            tuple(name for name, count in zip(KIND_NAMES, pairs.sharers[at], strict=True) if count > 0),
        )
        for at in own
    )
