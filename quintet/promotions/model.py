"""The model of abuse: the weight of each piece of evidence, frozen with its population under a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.identity import KIND_NAMES, STRONG
from quintet.promotions.links import LINK_EVIDENCE, LINK_FROM, NEAR_FROM
from quintet.promotions.profile import Commonness, Population, Range

METHOD = "7"
"""Increase it with every change to the meaning of evidence: models of another method cannot be used."""

SCORECARD = "scorecard"
"""The kind of the model that needs no labels; the other is logistic."""

SCORECARD_INTERCEPT = -6.0
SCORECARD_POINTS = {
    "phone_strange": 6.5,
    "email_domain_strange": 3.5,
    "name_case_strange": 6.5,
    "age_strange": 6.5,
    "unverified": 2.0,
    "use_hasty": 7.9,
    "use_early": 1.0,
    "uses_many": 6.5,
    "device_shared": 0.1,
    "email_shared": 0.2,
    "phone_shared": 0.2,
    "phone_block_shared": 0.7,
    "phone_range_shared": 0.7,
    "ring_place_shared": 0.2,
    "mailbox_stem_shared": 0.3,
    "code_agent_shared": 5.0,
    "next_pair": 0.4,
    "strong_pair": 2.0,
    "cluster_size": 0.3,
    "same_code": 0.9,
    "burst": 1.0,
    "unverified_phones": 1.0,
    "unverified_emails": 0.8,
    "early_uses": 1.2,
    "same_agent": 1.0,
    "same_form": 0.5,
    "same_birthday": 3.0,
}
"""Log-odds. One very rare trait leads to a review (62%), except a new e-mail domain, which many honest people have. Two
linked accounts mean little, since honest people share a device or an address too; a second strong link, more accounts,
one code and a burst of sign-ups each count."""

MOST_FOR_REVIEW = 8.0
"""The most that the scorecard adds to its intercept for what honest people do as well: enough for a review, not for a
block (0.88). That is evidence of an account by itself, unless its links alone are worth a review: rare is not wrong.
And it is all that a family can share, see `FAMILY`."""

FAMILY, LARGE_FAMILY = 4, 6
"""Linked accounts that may be a family with one device, address, phone and code. It has no mailbox in common. A large
one verifies and uses codes as others do: `UNLIKE_FAMILY` is how many decimal orders below chance it may not agree."""
UNLIKE_FAMILY = 3.0

MOST_FOR_PLACE = 5.5
"""The most that the scorecard adds, unless an account's own evidence is more, for accounts that have only an address, a
network, a mail domain, or a code and its days in common, as people of an office have: not quite a review. Each doubling
of the sharers of something personal adds `PERSONAL`, and each decimal order that their habits are below a tenth of
chance adds `HABITS`."""
PERSONAL, HABITS = 2.5, 1.25

_CARD = np.array([SCORECARD_POINTS.get(name, 0.0) for name in EVIDENCE])
_IS_LINK = np.isin(EVIDENCE, LINK_EVIDENCE)
_CLUSTER_SIZE, _EMAIL_SHARED = EVIDENCE.index("cluster_size"), EVIDENCE.index("email_shared")
_BEST_PAIR = EVIDENCE.index("best_pair")
_PERSONAL_SHARED = [
    *(EVIDENCE.index(f"{KIND_NAMES[kind]}_shared") for kind in STRONG),
    *(EVIDENCE.index(f"{name}_shared") for name in ("mailbox_stem", "phone_range", "code_agent")),
]
_HABITS = [EVIDENCE.index(name) for name in ("unverified_phones", "unverified_emails", "early_uses")]


class OtherMethodError(ValueError):
    """The model was made with another definition of the evidence."""


@dataclass(frozen=True)
class AbuseModel:
    """A model whose log-odds of abuse are the intercept plus the evidence times the coefficients.

    They are never below what the scorecard gives to an account that has others near it: labels of a population without
    rings teach that sharing means nothing, and rings would pass. The scorecard has the limits of `MOST_FOR_REVIEW`.

    kind: "scorecard" or "logistic". coefficients: by the names in `EVIDENCE`, absent ones are 0. population: the
    reference for evidence. Equal content has an equal version.
    """

    kind: str
    intercept: float
    coefficients: Mapping[str, float]
    population: Population

    @cached_property
    def version(self) -> str:
        """The version, a hash of the content: equal parameters have equal versions wherever they were trained."""
        return f"{self.kind}-{hashlib.sha256(self.to_json().encode()).hexdigest()[:12]}"

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array([self.coefficients.get(name, 0.0) for name in EVIDENCE])

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """Return what each piece of evidence adds to the log-odds, in the shape of `columns`.

        Where the scorecard decides, what they add there.
        """
        own = self._contributions(columns)
        is_floor = self.intercept + own.sum(axis=1) < floor_log_odds(columns)
        return np.where(is_floor[:, np.newaxis], _floor_contributions(columns), own)

    def _contributions(self, columns: np.ndarray) -> np.ndarray:
        added = columns * self._weights
        return _limited(columns, added) if self.kind == SCORECARD else added

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """Return a score from 0 to 1 for each row of `columns`."""
        return 1 / (1 + np.exp(-self.log_odds(columns)))

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        """Return the scores as log-odds."""
        return np.maximum(self.intercept + self._contributions(columns).sum(axis=1), floor_log_odds(columns))

    def linear(self, columns: np.ndarray) -> np.ndarray:
        """Return the intercept plus the weighted evidence, without the scorecard's floor and limit."""
        return self.intercept + columns @ self._weights

    def to_json(self) -> str:
        """Return canonical JSON; `from_json` restores the model exactly."""
        return json.dumps({"method": METHOD, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> AbuseModel:
        """Return the model of `to_json`. Raises OtherMethodError for a model of another method."""
        content = json.loads(text)
        if content["method"] != METHOD:
            raise OtherMethodError(f"the model is of method {content['method']}, this is method {METHOD}: retrain it")
        fields = content["population"]
        population = Population(
            **fields
            | {name: Commonness(**fields[name]) for name in ("phone_shape", "email_domain", "name_case")}
            | {name: Range(tuple(fields[name]["quantiles"])) for name in ("age_years", "use_lag_days")}
            | {name: tuple(fields[name]) for name in ("use_count", "common_keys", "ring_places")}
            | {"key_sharing": {name: tuple(shares) for name, shares in fields["key_sharing"].items()}}
        )
        return cls(content["kind"], content["intercept"], content["coefficients"], population)


def floor_log_odds(columns: np.ndarray) -> np.ndarray:
    """Return the log-odds that the scorecard gives to what each account has in common with those near it.

    Its own evidence counts as far as there is somebody near it: in full beside a link.
    """
    return SCORECARD_INTERCEPT + _floor_contributions(columns).sum(axis=1)


def _floor_contributions(columns: np.ndarray) -> np.ndarray:
    nearness = np.clip((columns[:, _BEST_PAIR] - NEAR_FROM) / (LINK_FROM - NEAR_FROM), 0.0, 1.0)
    return _limited(columns, columns * np.where(_IS_LINK, _CARD, _CARD * nearness[:, np.newaxis]))


def _limited(columns: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Return what evidence adds to the scorecard's log-odds, with the limits of `MOST_FOR_REVIEW`."""
    own, links = (np.where(which, added, 0.0).sum(axis=1) for which in (~_IS_LINK, _IS_LINK))
    most_of_own = np.maximum(MOST_FOR_REVIEW + np.maximum(SCORECARD_INTERCEPT + links, 0.0) - links, 0.0)
    added = added * np.where(_IS_LINK, 1.0, _factor(own, most_of_own)[:, np.newaxis])
    own = np.minimum(own, most_of_own)
    size, habits = columns[:, _CLUSTER_SIZE], columns[:, _HABITS].sum(axis=1)
    is_family = (size <= np.log2(FAMILY)) | ((size <= np.log2(LARGE_FAMILY)) & (habits < UNLIKE_FAMILY))
    is_family &= columns[:, _EMAIL_SHARED] == 0
    personal = columns[:, _PERSONAL_SHARED].sum(axis=1)
    most = np.maximum(MOST_FOR_PLACE + PERSONAL * personal + HABITS * np.maximum(habits - 1, 0), own)
    most = np.where(is_family, np.minimum(most, MOST_FOR_REVIEW), most)
    return added * _factor(added.sum(axis=1), most)[:, np.newaxis]


def _factor(values: np.ndarray, most: np.ndarray | float) -> np.ndarray:
    """Return by what to multiply the values so that none is above `most`."""
    return np.minimum(1.0, most / np.maximum(values, 1e-9))


def scorecard(population: Population) -> AbuseModel:
    """Return the model that needs no labels."""
    return AbuseModel(SCORECARD, SCORECARD_INTERCEPT, SCORECARD_POINTS, population)
