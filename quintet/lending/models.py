"""The files of scoring models: what is learnt comes into force only through the gate, and can be taken back."""

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
"""What `trained_from` says: how many loans, and the day until which they had ended, as a number like 20200823."""

_WORTH_LEARNING = 1.1
_IN_SHADOW = "in shadow"


@dataclass(frozen=True)
class Promotion:
    """What a run came to. model: in force from now on, None where there is none. why: it is. learned: None where
    nothing could be.
    """

    model: ScoringModel | None
    why: str
    learned: Trained | None


def registry_of(models: Path) -> ModelRegistry:
    """The registry of scoring models below the folder of all models."""
    return ModelRegistry(models / FOLDER)


def active_model(registry: ModelRegistry) -> ScoringModel | None:
    """The model in force; None before the first. Raises RegistryError or ModelFileError where it cannot be read."""
    current = registry.current()
    return None if current is None else ScoringModel.from_json(registry.text(current.version))


def train_and_promote(registry: ModelRegistry, training_set: pd.DataFrame, now: dt.datetime) -> Promotion:
    """Learn; put what was learnt in force if the gate lets it through. now: UTC without zone.

    Learning anew is worth it once a tenth more loans have ended than any kept model has learnt from; so what a person
    took back stays back for a while. The kind that was not chosen is kept and tried in shadow, unless a person named
    another challenger.
    """
    try:
        current, fault = active_model(registry), ""
    except (RegistryError, ModelFileError, OSError) as error:
        current, fault = None, f"the model in force cannot be read ({error}); "
    try:
        learned = learn(training_set)
    except CannotTrainError as error:
        return Promotion(current, f"{fault}{error}", None)
    ended = len(learned.ended)
    most = max((version.trained_from.get(ENDED, 0) for version in registry.versions()), default=0)
    if current is not None and ended < _WORTH_LEARNING * most:
        return Promotion(
            current, f"{most:,} ended loans were learnt from before, and {ended:,} say little more", learned
        )
    in_force = registry.current() if current is not None else None
    passes, why = may_replace(learned, current, _day(in_force.trained_from.get(UNTIL)) if in_force else None)
    told = {ENDED: ended, UNTIL: int(f"{learned.ended['outcome_on'].max():%Y%m%d}")}
    registry.keep(learned.model.version, learned.model.to_json(), now, f"{fault}{why}", told, in_use=passes)
    challenger = registry.challenger()
    if challenger is None or challenger.reason.startswith(_IN_SHADOW):
        other = next(model for kind, model in learned.models.items() if kind != learned.chosen)
        registry.keep(other.version, other.to_json(), now, f"{_IN_SHADOW} beside {learned.chosen}", told, in_use=False)
        registry.challenge(other.version)
    return Promotion(learned.model if passes else current, f"{fault}{why}", learned)


def _day(number: int | None) -> dt.date | None:
    return None if number is None else dt.datetime.strptime(str(number), "%Y%m%d").date()


def state_of(registry: ModelRegistry) -> pd.DataFrame:
    """All kept models, the latest first: version, state, trained_at, why, sha256, ended_loans."""
    current, challenger = registry.current(), registry.challenger()
    states = {named.version: state for named, state in ((challenger, "in shadow"), (current, "in force")) if named}
    before = set(registry.used_before())
    rows = [
        {
            "version": version.version,
            "state": states.get(version.version, "was in force" if version.version in before else "kept"),
            "trained_at": version.trained_at,
            "why": version.reason,
            "sha256": version.sha256,
            "ended_loans": version.trained_from.get(ENDED, 0),
        }
        for version in reversed(registry.versions())
    ]
    return pd.DataFrame(rows, columns=["version", "state", "trained_at", "why", "sha256", "ended_loans"])
