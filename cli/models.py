"""`quintet models`: list, activate, roll back and compare the trained models of all businesses."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping

import duckdb
import pandas as pd
from rich.console import Console
from rich.table import Table

from cli.audits import note
from quintet.domains import MODELS
from quintet.ml.life_cycle import ModelSpec, states
from quintet.ml.model_registry import ModelRegistry, RegistryError
from quintet.settings import Settings, SettingsError, load_settings
from quintet.shared_files import share_files
from quintet.shared_serving import SharedServingError
from quintet.warehouse.snapshot import NoSnapshotError


class CommandError(RuntimeError):
    """The command failed; the message says why and what to do."""


_FAULTS = (CommandError, RegistryError, SettingsError, SharedServingError, NoSnapshotError, OSError, ValueError)

_REBUILD = "; `quintet run --select {0}` rebuilds its results, and a running service loads it within seconds"


def main(action: str, business: str | None, *arguments: str | None) -> int:
    """Run one command; return 0, or 2 if it failed."""
    try:
        settings = load_settings()
        if business is None:
            _list(settings, MODELS)
        elif action == "list":
            _list(settings, {business: _spec(business)})
        else:
            _COMMANDS[action](settings, business, _spec(business), *arguments)
            if action != "compare":
                note(settings, f"models.{action}", " ".join([business, *(each for each in arguments if each)]))
                share_files(settings)
    except (
        CommandError,
        RegistryError,
        SettingsError,
        SharedServingError,
        NoSnapshotError,
        OSError,
        ValueError,
    ) as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _spec(business: str) -> ModelSpec:
    if business not in MODELS:
        raise CommandError(f"{business} has no model; there are {', '.join(MODELS)}")
    return MODELS[business]


def _list(settings: Settings, chosen: Mapping[str, ModelSpec]) -> None:
    table = Table("business", "model", "state", "trained (UTC)", "trained on", "promotion gate", "why trained")
    for name, spec in chosen.items():
        for row in states(spec.registry(settings.models), spec.trained_on).to_dict("records"):
            rows = f"{row['rows']:,} {spec.trained_on}"
            verdict = row["verdict"] or "not recorded"
            table.add_row(name, row["version"], row["state"], row["trained_at"], rows, verdict, row["reason"])
    Console(highlight=False, markup=False).print(table)


def _activate(settings: Settings, business: str, spec: ModelSpec, version: str) -> None:
    registry = spec.registry(settings.models)
    _check(registry, spec, version)
    registry.activate(version)
    print(f"{version} is active{_REBUILD.format(business)}")


def _roll_back(settings: Settings, business: str, spec: ModelSpec) -> None:
    registry = spec.registry(settings.models)
    print(f"{registry.roll_back().version} is active again{_REBUILD.format(business)}")


def _challenge(settings: Settings, business: str, spec: ModelSpec, version: str) -> None:
    registry = spec.registry(settings.models)
    if version == "none":
        registry.challenge(None)
        print("there is no challenger")
        return
    _check(registry, spec, version)
    registry.challenge(version)
    print(f"{version} is the challenger; `quintet models compare {business}` compares it with the active model")


def _compare(settings: Settings, business: str, spec: ModelSpec, version: str | None) -> None:
    registry = spec.registry(settings.models)
    active = registry.active()
    challenger, before = registry.challenger(), registry.used_before()
    other = version or (challenger.version if challenger else next(reversed(before), None))
    if other is None:
        raise CommandError(f"{business} has no challenger and no model that was active before; name a version")
    _check(registry, spec, other)
    texts = [registry.text(each) for each in (active.version, other)]
    try:
        found: pd.DataFrame = importlib.import_module(spec.module).compare_models(settings, *texts)
    except duckdb.CatalogException:
        raise CommandError(f"{business} is not published yet; `quintet run --select {business}` builds it") from None
    table = Table("", f"{active.version} (active)", other)
    for row in found.to_dict("records"):
        table.add_row(row["figure"], *(_shown(row[name]) for name in ("one", "other")))
    Console(highlight=False, markup=False).print(table)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _check(registry: ModelRegistry, spec: ModelSpec, version: str) -> None:
    """Raise CommandError for an unknown version, and for one whose file this release cannot use."""
    known = [each.version for each in registry.versions()]
    if version not in known:
        raise CommandError(f"there is no model {version}; the registry has {', '.join(known) or 'none yet'}")
    try:
        importlib.import_module(spec.module).read_model(registry.text(version))
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{version} cannot be used: {error}") from None


_COMMANDS: Mapping[str, Callable[..., None]] = {
    "activate": _activate,
    "rollback": _roll_back,
    "challenge": _challenge,
    "compare": _compare,
}
