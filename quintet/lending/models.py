"""Train, promote and list the scoring models of the registry."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from quintet.lending.active import FOLDER
from quintet.lending.model_training import CannotTrainError, Trained, learn, may_replace
from quintet.lending.scoring import ModelFileError, ScoringModel
from quintet.ml.model_registry import ModelRegistry, RegistryError

ENDED, UNTIL = "ended loans", "ended until"
"""Keys of `trained_from`: how many loans, and the day until which they had ended, as a number like 20200823."""

_WORTH_RETRAINING = 1.1
_IN_SHADOW = "in shadow"


@dataclass(frozen=True)
class Promotion:
    """The result of a run. model: the active one, if any. why: the reason. trained: None if training was impossible."""

    model: ScoringModel | None
    why: str
    trained: Trained | None


def registry_of(models: Path) -> ModelRegistry:
    """Return the registry of scoring models below the folder of all models."""
    return ModelRegistry(models / FOLDER)


def active_model(registry: ModelRegistry) -> ScoringModel | None:
    """Return the active model, None before the first. Raises RegistryError or ModelFileError if it cannot be read."""
    current = registry.current()
    return None if current is None else ScoringModel.from_json(registry.text(current.version))


def train_and_promote(registry: ModelRegistry, training_set: pd.DataFrame, now: dt.datetime) -> Promotion:
    """Train a model, and activate it if it passes the promotion gate. now: UTC without zone.

    A new model needs a tenth more ended loans than any model of the registry was trained on, so a model that a person
    rolled back does not return at once. The kind that was not chosen runs in shadow, unless a person named another
    challenger.
    """
    try:
        current, fault = active_model(registry), ""
    except (RegistryError, ModelFileError, OSError) as error:
        current, fault = None, f"the active model cannot be read ({error}); "
    try:
        trained = learn(training_set)
    except CannotTrainError as error:
        return Promotion(current, f"{fault}{error}", None)
    ended = len(trained.ended)
    most = max((version.trained_from.get(ENDED, 0) for version in registry.versions()), default=0)
    if current is not None and ended < _WORTH_RETRAINING * most:
        return Promotion(
            current, f"the latest model was trained on {most:,} ended loans, and {ended:,} add too little", trained
        )
    active = registry.current() if current is not None else None
    passes, why = may_replace(trained, current, _day(active.trained_from.get(UNTIL)) if active else None)
    counts = {ENDED: ended, UNTIL: int(f"{trained.ended['outcome_on'].max():%Y%m%d}")}
    registry.keep(trained.model.version, trained.model.to_json(), now, f"{fault}{why}", counts, in_use=passes)
    challenger = registry.challenger()
    if challenger is None or challenger.reason.startswith(_IN_SHADOW):
        other = next(model for kind, model in trained.models.items() if kind != trained.chosen)
        reason = f"{_IN_SHADOW} beside {trained.chosen}"
        registry.keep(other.version, other.to_json(), now, reason, counts, in_use=False)
        registry.challenge(other.version)
    return Promotion(trained.model if passes else current, f"{fault}{why}", trained)


def _day(number: int | None) -> dt.date | None:
    return None if number is None else dt.datetime.strptime(str(number), "%Y%m%d").date()


def state_of(registry: ModelRegistry) -> pd.DataFrame:
    """Return all models of the registry, the latest first: version, state, trained_at, why, sha256, ended_loans."""
    current, challenger = registry.current(), registry.challenger()
    states = {named.version: state for named, state in ((challenger, "in shadow"), (current, "active")) if named}
    before = set(registry.used_before())
    rows = [
        {
            "version": version.version,
            "state": states.get(version.version, "was active" if version.version in before else "kept"),
            "trained_at": version.trained_at,
            "why": version.reason,
            "sha256": version.sha256,
            "ended_loans": version.trained_from.get(ENDED, 0),
        }
        for version in reversed(registry.versions())
    ]
    return pd.DataFrame(rows, columns=["version", "state", "trained_at", "why", "sha256", "ended_loans"])
