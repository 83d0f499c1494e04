"""The pipeline as people see it: assets with what they are made from, and how each build of them ended.

`lineage.json` describes the assets (`python -m tests.integration.graph` writes it). Each run adds how its assets ended
to a file in the home folder, so that the service needs no Dagster.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_LINEAGE = Path(__file__).with_name("lineage.json")
BUILDS_FILE = "pipeline.json"
"""The file of the home that records how each asset was built last."""

STAGES: Mapping[str, tuple[str, ...]] = {
    "Sources": ("inbox", "source", "seeds"),
    "Tables": ("change_log", "lake", "raw", "staging", "intermediate", "ops", "marts"),
    "Models": ("matching", "ml"),
    "Reports": ("reports", "serving", "notifications"),
}
"""The stages in the order of the data, each with the first parts of its assets' keys."""


@dataclass(frozen=True)
class Asset:
    """An asset: its key such as `marts/dim_agency`, business, step, description, and the keys it is made from."""

    key: str
    group: str
    step: str
    description: str
    upstream: tuple[str, ...]

    @property
    def stage(self) -> str:
        """Return its stage, one of `STAGES`."""
        kind = self.key.partition("/")[0]
        return next((stage for stage, kinds in STAGES.items() if kind in kinds), "Tables")


@dataclass
class Build:
    """How an asset was built last. built_at, failed_at: ISO, UTC. checks: by name whether the last one passed."""

    built_at: str = ""
    rows: int | None = None
    run_id: str = ""
    failed_at: str = ""
    failure: str = ""
    checks: dict[str, bool] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        """Return whether the last attempt failed."""
        return self.failed_at > self.built_at


@cache
def lineage() -> Mapping[str, Asset]:
    """Return all assets by key."""
    found = json.loads(_LINEAGE.read_text("utf-8"))
    return {
        key: Asset(key, one["group"], one["step"], one["description"], tuple(one["upstream"]))
        for key, one in found.items()
    }


def builds(home: Path) -> dict[str, Build]:
    """Return how the assets of a home were built last, by key; none before the first run, or of another release."""
    with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
        found = json.loads((home / BUILDS_FILE).read_text("utf-8"))
        return {str(key): Build(**build) for key, build in found.items()}
    return {}


def add_builds(home: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Add how a run's assets ended. changes: by key, the fields of `Build` that are new; checks are added by name."""
    with (home / f"{BUILDS_FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = builds(home)
        for key, change in changes.items():
            build = known.setdefault(key, Build())
            for name, value in change.items():
                setattr(build, name, {**build.checks, **value} if name == "checks" else value)
        unfinished = home / f"{BUILDS_FILE}.{os.getpid()}.tmp"
        unfinished.write_text(json.dumps({key: asdict(build) for key, build in sorted(known.items())}), "utf-8")
        unfinished.replace(home / BUILDS_FILE)
