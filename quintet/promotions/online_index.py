"""The online index: all known accounts by key. It scores one sign-up in about a millisecond."""

from __future__ import annotations

import datetime as dt
import threading
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, compress
from typing import Any

import numpy as np
import pyarrow as pa

from quintet.promotions.accounts import Accounts, SignUp, Usage, accounts_as_given, code_of, rows_of
from quintet.promotions.candidate_graph import (
    Added,
    CandidateGraph,
    Columns,
    Entry,
    Held,
    Stored,
    fields_of,
    members_of_entries,
    time_of,
)
from quintet.promotions.candidates import members_of
from quintet.promotions.evidence import own_evidence, stacked
from quintet.promotions.identity import (
    ID_FIELDS,
    KIND_NAMES,
    KINDS,
    NEAREST,
    STRONG,
    hashed,
    identity_keys,
    keys_of_account,
    number_of,
)
from quintet.promotions.links import (
    LINK_FROM,
    Members,
    Pairs,
    components,
    link_evidence,
    pair_weights,
    points_by_sharers,
)
from quintet.promotions.model import AbuseModel
from quintet.promotions.policy import Policy
from quintet.promotions.reasons import Reason, explained, reason_codes
from quintet.promotions.rules import NO_RULES, ActiveRules, Judged, ShadowVerdict, beside_shadow

_MOST_EXPLAINED = 1_000

MOST_LINKED = 20
"""Linked accounts in a judgement: those with the strongest links."""


@dataclass(frozen=True)
class LinkedAccount:
    """An account linked with the scored one: the weight of the link, and the kinds of keys that they share."""

    user_id: str
    weight: float
    shares: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """The score of a sign-up: the fields of a batch's scores, with sentences and linked accounts.

    is_new: whether the user is not in the index yet.
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


@dataclass(frozen=True)
class Query:
    """A sign-up to score, with its uses of codes. joins: whether to add it to the index."""

    sign_up: SignUp
    usages: Sequence[Usage]
    joins: bool


@dataclass(frozen=True)
class _Surroundings:
    """Guests that are scored together, their candidate graphs, and the weights of their pairs.

    entries: all accounts of the graphs. members: the entries as input of links. around: the graph of each guest.
    """

    around: Sequence[CandidateGraph]
    entries: Sequence[Entry]
    members: Members
    pairs: Pairs
    weight: np.ndarray
    shared_code: np.ndarray


class OnlineIndex:
    """Known accounts: the initial ones in arrays, later ones beside them. It is thread-safe.

    Added accounts take several times the memory of those in arrays, until the index is rebuilt.
    """

    def __init__(self, accounts: Accounts, model: AbuseModel, policy: Policy) -> None:
        self.model, self.policy = model, policy
        self._lock = threading.Lock()
        user = hashed(accounts.user_id)
        self._row_of_user = np.argsort(user, kind="stable").astype(np.int32)
        self._sorted_user = user[self._row_of_user]
        row, kind, keys = identity_keys(accounts, model.population.key_rules)
        key = hashed(keys, pa.array(kind))
        by_row = np.argsort(row, kind="stable")
        self._columns = Columns(
            user_id=accounts.user_id,
            members=members_of(accounts, model.population),
            key_start=np.searchsorted(row[by_row], np.arange(len(accounts) + 1)),
            kind=kind[by_row],
            key=key[by_row],
        )
        by_key = np.argsort(key, kind="stable")
        self._sorted_key, self._holder = key[by_key], row[by_key].astype(np.int32)
        self._added: dict[int, tuple[Any, ...]] = {}
        self._added_row: dict[str, int] = {}
        self._added_holders: dict[int, tuple[int, ...]] = {}
        self._in_time: dict[int, list[Held]] = {}
        self._rows = len(accounts)
        self._code_by_folded = _unambiguous(model.population.code_share)
        self._points = points_by_sharers(model.population).tolist()
        self._explained = lru_cache(_MOST_EXPLAINED)(partial(explained, population=model.population))

    def __len__(self) -> int:
        """The number of known accounts."""
        return self._rows

    def judge(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> Judgement:
        """Score the sign-up with its known uses of codes, against all other known accounts.

        The index does not change. It ignores an account with the same user_id.
        """
        return self.judge_in_turn([Query(sign_up, usages, joins=False)])[0]

    def judge_in_turn(self, queries: Sequence[Query]) -> list[Judgement]:
        """Return the judgement of each query, in order: later ones see the accounts that joined."""
        return [judgement for judgement, _ in self.judge_beside_shadow(queries, NO_RULES, 0.0)]

    def judge_beside_shadow(
        self, queries: Sequence[Query], rules: ActiveRules, at_s: float
    ) -> list[tuple[Judgement, ShadowVerdict | None]]:
        """Return the judgement of each query under the rules, and the verdict of those in shadow where one applies.

        The steps work on batches: a few queries together cost much less than each by itself. at_s: now in Unix
        seconds, for entries of lists that expire.
        """
        accounts = accounts_as_given([(one.sign_up, self._as_listed(one.usages)) for one in queries])
        with self._lock:
            found = self._surroundings(queries, self._entries_of(accounts))
        is_link = found.weight >= LINK_FROM
        component = components(len(found.members), found.pairs.a[is_link], found.pairs.b[is_link])
        links = link_evidence(
            found.pairs, found.weight, found.shared_code, found.members, component, self.model.population
        )
        guests = np.array([one.guest for one in found.around])
        own = own_evidence(accounts, self.model.population)
        columns = stacked(own | {name: values[guests] for name, values in links.items()})
        scores = self.model.scores(columns)
        by_score = self.policy.decisions(scores)
        codes = reason_codes(columns, accounts, self.model, self.policy.reason_from)
        sizes = np.bincount(component)[component[guests]]
        judged = Judged(accounts, columns, scores, sizes, self.model.population.key_rules)
        outcome, in_shadow = beside_shadow(rules, judged, by_score, codes, at_s)
        judgements = []
        for at, one in enumerate(found.around):
            cluster = np.flatnonzero(component == component[one.guest]).tolist()
            judgements.append(
                Judgement(
                    user_id=found.entries[one.guest].user_id,
                    is_new=one.known is None,
                    score=float(scores[at]),
                    decision=str(outcome.decisions[at]),
                    reasons=self.reasons(outcome.reasons[at], rules),
                    linked=_strongest(one.guest, found),
                    cluster_id=min(found.entries[place].user_id for place in cluster) if len(cluster) > 1 else None,
                    cluster_size=len(cluster),
                    model_version=self.model.version,
                )
            )
        return list(zip(judgements, in_shadow, strict=True))

    def reasons(self, codes: Sequence[str], rules: ActiveRules) -> tuple[Reason, ...]:
        """Return the codes with their sentences."""
        return tuple(rules.reason(code) or self._explained(code) for code in codes)

    def add(self, sign_up: SignUp, usages: Sequence[Usage] = ()) -> bool:
        """Add the account; return whether it is new. Of a known account only new uses are added."""
        entry = self._entry_of(sign_up, usages)
        with self._lock:
            known = self._row(entry.user_id)
            self._join(entry, known, usages)
        return known is None

    def _join(self, entry: Added, known: int | None, usages: Sequence[Usage]) -> None:
        if known is not None:
            self._add_uses(known, usages)
            return
        self._put(self._rows, entry, list(zip(entry.kind, entry.key, strict=True)))
        self._added_row[entry.user_id] = self._rows
        self._rows += 1

    def _add_uses(self, row: int, usages: Sequence[Usage]) -> None:
        known = self._entry(row)
        at = None if np.isnan(known.created_at_s) else dt.datetime.fromtimestamp(known.created_at_s, dt.UTC)
        used = self._entry_of(SignUp(known.user_id, at), usages, known.agent)
        is_new = ~np.isin(used.code, known.code)
        new_keys = [(kind, key) for kind, key in zip(used.kind, used.key, strict=True) if key not in set(known.key)]
        early_use = float(np.fmax(known.early_use, used.early_use))
        if not is_new.any() and early_use == known.early_use:
            return
        entry = Added(
            known.user_id,
            known.created_at_s,
            known.name,
            np.concatenate([known.code, used.code[is_new]]),
            np.concatenate([known.code_rarity, used.code_rarity[is_new]]),
            known.born_at_s,
            known.unverified_email,
            known.unverified_phone,
            early_use,
            known.agent,
            known.agent_share,
            known.form,
            known.form_share,
            (*known.kind, *(kind for kind, _ in new_keys)),
            (*known.key, *(key for _, key in new_keys)),
        )
        self._put(row, entry, new_keys)

    def _put(self, row: int, entry: Added, new_keys: Sequence[tuple[int, int]]) -> None:
        self._added[row] = fields_of(entry)
        for kind, key in new_keys:
            in_time = self._in_time.get(key)
            if in_time is not None:
                insort(in_time, (time_of(entry), entry.user_id, row))
                continue
            holders = self._added_holders.get(key, ())
            if kind in STRONG or len(holders) < _ENOUGH_SHARERS:
                self._added_holders[key] = (*holders, row)

    def _row(self, user_id: str) -> int | None:
        row = self._added_row.get(user_id)
        if row is not None:
            return row
        wanted = number_of((user_id,))
        places = slice(self._sorted_user.searchsorted(wanted, "left"), self._sorted_user.searchsorted(wanted, "right"))
        alike = self._row_of_user[places].tolist()
        return next((row for row in alike if Stored(self._columns, row).user_id == user_id), None)

    def _entry(self, row: int) -> Entry:
        added = self._added.get(row)
        return Stored(self._columns, row) if added is None else Added(*added)

    def _entry_of(self, sign_up: SignUp, usages: Sequence[Usage], known_agent: int = 0) -> Added:
        return self._entries_of(accounts_as_given([(sign_up, self._as_listed(usages))]), known_agent)[0]

    def _as_listed(self, usages: Sequence[Usage]) -> list[Usage]:
        """Return the uses with the codes in the case of the population's, where these do not tell cases apart."""
        return [replace(use, promo_code=self._listed(use.promo_code)) for use in usages]

    def _listed(self, promo_code: Any) -> Any:
        if not isinstance(promo_code, str):
            return promo_code
        code = code_of(promo_code)
        return self._code_by_folded.get(code.upper(), code)

    def _entries_of(self, accounts: Accounts, known_agent: int = 0) -> list[Added]:
        """Return the accounts; known_agent: number of the user agent where they name none."""
        members, rules = members_of(accounts, self.model.population), self.model.population.key_rules
        codes, start = [code for (code,) in rows_of(accounts.code)], accounts.code_start.tolist()
        rows = rows_of(accounts.fields["user_id"], *(accounts.fields[name] for name in ID_FIELDS))
        entries = []
        for at, (user_id, *fields) in enumerate(rows):
            own_codes, created_at_s = slice(start[at], start[at + 1]), float(members.created_at_s[at])
            keys = [
                (kind, number_of((key, kind)))
                for kind, key in keys_of_account(
                    fields, codes[own_codes], created_at_s, int(members.agent[at]) or known_agent, rules
                )
            ]
            kind, key = zip(*keys, strict=True) if keys else ((), ())
            entries.append(
                Added(
                    user_id,
                    created_at_s,
                    members.name[at],
                    members.code[own_codes],
                    members.code_rarity[own_codes],
                    float(members.born_at_s[at]),
                    float(members.unverified_email[at]),
                    float(members.unverified_phone[at]),
                    float(members.early_use[at]),
                    int(members.agent[at]),
                    float(members.agent_share[at]),
                    int(members.form[at]),
                    float(members.form_share[at]),
                    kind,
                    key,
                )
            )
        return entries

    def _holders(self, keys: Mapping[int, int]) -> tuple[dict[int, tuple[int, ...]], dict[int, list[Held]]]:
        """Return the known accounts of each key: the rows, or of a strong key with many, all in order of time.

        keys: the kind of each. Of a soft hub only enough rows to recognise it.
        """
        wanted = np.fromiter(keys, dtype=np.int64, count=len(keys))
        low, high = self._sorted_key.searchsorted(wanted, "left"), self._sorted_key.searchsorted(wanted, "right")
        holders, in_time = {}, {}
        for (key, kind), start, end in zip(keys.items(), low.tolist(), high.tolist(), strict=True):
            added = self._added_holders.get(key, ())
            if kind in STRONG and (key in self._in_time or end - start + len(added) >= NEAREST):
                in_time[key] = self._in_order_of_time(key, (*self._holder[start:end].tolist(), *added))
            else:
                holders[key] = (*self._holder[start : min(end, start + _ENOUGH_SHARERS)].tolist(), *added)
        return holders, in_time

    def _in_order_of_time(self, key: int, rows: Sequence[int]) -> list[Held]:
        """Return the holders of a key in order of time; the order is kept up to date from now on."""
        in_time = self._in_time.get(key)
        if in_time is None:
            entries = ((self._entry(row), row) for row in rows)
            in_time = self._in_time[key] = sorted((time_of(entry), entry.user_id, row) for entry, row in entries)
            self._added_holders.pop(key, None)
        return in_time

    def _surroundings(self, queries: Sequence[Query], guests: Sequence[Added]) -> _Surroundings:
        """Return the surroundings of the guests, and add those that join. All guests see new uses of known accounts."""
        entries: list[Entry] = []
        around = []
        for one, guest in zip(queries, guests, strict=True):
            known = self._row(guest.user_id)
            around.append(CandidateGraph(entries, guest, known, below=self._rows))
            if one.joins:
                self._join(guest, known, one.usages)
        growing, parts = around, []
        while growing:
            looking = growing
            while looking:
                keys = [one.keys_to_look_up() for one in looking]
                kinds = {key: kind for each in keys for key, kind in each.items()}
                holders, in_time = self._holders(kinds)
                looking = [
                    one
                    for one, wanted in zip(looking, keys, strict=True)
                    if one.look_up(wanted, holders, in_time, self._entry, self._points)
                ]
            fresh = [one.fresh_pairs() for one in growing]
            pairs, members = _pairs_of(fresh), members_of_entries(entries)
            weight, shared_code = pair_weights(pairs, members, self.model.population)
            parts.append((pairs, weight, shared_code))
            is_link = iter((weight >= LINK_FROM).tolist())
            growing = [
                one
                for one, found in zip(growing, fresh, strict=True)
                if one.take([ends for ends, links in zip(found, is_link, strict=False) if links])
            ]
        return _Surroundings(around, entries, members, *_joined(parts))


_ENOUGH_SHARERS = max(kind.most_sharers or 0 for kind in KINDS) + 2
"""The number of holders of a key, the scored account included, that makes it a hub."""


def _unambiguous(codes: Iterable[str]) -> dict[str, str]:
    """Return the codes by their upper case, without those that differ in case alone."""
    by_folded: dict[str, list[str]] = {}
    for code in codes:
        by_folded.setdefault(code.upper(), []).append(code)
    return {folded: alike[0] for folded, alike in by_folded.items() if len(alike) == 1}


def _pairs_of(found: Sequence[Mapping[tuple[int, int], list[int]]]) -> Pairs:
    """Return the pairs found, in order."""
    ends = np.array(list(chain.from_iterable(found)), dtype=np.intp).reshape(-1, 2)
    sharers = np.array([counts for one in found for counts in one.values()], dtype=float)
    return Pairs(ends[:, 0], ends[:, 1], sharers.reshape(-1, len(KINDS)))


def _joined(parts: Sequence[tuple[Pairs, np.ndarray, np.ndarray]]) -> tuple[Pairs, np.ndarray, np.ndarray]:
    """Concatenate the parts: pairs, weights, and the rarity of the rarest code that both used."""
    if len(parts) == 1:
        return parts[0]
    pairs, weight, shared_code = zip(*parts, strict=True)
    columns = ([getattr(one, name) for one in pairs] for name in ("a", "b", "sharers"))
    return Pairs(*map(np.concatenate, columns)), np.concatenate(weight), np.concatenate(shared_code)


def _strongest(guest: int, found: _Surroundings) -> tuple[LinkedAccount, ...]:
    """Return the guest's links, the strongest first. The guest precedes its neighbours, so it is first in each pair."""
    own = np.flatnonzero((found.pairs.a == guest) & (found.weight >= LINK_FROM))
    own = own[np.argsort(-found.weight[own], kind="stable")][:MOST_LINKED]
    others, weights, sharers = (column[own].tolist() for column in (found.pairs.b, found.weight, found.pairs.sharers))
    return tuple(
        LinkedAccount(found.entries[other].user_id, weight, tuple(compress(KIND_NAMES, counts)))
        for other, weight, counts in zip(others, weights, sharers, strict=True)
    )
