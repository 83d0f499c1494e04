"""The evidence of a batch of accounts, and the order of its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quintet.promotions.accounts import Accounts
from quintet.promotions.behaviour import BEHAVIOUR_EVIDENCE, behaviour_evidence
from quintet.promotions.candidates import members_of, pairs_of
from quintet.promotions.links import LINK_EVIDENCE, LINK_FROM, components, link_evidence, pair_weights
from quintet.promotions.profile import PROFILE_EVIDENCE, Population, profile_evidence

EVIDENCE = (*PROFILE_EVIDENCE, *BEHAVIOUR_EVIDENCE, *LINK_EVIDENCE)


@dataclass(frozen=True)
class EvidenceMatrix:
    """Evidence of accounts, one row per account.

    columns: in the order of `EVIDENCE`. component: number of the account's cluster; link_a, link_b, link_weight: rows
    of linked accounts, with the weight of the link.
    """

    columns: np.ndarray
    component: np.ndarray
    link_a: np.ndarray
    link_b: np.ndarray
    link_weight: np.ndarray


Gathering = Callable[[Accounts, Population], EvidenceMatrix]
"""Gathers the evidence of each account. The result does not depend on where."""


def gather(accounts: Accounts, population: Population) -> EvidenceMatrix:
    """Return the evidence of each account, with links to all others."""
    members, pairs = members_of(accounts, population), pairs_of(accounts, population)
    weight, shared_code = pair_weights(pairs, members, population)
    is_link = weight >= LINK_FROM
    component = components(len(members), pairs.a[is_link], pairs.b[is_link])
    links = link_evidence(pairs, weight, shared_code, members, component, population)
    columns = own_evidence(accounts, population) | links
    return EvidenceMatrix(
        columns=stacked(columns),
        component=component,
        link_a=pairs.a[is_link],
        link_b=pairs.b[is_link],
        link_weight=weight[is_link],
    )


def own_evidence(accounts: Accounts, population: Population) -> dict[str, np.ndarray]:
    """Return the evidence of an account by itself: profile and behaviour."""
    return profile_evidence(accounts, population) | behaviour_evidence(accounts, population)


def stacked(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return the columns side by side in the order of `EVIDENCE`."""
    return np.ascontiguousarray(np.array([columns[name] for name in EVIDENCE]).T)
