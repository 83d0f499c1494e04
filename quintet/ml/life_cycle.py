"""The life cycle of every model: train, pass the promotion gate, register, activate; roll back and challenge."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from quintet.ml.model_registry import ModelRegistry, ModelVersion, Verdict


@dataclass(frozen=True)
class ModelSpec:
    """The model that a domain trains.

    folder: of its registry, below the folder of all models. trained_on: the key of `ModelVersion.trained_from` that
    tells how much data a version saw. module: the module with `read_model(text)`, which raises ValueError for a text
    that it cannot use, and `compare_models(settings, one, other)`, which returns a row for each figure of two models'
    texts (figure, one, other). step: the step that trains it and has the option `retrain`. asset: one of the assets
    that the step writes. built_with: SQL for the version behind the published results; no row if there is none.
    """

    folder: str
    trained_on: str
    module: str
    step: str
    asset: tuple[str, str]
    built_with: str

    def registry(self, models: Path) -> ModelRegistry:
        """Return the model registry below the folder of all models."""
        return ModelRegistry(models / self.folder)

    def rebuild_reason(self, models: Path, snapshot: duckdb.DuckDBPyConnection) -> str | None:
        """Return why published results have to be rebuilt: another version was activated since. None if not."""
        active = self.registry(models).current()
        try:
            built = snapshot.execute(self.built_with).fetchone()
        except duckdb.CatalogException:  # an earlier release published the snapshot
            built = None
        if active is None or built is None or built[0] == active.version:
            return None
        return f"model {active.version} was activated in place of {built[0]}"


@dataclass(frozen=True)
class Candidate:
    """A trained model before the promotion gate: its version, its file's text, and row counts of its data."""

    version: str
    text: str
    trained_from: Mapping[str, int]


def promote(registry: ModelRegistry, candidate: Candidate, verdict: Verdict, reason: str, now: dt.datetime) -> Verdict:
    """Register a trained model with the gate's verdict, and activate it if it passes; return the verdict that applies.

    A refused model leaves the active one, its card and its entry as they are. Training never activates a version that a
    person rolled back. reason: why it was trained. now: UTC without zone.
    """
    if candidate.version in registry.rolled_back():
        return Verdict(False, f"{candidate.version} was rolled back; only a person activates it again")
    active = registry.current()
    if not verdict.passes and active is not None and active.version == candidate.version:
        return verdict
    registry.register(
        candidate.version,
        candidate.text,
        now,
        reason,
        candidate.trained_from,
        verdict=verdict,
        active=verdict.passes,
    )
    return verdict


def last_verdict(registry: ModelRegistry) -> Verdict | None:
    """Return the promotion gate's verdict on the model that was trained last; None if there is none."""
    return next((version.verdict for version in reversed(registry.versions()) if version.verdict is not None), None)


STATE_COLUMNS = ["version", "state", "trained_at", "rows", "verdict", "reason", "sha256"]


def states(registry: ModelRegistry, trained_on: str) -> pd.DataFrame:
    """Return the registered models, the latest first, with `STATE_COLUMNS`.

    state: active, challenger, rolled back, was active, refused, or registered. rows: the count `trained_on` of its
    data. verdict: the promotion gate's, with its reason; null if it has none.
    """
    rows = [
        {
            "version": version.version,
            "state": _state(registry, version),
            "trained_at": version.trained_at,
            "rows": version.trained_from.get(trained_on, 0),
            "verdict": _in_words(version.verdict),
            "reason": version.reason,
            "sha256": version.sha256,
        }
        for version in reversed(registry.versions())
    ]
    return pd.DataFrame(rows, columns=STATE_COLUMNS)


def _state(registry: ModelRegistry, version: ModelVersion) -> str:
    named = {
        "active": [each.version for each in (registry.current(),) if each is not None],
        "challenger": [each.version for each in (registry.challenger(),) if each is not None],
        "rolled back": registry.rolled_back(),
        "was active": registry.used_before(),
    }
    for state, versions in named.items():
        if version.version in versions:
            return state
    return "refused" if version.verdict is not None and not version.verdict.passes else "registered"


def _in_words(verdict: Verdict | None) -> str | None:
    return None if verdict is None else f"{'passed' if verdict.passes else 'refused'}: {verdict.why}"
