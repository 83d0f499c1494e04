"""The policy and the scoring models as files: those that a service reads, and those that a build shares."""

from __future__ import annotations

from pathlib import Path

from quintet.lending.settings import LendingSettings
from quintet.settings import Settings

FOLDER = "lending_scoring"
"""The folder of the scoring models below the folder of all models."""

_POLICY = "policy/lending.toml"


def shared_files(settings: Settings) -> dict[str, Path]:
    """Return the files of the policy and the scoring models, by the name that they are shared under."""
    models = {f"models/{FOLDER}/{path.name}": path for path in (settings.models / FOLDER).glob("*.json")}
    return {_POLICY: settings.of(LendingSettings).lending_policy, **models}


def served_models(settings: Settings) -> Path:
    """Return the folder of the scoring models that a service reads."""
    return settings.served / "models" / FOLDER


def served_policy(settings: Settings) -> Path:
    """Return the file of the policy that a service reads: the one that the build shares, or the setting's."""
    shared = settings.served / _POLICY
    is_shared = settings.serving_url is not None and shared.exists()
    return shared if is_shared else settings.of(LendingSettings).lending_policy
