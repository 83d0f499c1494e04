"""Links: how strongly two accounts seem to belong to one person, and the clusters of strong links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import betainc

from quintet.ml.statistics import others_within
from quintet.promotions.identity import KIND_NAMES, KINDS, MOST_COUNTED
from quintet.promotions.names import are_strangers, similarity
from quintet.promotions.profile import CODE_RARITY_ORDERS, Population

LINK_FROM = 2.8
"""The weight from which two accounts count as one person's."""
NEAR_FROM = 1.4
"""The weight from which what two accounts have in common counts, in part; in full from `LINK_FROM`."""
LARGEST_CLUSTER = 64
"""Accounts; in a larger component each account is scored by its own links only."""

_FEW_LINKS = 500
_LONGEST_BURST_SECONDS = 2 * 86_400
_BURST_OF_SPAN = 1 / 200
_CLOSE_POINTS, _CODE_POINTS, _NAME_POINTS = 2.0, 0.8, 0.8
_CODE_MEANING = 1.5
_PAIR = 2
_DEVICE, _MAIL_DOMAIN = KIND_NAMES.index("device"), KIND_NAMES.index("mail_domain")
_EXPLAIN_DOMAIN = [KIND_NAMES.index(name) for name in ("email", "mailbox_stem", "ip", "subnet")]
_PHONE_RANGE = KIND_NAMES.index("phone_range")
_EXPLAIN_RANGE = [KIND_NAMES.index(name) for name in ("phone_block", "ip", "subnet", "mail_domain")]
_CODE_AGENT = KIND_NAMES.index("code_agent")
_OF_CODES = [KIND_NAMES.index("code_burst"), _CODE_AGENT]
_BY_CHANCE = [_PHONE_RANGE, _CODE_AGENT]
_IS_OF_CODES = np.isin(np.arange(len(KINDS)), _OF_CODES)
_KIND_PLACES = np.arange(len(KINDS))
_MOST_SURPRISE = 4.0
_MOST_OF_ONE_DEVICE = 4.0
"""The weight of a pair that is explained by a device of strangers in one place, such as that of a library."""
_NEAR_STEPS = 1_024
_ALIKE = 0.06
"""How much more alike the members of honest groups are than random people, as a correlation within groups."""


def _most_points_by_sharers() -> np.ndarray:
    """Return `points_by_sharers` for a population in which sharing has its full weight."""
    sharers = np.arange(MOST_COUNTED + 1)
    softened = 1 + np.log2(np.maximum(sharers, 2) / 2)
    points = np.stack([kind.points / (softened if kind.most_sharers else np.ones(len(sharers))) for kind in KINDS])
    points[:, 0] = 0.0
    return points


_MOST_POINTS = _most_points_by_sharers()

SHARED_EVIDENCE = tuple(f"{kind.name}_shared" for kind in KINDS)
AGREEMENT_EVIDENCE = (
    "unverified_phones",
    "unverified_emails",
    "early_uses",
    "strangers",
    "same_agent",
    "same_form",
    "same_birthday",
)
LINK_EVIDENCE = (
    *SHARED_EVIDENCE,
    *("best_pair", "next_pair", "strong_pair", "cluster_size", "same_code", "burst"),
    *AGREEMENT_EVIDENCE,
)


@dataclass(frozen=True)
class Members:
    """The fields of accounts that links compare, one row per account.

    name: both names in lower case, "" where unknown. Row i has the codes `code[code_start[i]:code_start[i + 1]]`, as
    numbers, each with its rarity from 0 to 1. born_at_s, unverified_email, unverified_phone: as in `Accounts`.
    early_use: 1 if the first use of a code is as early as `Population.early_use_days`, 0 if later, NaN without a use.
    agent: the user agent as a number, 0 where unknown; agent_share: the share of the population that has it; form,
    form_share: the same of the form of the mailbox.
    """

    created_at_s: np.ndarray
    name: np.ndarray
    code_start: np.ndarray
    code: np.ndarray
    code_rarity: np.ndarray
    born_at_s: np.ndarray
    unverified_email: np.ndarray
    unverified_phone: np.ndarray
    early_use: np.ndarray
    agent: np.ndarray
    agent_share: np.ndarray
    form: np.ndarray
    form_share: np.ndarray

    def __len__(self) -> int:
        """The number of accounts."""
        return len(self.created_at_s)


@dataclass(frozen=True)
class Pairs:
    """Accounts a and b (rows of the members) that share a key, each pair once.

    sharers: by pair and kind of key, how many accounts have the key that they share; 0 where they share none.
    """

    a: np.ndarray
    b: np.ndarray
    sharers: np.ndarray


def points_by_sharers(population: Population) -> np.ndarray:
    """Return by kind and number of sharers the least weight that a pair gets for a shared key; 0 for none.

    It is none for a mail domain and a range of numbers, which count only where nothing narrower explains them, and for
    a code with the user agent, which counts only where both are rare.
    """
    points = _points(population)
    points[[_MAIL_DOMAIN, _PHONE_RANGE, _CODE_AGENT]] = 0.0
    return points


def _points(population: Population) -> np.ndarray:
    return population.sharing_meaning * _MOST_POINTS


def pair_weights(pairs: Pairs, members: Members, population: Population) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each pair, and the rarity of the rarest code that both used.

    The weight is the sum of the points of the shared kinds, scaled by how unusual sharing is in the population; points
    of soft kinds are divided by one plus the doublings of sharers beyond two. Sign-ups close in time, a rare common
    code and similar names add to it. Pairs that share only a code, with its days or the user agent, share it by
    definition, so these count only as far as such sharing is unusual.
    """
    points = _points(population)[_KIND_PLACES, np.minimum(pairs.sharers, MOST_COUNTED).astype(np.intp)]
    # Colleagues have a domain, an address and a telephone system in common; one mailbox or its stem has one domain.
    points[:, _MAIL_DOMAIN] *= ~pairs.sharers[:, _EXPLAIN_DOMAIN].any(axis=1)
    points[:, _PHONE_RANGE] *= ~pairs.sharers[:, _EXPLAIN_RANGE].any(axis=1)
    shared_code = _rarest_shared_code(pairs, members)
    is_of_code = (pairs.sharers[:, _OF_CODES] > 0).astype(float)
    is_of_code[:, 1] *= _unlikely_to_share(pairs, shared_code, members, population)
    points[:, _CODE_AGENT] *= is_of_code[:, 1]
    alike = similarity(members.name[pairs.a], members.name[pairs.b])
    is_nameless = members.name == ""
    if is_nameless.any():
        alike[is_nameless[pairs.a] | is_nameless[pairs.b]] = 0.0
    apart_s = members.created_at_s[pairs.a] - members.created_at_s[pairs.b]
    together = (
        _CLOSE_POINTS * _closeness(apart_s, population.span_seconds)
        + _CODE_POINTS * shared_code
        + _NAME_POINTS * np.fmin(np.fmax((alike - 0.9) / 0.1, 0), 1)
    )
    is_code_alone = ~pairs.sharers[:, ~_IS_OF_CODES].any(axis=1)
    meaning = (population.sharing_meaning[_OF_CODES, _PAIR] * is_of_code).max(axis=1)
    of_code_alone = np.minimum(1.0, meaning * _CODE_MEANING)
    return points.sum(axis=1) + together * np.where(is_code_alone, of_code_alone, 1.0), shared_code


def _unlikely_to_share(pairs: Pairs, shared_code: np.ndarray, members: Members, population: Population) -> np.ndarray:
    """Return 1 for pairs whose code and user agent a hundredth of an account has by chance, falling to 0 for one.

    It is 0 for those with one device, which has one user agent.
    """
    agent_share = members.agent_share[pairs.a]
    expected = np.log10(max(population.accounts, 1)) - CODE_RARITY_ORDERS * shared_code + np.log10(agent_share)
    return np.where(pairs.sharers[:, _DEVICE] > 0, 0.0, np.clip(-expected / 2, 0.0, 1.0))


def _closeness(apart_s: np.ndarray, span_seconds: float) -> np.ndarray:
    """Return 0 for sign-ups as far apart as any, 1 where fewer than one in 1,000 random pairs are as close."""
    if not span_seconds > 0:
        return np.zeros(len(apart_s))
    at_random = np.minimum(np.maximum(2 * np.abs(apart_s) / span_seconds, 1e-3), 1)
    return np.fmax(-np.log10(at_random) / 3, 0)  # 0 for NaN


def _rarest_shared_code(pairs: Pairs, members: Members) -> np.ndarray:
    """Return the rarity of the rarest shared code by pair, 0 where none is shared."""
    used = np.diff(members.code_start)
    combinations = used[pairs.a] * used[pairs.b]
    if not combinations.any():
        return np.zeros(len(pairs.a))
    pair = np.repeat(np.arange(len(pairs.a)), combinations)
    number = np.arange(len(pair)) - np.repeat(np.cumsum(combinations) - combinations, combinations)
    of_a = members.code_start[pairs.a][pair] + number // used[pairs.b][pair]
    of_b = members.code_start[pairs.b][pair] + number % used[pairs.b][pair]
    is_same = members.code[of_a] == members.code[of_b]
    rarest = np.zeros(len(pairs.a))
    np.maximum.at(rarest, pair[is_same], members.code_rarity[of_a[is_same]])
    return rarest


def components(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the number of the connected component of each of `count` accounts; a[i] is linked with b[i]."""
    if len(a) <= _FEW_LINKS:
        return _few_components(count, a.tolist(), b.tolist())
    links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _few_components(count: int, a: list[int], b: list[int]) -> np.ndarray:
    """Return the same without the millisecond of building a sparse matrix: one sign-up has few links.

    19 links take 7 µs, and 22 µs with `scipy.cluster.hierarchy.DisjointSet`; 500 links take 68 and 374 µs.
    """
    number = list(range(count))
    members = [[each] for each in number]
    for one, other in zip(a, b, strict=True):
        target, merged = number[one], number[other]
        if target == merged:
            continue
        if len(members[target]) < len(members[merged]):
            target, merged = merged, target
        for each in members[merged]:
            number[each] = target
        members[target] += members[merged]
    place = {each: at for at, each in enumerate(dict.fromkeys(number))}
    return np.array([place[each] for each in number], dtype=np.intp)


def burst_seconds(span_seconds: float) -> float:
    """Return the time within which sign-ups are one burst: two days, less if the population spans only months."""
    return min(_LONGEST_BURST_SECONDS, span_seconds * _BURST_OF_SPAN)


def link_evidence(
    pairs: Pairs,
    weight: np.ndarray,
    shared_code: np.ndarray,
    members: Members,
    component: np.ndarray,
    population: Population,
    size: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the columns `LINK_EVIDENCE`, a row per member, from all pairs and the components by `LINK_FROM`.

    size: by member the size of its component, where not all members of it are given.

    <kind>_shared: binary logarithm of the number of sharers, 0 for none, 1 for two; of a phone range, and a code with
    the user agent, of those beyond chance. best_pair, next_pair: weights of
    the two heaviest pairs; strong_pair: how far next_pair is above what one public device explains. cluster_size:
    binary logarithm of the size of the component. same_code, burst: natural logarithm of one plus the other accounts of
    the cluster that used one of its codes, or that signed up within `burst_seconds`. Others: see `_agreement`.
    """
    count = len(members)
    if not len(pairs.a):
        return {name: np.zeros(count) for name in LINK_EVIDENCE}
    row = np.concatenate([pairs.a, pairs.b])
    most = np.ones((count, len(SHARED_EVIDENCE)))
    sharers = pairs.sharers.copy()
    # Chance makes pairs of many people; what more than two share is scaled by how unusual sharing is.
    others = np.maximum(sharers[:, _BY_CHANCE] - _PAIR, 0) * population.sharing_meaning[_BY_CHANCE, _PAIR]
    others[:, 0] *= ~pairs.sharers[:, _EXPLAIN_RANGE].any(axis=1)
    others[:, 1] *= _unlikely_to_share(pairs, shared_code, members, population)
    sharers[:, _BY_CHANCE] = 1 + others
    np.maximum.at(most, row, np.concatenate([sharers, sharers]))
    evidence = dict(zip(SHARED_EVIDENCE, np.log2(most).T, strict=True))
    weights = np.concatenate([weight, weight])
    heaviest = np.concatenate([weights[np.lexsort((-weights, row))], np.zeros(2)])
    held = np.bincount(row, minlength=count)
    first = held.cumsum() - held
    evidence["best_pair"] = np.where(held > 0, heaviest[first], 0.0)
    evidence["next_pair"] = np.where(held > 1, heaviest[first + 1], 0.0)
    evidence["strong_pair"] = np.maximum(evidence["next_pair"] - _MOST_OF_ONE_DEVICE, 0.0)
    if size is None:
        size = np.bincount(component)[component]
    evidence["cluster_size"] = np.log2(np.minimum(size, LARGEST_CLUSTER))
    links = weight >= LINK_FROM
    link_a, link_b, burst_s = pairs.a[links], pairs.b[links], burst_seconds(population.span_seconds)
    # in binary fractions, whose sums do not depend on the order of pairs
    nearness = np.rint(np.clip((weight - NEAR_FROM) / (LINK_FROM - NEAR_FROM), 0.0, 1.0) * _NEAR_STEPS) / _NEAR_STEPS
    is_near = nearness > 0
    is_same_code = shared_code[links] > 0
    is_burst = np.abs(members.created_at_s[link_a] - members.created_at_s[link_b]) <= burst_s
    ends = np.concatenate([link_a, link_b])
    own_code = np.bincount(ends, np.concatenate([is_same_code, is_same_code]), minlength=count)
    own_burst = np.bincount(ends, np.concatenate([is_burst, is_burst]), minlength=count)
    is_cluster = (size > 1) & (size <= LARGEST_CLUSTER)
    evidence["same_code"] = np.log1p(np.where(is_cluster, _others_with_code(members, component, is_cluster), own_code))
    evidence["burst"] = np.log1p(
        np.where(is_cluster, _others_in_burst(members, component, is_cluster, burst_s), own_burst)
    )
    near_a, near_b, is_one_device = pairs.a[is_near], pairs.b[is_near], pairs.sharers[is_near, _DEVICE] > 0
    return evidence | _agreement(near_a, near_b, nearness[is_near], is_one_device, members, population)


def _agreement(
    a: np.ndarray,
    b: np.ndarray,
    nearness: np.ndarray,
    is_one_device: np.ndarray,
    members: Members,
    population: Population,
) -> dict[str, np.ndarray]:
    """Return `AGREEMENT_EVIDENCE`: what an account has in common with those near it, beyond chance.

    nearness: from 0 to 1 by pair, 1 for linked accounts; a pair counts that much. unverified_phones, unverified_emails,
    early_uses, strangers, same_agent, same_form: minus the decimal logarithm of the odds that so many of as many
    unrelated accounts have not verified, used a code as early, or have its user agent or its form of mailbox, and that
    as many relatives have other family names; at most 4. Accounts of one device have one user agent anyway, so only
    others count. same_birthday: natural logarithm of one plus the accounts of its date of birth. Accounts with an
    unknown value do not count.
    """
    count = len(members)
    ends, others, near = np.concatenate([a, b]), np.concatenate([b, a]), np.tile(nearness, 2)
    evidence = {}
    for name, flag, share in (
        ("unverified_phones", members.unverified_phone, population.unverified_phone_share),
        ("unverified_emails", members.unverified_email, population.unverified_email_share),
        ("early_uses", members.early_use, population.early_use_share),
    ):
        is_known = np.isfinite(flag)
        one, linked = is_known.astype(float), np.bincount(ends, near * is_known[others], minlength=count)
        found = np.where(is_known, flag, 0.0)
        unverified = np.bincount(ends, near * found[others], minlength=count)
        surprise = _surprise(unverified + found, linked + one, np.full(count, share))
        evidence[name] = np.minimum(linked, 1.0) * surprise
    # Each pair counts once from either end, so that an account has as many trials as links with known names.
    differ = np.tile(are_strangers(members.name[a], members.name[b]), 2)
    evidence["strangers"] = _surprise(
        np.bincount(ends, near * np.nan_to_num(differ), minlength=count),
        np.bincount(ends, near * np.isfinite(differ), minlength=count),
        np.full(count, population.stranger_share),
    )
    has_agent = members.agent != 0
    comparable = (has_agent[ends] & has_agent[others] & ~np.tile(is_one_device, 2)) * near
    alike = comparable * (members.agent[ends] == members.agent[others])
    evidence["same_agent"] = _surprise(
        np.bincount(ends, alike, minlength=count), np.bincount(ends, comparable, minlength=count), members.agent_share
    )
    comparable = ((members.form[ends] != 0) & (members.form[others] != 0)) * near
    alike = comparable * (members.form[ends] == members.form[others])
    evidence["same_form"] = _surprise(
        np.bincount(ends, alike, minlength=count), np.bincount(ends, comparable, minlength=count), members.form_share
    )
    birthdays = near * (members.born_at_s[ends] == members.born_at_s[others])
    evidence["same_birthday"] = np.log1p(np.bincount(ends, birthdays, minlength=count))
    return evidence


def _surprise(successes: np.ndarray, trials: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return minus the decimal logarithm of the odds of as many successes or more by chance, from 0 to 4.

    Of n trials, which `_ALIKE` correlates, as many count as give the share of successes the same variance without it.
    """
    some = successes > 0
    odds = np.ones(len(successes))
    k, n, p = successes[some], trials[some], np.clip(share[some], 1e-6, 1 - 1e-6)
    inflation = 1 + _ALIKE * np.maximum(n - 1, 0)
    k, n = k / inflation, n / inflation
    odds[some] = betainc(k, n - k + 1, p)
    return np.minimum(-np.log10(np.maximum(odds, 1e-12)), _MOST_SURPRISE)


def _others_with_code(members: Members, component: np.ndarray, is_cluster: np.ndarray) -> np.ndarray:
    """Return how many others of the component used the account's code; of several codes, the most used one."""
    row = np.repeat(np.arange(len(members)), np.diff(members.code_start))
    row, code = row[is_cluster[row]], members.code[is_cluster[row]]
    order = np.lexsort((code, component[row]))
    changes = (np.diff(component[row][order]) != 0) | (np.diff(code[order]) != 0)
    group = np.concatenate([[0], np.cumsum(changes)]) if len(row) else np.zeros(0, dtype=int)
    others = np.zeros(len(members))
    np.maximum.at(others, row[order], np.bincount(group)[group] - 1)
    return others


def _others_in_burst(members: Members, component: np.ndarray, is_cluster: np.ndarray, burst_s: float) -> np.ndarray:
    """Return how many others of the component signed up within `burst_s` seconds."""
    row = np.flatnonzero(is_cluster & np.isfinite(members.created_at_s))
    others = np.zeros(len(members))
    others[row] = others_within(component[row], np.floor(members.created_at_s[row]), burst_s)
    return others
