"""Train, promote and list the scoring models of the registry."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from quintet.lending.model_training import CannotTrainError, Trained, gate, train
from quintet.lending.scoring import ModelFileError, ScoringModel
from quintet.lending.served import FOLDER
from quintet.ml.life_cycle import Candidate, promote, states
from quintet.ml.model_registry import ModelRegistry, RegistryError

ENDED, UNTIL = "ended loans", "ended until"
"""Keys of `trained_from`: how many loans, and the day until which they had ended, as a number like 20200823."""

_WORTH_RETRAINING = 1.1
_OTHER_KIND = "in shadow"


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


def train_and_promote(
    registry: ModelRegistry, training_set: pd.DataFrame, now: dt.datetime, *, retrain: bool = False
) -> Promotion:
    """Train a model, and activate it if it passes the promotion gate. now: UTC without zone.

    A new model needs a tenth more ended loans than any model of the registry was trained on, unless `retrain` asks for
    it. The kind that was not chosen runs in shadow, unless a person named another challenger.
    """
    try:
        current, fault = active_model(registry), ""
    except (RegistryError, ModelFileError, OSError) as error:
        current, fault = None, f"the active model cannot be read ({error}); "
    try:
        trained = train(training_set)
    except CannotTrainError as error:
        return Promotion(current, f"{fault}{error}", None)
    ended = len(trained.ended)
    most = max((version.trained_from.get(ENDED, 0) for version in registry.versions()), default=0)
    if current is not None and not retrain and ended < _WORTH_RETRAINING * most:
        return Promotion(
            current, f"the latest model was trained on {most:,} ended loans, and {ended:,} add too little", trained
        )
    active = registry.current() if current is not None else None
    counts = {ENDED: ended, UNTIL: int(f"{trained.ended['outcome_on'].max():%Y%m%d}")}
    verdict = promote(
        registry,
        Candidate(trained.model.version, trained.model.to_json(), counts),
        gate(trained, current, _day(active.trained_from.get(UNTIL)) if active else None),
        f"{fault}{'asked for' if retrain else f'{ended:,} ended loans, after {most:,}'}",
        now,
    )
    challenger = registry.challenger()
    if challenger is None or challenger.reason.startswith(_OTHER_KIND):
        other = next(model for kind, model in trained.models.items() if kind != trained.chosen)
        reason = f"{_OTHER_KIND} beside {trained.chosen}"
        if other.version != getattr(registry.current(), "version", None):
            registry.register(other.version, other.to_json(), now, reason, counts, active=False)
            registry.challenge(other.version)
    return Promotion(trained.model if verdict.passes else current, f"{fault}{verdict.why}", trained)


def _day(number: int | None) -> dt.date | None:
    return None if number is None else dt.datetime.strptime(str(number), "%Y%m%d").date()


_STATES = {"challenger": "in shadow", "registered": "kept"}


def state_of(registry: ModelRegistry) -> pd.DataFrame:
    """Return all models of the registry, the latest first: version, state, trained_at, why, sha256, ended_loans."""
    found = states(registry, ENDED)
    why = found["verdict"].where(found["verdict"].notna(), found["reason"])
    found = found.assign(state=found["state"].replace(_STATES), why=why, ended_loans=found["rows"])
    return found[["version", "state", "trained_at", "why", "sha256", "ended_loans"]]
