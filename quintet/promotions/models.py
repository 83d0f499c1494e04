"""The model registry of abuse models, and its active model."""

from __future__ import annotations

from pathlib import Path

from quintet.ml.model_registry import ModelRegistry
from quintet.promotions.model import AbuseModel, OtherMethodError

FOLDER = "promotions"
LABELLED = "labelled"
"""The key of `trained_from` with the number of accounts whose label a model was trained on."""


def registry_of(models: Path) -> ModelRegistry:
    """Return the model registry of abuse models below the folder of all models."""
    return ModelRegistry(models / FOLDER)


def active_model(registry: ModelRegistry) -> AbuseModel | None:
    """Return the active model; None if there is none yet, or it is of an older method and has to be retrained.

    Raises RegistryError for a file that is missing or was changed.
    """
    current = registry.current()
    if current is None:
        return None
    try:
        return AbuseModel.from_json(registry.text(current.version))
    except OtherMethodError:
        return None
