"""The online index: every known account by its keys, so that one sign-up is judged in about a millisecond.

Belongs here: finding the accounts that a sign-up is linked with, and adding it. What is made of them is written once,
for batches too (`links.py`, `evidence.py`, `model.py`, `reasons.py`).
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts, SignUp, Usage, accounts_as_given, rows_of
from quintet.promotions.candidates import members_of
from quintet.promotions.evidence import own_evidence, stacked
from quintet.promotions.identity import (
    ID_FIELDS,
    KIND_NAMES,
    KINDS,
    hashed,
    identity_keys,
    keys_of_account,
    number_of,
)
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
    """What is thought of a sign-up; the fields are those of a batch's scores, with sentences and linked accounts.

    is_new: whether the user was not known before.
    """

    user_id: str
    is_new: bool
    score: float
    decision: str
    reasons: tuple[Reason, ...]
    linked: tuple[LinkedAccount, ...]
    cluster_id: str | None
    cluster_size: int
    model_version: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One account in the index. Tuples of numbers, unlike lists, are nothing that has to be searched for garbage."""

    user_id: str
    created_at_s: float
    name: str
    code: np.ndarray
    code_rarity: np.ndarray
    kind: tuple[int, ...]
    key: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """A sign-up to be judged, with its uses of codes, and whether it is to be known from then on."""

    sign_up: SignUp
    usages: Sequence[Usage]
    joins: bool


class _Neighbourhood:
    """A guest, its cluster and all that share a key with one of it; their pairs, weighed.

    guest: the account that is judged. known: the row that it has already, which is not looked at. below: rows from
    there on came after it. Places count the entries, of which the guest is the first.
    """

    def __init__(self, guest: _Entry, known: int | None, below: int) -> None:
        self.entries, self.frontier = [guest], [0]
        self.known, self._below = known, below
        self._place, self._cluster = {-1: 0}, {0}
        self._guest_keys = set(guest.key)
        self._sharers: dict[int, list[int]] = {}
        self._found: set[tuple[int, int]] = set()
        self._parts: list[tuple[Pairs, np.ndarray, np.ndarray]] = []

    def keys_to_look_up(self) -> list[int]:
        """The keys of the frontier that were not looked up before."""
        return list({key for at in self.frontier for key in self.entries[at].key} - self._sharers.keys())

    def look_up(self, keys: Sequence[int], holders: Sequence[Sequence[int]]) -> None:
        """Take over which known accounts hold each key."""
        for key, rows in zip(keys, holders, strict=True):
            others = [row for row in rows if row != self.known and row < self._below]
            self._sharers[key] = [-1, *others] if key in self._guest_keys else others

    def fresh_pairs(self, entry_of: Callable[[int], _Entry]) -> Pairs:
        """The pairs of the frontier that were not found before, by place."""
        fresh: dict[tuple[int, int], list[float]] = {}
        for at in self.frontier:
            for kind, key in zip(self.entries[at].kind, self.entries[at].key, strict=True):
                sharers = self._sharers[key]
                if not 2 <= len(sharers) <= KINDS[kind].most_sharers:
                    continue
                for row in sharers:
                    other = self._place.get(row)
                    if other is None:
                        other = self._place[row] = len(self.entries)
                        self.entries.append(entry_of(row))
                    pair = (at, other) if at < other else (other, at)
                    if at == other or pair in self._found:
                        continue
                    counts = fresh.setdefault(pair, [0.0] * len(KINDS))
                    counts[kind] = min(counts[kind] or np.inf, len(sharers))
        self._found.update(fresh)
        ends = np.array(list(fresh), dtype=np.intp).reshape(-1, 2)
        return Pairs(ends[:, 0], ends[:, 1], np.array(list(fresh.values())).reshape(-1, len(KINDS)))

    def take(self, pairs: Pairs, weight: np.ndarray, shared_code: np.ndarray) -> None:
        """Take over what the fresh pairs weigh; who is linked by them is the next frontier."""
        self._parts.append((pairs, weight, shared_code))
        is_link = weight >= LINK_FROM
        linked = {*pairs.a[is_link].tolist(), *pairs.b[is_link].tolist()}
        self.frontier = sorted(linked - self._cluster)
        self._cluster.update(self.frontier)

    @property
    def is_open(self) -> bool:
        """Whether the cluster may go on beyond what was looked up, and is not too large to be one."""
        return bool(self.frontier) and len(self._cluster) <= LARGEST_CLUSTER

    def weighed(self) -> tuple[Pairs, np.ndarray, np.ndarray]:
        """All pairs with their weights and the rarity of the rarest code that both used."""
        if len(self._parts) == 1:
            return self._parts[0]
        pairs, weight, shared_code = zip(*self._parts, strict=True)
        return _joined(pairs, [0] * len(pairs)), np.concatenate(weight), np.concatenate(shared_code)


class OnlineIndex:
    """Known accounts: those given at the start in arrays, those added since beside them. Threads may share it.

    Accounts that were added take several times the memory of those in arrays, until the index is built anew.
    """

    def __init__(self, accounts: Accounts, model: AbuseModel, policy: Policy) -> None:
        self.model, self.policy = model, policy
        self._lock = threading.Lock()
        self._user_id = accounts.fields["user_id"]
        user = hashed(self._user_id)
        self._row_of_user = np.argsort(user, kind="stable").astype(np.int32)
        self._sorted_user = user[self._row_of_user]
        self._members = members_of(accounts, model.population)
        row, kind, keys = identity_keys(accounts)
        key = hashed(keys, pa.array(kind))
        by_row = np.argsort(row, kind="stable")
        self._key_start = np.searchsorted(row[by_row], np.arange(len(accounts) + 1))
        self._kind, self._key = kind[by_row], key[by_row]
        by_key = np.argsort(key, kind="stable")
        self._sorted_key, self._holder = key[by_key], row[by_key].astype(np.int32)
        self._added: dict[int, _Entry] = {}
        self._added_row: dict[str, int] = {}
        self._added_holders: dict[int, tuple[int, ...]] = {}
        self._rows = len(accounts)

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
        return self.judge_in_turn([Asked(sign_up, usages, joins=False)])[0]

    def judge_and_add(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> Judgement:
        """Judge the sign-up and make it known, as `judge` and then `add` do."""
        return self.judge_in_turn([Asked(sign_up, usages, joins=True)])[0]

    def judge_in_turn(self, asked: Sequence[Asked]) -> list[Judgement]:
        """What `judge` and `judge_and_add` say of each, one after another: the later ones see who joined before.

        The steps are written for batches: a few together cost much less than each by itself.
        """
        accounts = accounts_as_given([(one.sign_up, one.usages) for one in asked])
        with self._lock:
            around = self._surroundings(asked, self._entries_of(accounts))
        starts = np.cumsum([0, *(len(one.entries) for one in around)])
        weighed = [one.weighed() for one in around]
        pairs = _joined([one for one, _, _ in weighed], starts)
        weight = np.concatenate([one for _, one, _ in weighed])
        shared_code = np.concatenate([one for _, _, one in weighed])
        members = _members_of_entries([entry for one in around for entry in one.entries])
        is_link = weight >= LINK_FROM
        component = components(len(members), pairs.a[is_link], pairs.b[is_link])
        links = link_evidence(pairs, weight, shared_code, members, component, self.model.population.span_seconds)
        own = own_evidence(accounts, self.model.population)
        columns = stacked(own | {name: values[starts[:-1]] for name, values in links.items()})
        scores = self.model.scores(columns)
        decisions = self.policy.decisions(scores)
        codes = reason_codes(columns, accounts, self.model, self.policy.reason_from)
        judgements = []
        for at, one in enumerate(around):
            own_component = component[starts[at] : starts[at + 1]]
            cluster = np.flatnonzero(own_component == own_component[0]).tolist()
            judgements.append(
                Judgement(
                    user_id=one.entries[0].user_id,
                    is_new=one.known is None,
                    score=float(scores[at]),
                    decision=str(decisions[at]),
                    reasons=tuple(explained(code, self.model.population) for code in codes[at]),
                    linked=_strongest(*weighed[at][:2], one.entries),
                    cluster_id=min(one.entries[place].user_id for place in cluster) if len(cluster) > 1 else None,
                    cluster_size=len(cluster),
                    model_version=self.model.version,
                )
            )
        return judgements

    def add(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> bool:
        """Make the account known; whether it was not before. Of a known account only new uses are taken over."""
        entry = self._entry_of(sign_up, usages)
        with self._lock:
            known = self._row(entry.user_id)
            self._join(entry, known, usages)
        return known is None

    def _join(self, entry: _Entry, known: int | None, usages: Sequence[Usage]) -> None:
        if known is not None:
            self._add_uses(known, usages)
            return
        self._put(self._rows, entry, entry.key)
        self._added_row[entry.user_id] = self._rows
        self._rows += 1

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
            (*known.kind, *(kind for kind, _ in new_keys)),
            (*known.key, *(key for _, key in new_keys)),
        )
        self._put(row, entry, [key for _, key in new_keys])

    def _put(self, row: int, entry: _Entry, new_keys: Sequence[int]) -> None:
        self._added[row] = entry
        for key in new_keys:
            holders = self._added_holders.get(key, ())
            if len(holders) < _ENOUGH_SHARERS:
                self._added_holders[key] = (*holders, row)

    def _row(self, user_id: str) -> int | None:
        row = self._added_row.get(user_id)
        if row is not None:
            return row
        wanted = number_of((user_id,))
        places = slice(self._sorted_user.searchsorted(wanted, "left"), self._sorted_user.searchsorted(wanted, "right"))
        alike = self._row_of_user[places].tolist()
        return next((row for row in alike if self._user_id[row].as_py() == user_id), None)

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
            tuple(self._kind[keys].tolist()),
            tuple(self._key[keys].tolist()),
        )

    def _entry_of(self, sign_up: SignUp, usages: Sequence[Usage]) -> _Entry:
        return self._entries_of(accounts_as_given([(sign_up, usages)]))[0]

    def _entries_of(self, accounts: Accounts) -> list[_Entry]:
        members = members_of(accounts, self.model.population)
        codes, start = accounts.code.to_pylist(), accounts.code_start.tolist()
        rows = rows_of(accounts.fields["user_id"], *(accounts.fields[name] for name in ID_FIELDS))
        entries = []
        for at, (user_id, *fields) in enumerate(rows):
            own_codes, created_at_s = slice(start[at], start[at + 1]), float(members.created_at_s[at])
            keys = [
                (kind, number_of((key, kind))) for kind, key in keys_of_account(fields, codes[own_codes], created_at_s)
            ]
            kind, key = zip(*keys, strict=True) if keys else ((), ())
            entries.append(
                _Entry(
                    user_id,
                    created_at_s,
                    members.name[at],
                    members.code[own_codes],
                    members.code_rarity[own_codes],
                    kind,
                    key,
                )
            )
        return entries

    def _holders(self, keys: Sequence[int]) -> list[tuple[int, ...]]:
        """The known accounts that have each key; of a hub enough to know that it is one."""
        wanted = np.array(keys, dtype=np.int64)
        low, high = self._sorted_key.searchsorted(wanted, "left"), self._sorted_key.searchsorted(wanted, "right")
        return [
            (*self._holder[start : min(end, start + _ENOUGH_SHARERS)].tolist(), *self._added_holders.get(key, ()))
            for key, start, end in zip(keys, low.tolist(), high.tolist(), strict=True)
        ]

    def _surroundings(self, asked: Sequence[Asked], entries: Sequence[_Entry]) -> list[_Neighbourhood]:
        """The neighbourhood of each guest; those that join do. All see a known account's new uses."""
        around = []
        for one, entry in zip(asked, entries, strict=True):
            known = self._row(entry.user_id)
            around.append(_Neighbourhood(entry, known, below=self._rows))
            if one.joins:
                self._join(entry, known, one.usages)
        growing = around
        while growing:
            keys = [neighbourhood.keys_to_look_up() for neighbourhood in growing]
            holders = iter(self._holders([key for each in keys for key in each]))
            for neighbourhood, wanted in zip(growing, keys, strict=True):
                neighbourhood.look_up(wanted, list(islice(holders, len(wanted))))
            fresh = [neighbourhood.fresh_pairs(self._entry) for neighbourhood in growing]
            starts = np.cumsum([0, *(len(neighbourhood.entries) for neighbourhood in growing)])
            members = _members_of_entries([entry for each in growing for entry in each.entries])
            weight, shared_code = pair_weights(_joined(fresh, starts), members, self.model.population)
            ends = np.cumsum([len(pairs.a) for pairs in fresh])[:-1]
            of_each = zip(growing, fresh, np.split(weight, ends), np.split(shared_code, ends), strict=True)
            for neighbourhood, pairs, own_weight, own_code in of_each:
                neighbourhood.take(pairs, own_weight, own_code)
            growing = [neighbourhood for neighbourhood in growing if neighbourhood.is_open]
        return around


_ENOUGH_SHARERS = max(kind.most_sharers for kind in KINDS) + 2
"""Holders of a key, of whom one may be the judged account itself, that make it a hub."""


def _members_of_entries(entries: Sequence[_Entry]) -> Members:
    return Members(
        created_at_s=np.array([entry.created_at_s for entry in entries]),
        name=np.array([entry.name for entry in entries], dtype=object),
        code_start=np.cumsum([0, *(len(entry.code) for entry in entries)]),
        code=np.concatenate([entry.code for entry in entries]),
        code_rarity=np.concatenate([entry.code_rarity for entry in entries]),
    )


def _joined(parts: Sequence[Pairs], starts: Sequence[int] | np.ndarray) -> Pairs:
    """The pairs of all parts, where the places of each begin at its start."""
    if len(parts) == 1 and starts[0] == 0:
        return parts[0]
    moved = [(pairs.a + start, pairs.b + start) for pairs, start in zip(parts, starts, strict=False)]
    return Pairs(
        np.concatenate([a for a, _ in moved]),
        np.concatenate([b for _, b in moved]),
        np.concatenate([pairs.sharers for pairs in parts]),
    )


def _strongest(pairs: Pairs, weight: np.ndarray, entries: Sequence[_Entry]) -> tuple[LinkedAccount, ...]:
    """The guest's links, the strongest first. The guest is place 0, which is the first of each of its pairs."""
    own = np.flatnonzero((pairs.a == 0) & (weight >= LINK_FROM))
    own = own[np.argsort(-weight[own], kind="stable")][:MOST_LINKED]
    return tuple(
        LinkedAccount(
            entries[pairs.b[at]].user_id,
            float(weight[at]),
            tuple(name for name, count in zip(KIND_NAMES, pairs.sharers[at], strict=True) if count > 0),
        )
        for at in own
    )
