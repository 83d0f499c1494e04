"""The model of abuse: the weight of each piece of evidence, frozen with its population under a version."""

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
"""Increase it with every change to the meaning of evidence: models of another method cannot be used."""

SCORECARD = "scorecard"
"""The kind of the model that needs no labels; the other is logistic."""

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
"""Log-odds. One very rare trait leads to a review (62%), two are certain. Shared keys alone mean little, since honest
people share them too, but much where sign-ups come in bursts and use one code."""


class OtherMethodError(ValueError):
    """The model was made with another definition of the evidence."""


@dataclass(frozen=True)
class AbuseModel:
    """A model whose log-odds of abuse are the intercept plus the evidence times the coefficients.

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
        """Return what each piece of evidence adds to the log-odds, in the shape of `columns`."""
        return columns * self._weights

    def scores(self, columns: np.ndarray) -> np.ndarray:
        """Return a score from 0 to 1 for each row of `columns`."""
        return 1 / (1 + np.exp(-self.log_odds(columns)))

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        """Return the scores as log-odds."""
        return self.intercept + self.contributions(columns).sum(axis=1)

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
            | {"use_count": tuple(fields["use_count"])}
        )
        return cls(content["kind"], content["intercept"], content["coefficients"], population)


def scorecard(population: Population) -> AbuseModel:
    """Return the model that needs no labels."""
    return AbuseModel(SCORECARD, SCORECARD_INTERCEPT, SCORECARD_POINTS, population)
