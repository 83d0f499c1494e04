"""A model of abuse: what each piece of evidence is worth, frozen with the population under a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from quintet.promotions.evidence import EVIDENCE
from quintet.promotions.profile import Commonness, Population, Range

METHOD = "1"
"""Raise it with every change to what evidence means: models of another method cannot be used."""

SCORECARD_INTERCEPT = -6.0
SCORECARD_POINTS = {
    "phone_strange": 6.5,
    "email_domain_strange": 6.5,
    "name_case_strange": 6.5,
    "age_strange": 6.5,
    "use_hasty": 6.5,
    "uses_many": 6.5,
    "best_pair": 0.5,
    "next_pair": 0.25,
    "burst": 2.5,
    "same_code": 1.0,
}
"""Log-odds. One thing that hardly anybody does is worth a look (62%), two are sure; keys in common say little by
themselves, since honest people share too, and much where sign-ups come in bursts and use one code."""


class OtherMethodError(ValueError):
    """The model was made when evidence meant something else."""


@dataclass(frozen=True)
class AbuseModel:
    """The log-odds of abuse are the intercept and the evidence times the coefficients.

    kind: "scorecard" or "logistic". coefficients: by the names in `EVIDENCE`, absent ones are 0. population: what
    evidence is judged beside. Equal content has an equal version.
    """

    kind: str
    intercept: float
    coefficients: Mapping[str, float]
    population: Population

    @cached_property
    def version(self) -> str:
        """Names the content: the same parameters have the same version wherever they were learnt."""
        return f"{self.kind}-{hashlib.sha256(self.to_json().encode()).hexdigest()[:12]}"

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array([self.coefficients.get(name, 0.0) for name in EVIDENCE])

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """What each piece of evidence adds to the log-odds, of the shape of `columns`."""
        return columns * self._weights

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """From 0 to 1, a row of `columns` each."""
        return 1 / (1 + np.exp(-self.log_odds(columns)))

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        """The same as log-odds."""
        return self.intercept + self.contributions(columns).sum(axis=1)

    def to_json(self) -> str:
        """Canonical JSON; `from_json` gives the model back exactly."""
        return json.dumps({"method": METHOD, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> AbuseModel:
        """Raises OtherMethodError for a model of another method."""
        content = json.loads(text)
        if content["method"] != METHOD:
            raise OtherMethodError(
                f"the model is of method {content['method']}, this is method {METHOD}: train it anew"
            )
        learnt = content["population"]
        population = Population(
            **learnt
            | {name: Commonness(**learnt[name]) for name in ("phone_shape", "email_domain", "name_case")}
            | {name: Range(tuple(learnt[name]["quantiles"])) for name in ("age_years", "use_lag_days")}
            | {"use_count": tuple(learnt["use_count"])}
        )
        return cls(content["kind"], content["intercept"], content["coefficients"], population)


def scorecard(population: Population) -> AbuseModel:
    """The model that needs no label."""
    return AbuseModel("scorecard", SCORECARD_INTERCEPT, SCORECARD_POINTS, population)
