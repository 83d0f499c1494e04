"""The trained models of a domain as files: every version with its hash and gate verdict, and the active version."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_INDEX = "index.json"


class RegistryError(RuntimeError):
    """A file of the model registry is missing or was changed; the message says how to fix it."""


@dataclass(frozen=True)
class Verdict:
    """The promotion gate's verdict on a trained model: whether it may become active, and why, with figures."""

    passes: bool
    why: str


@dataclass(frozen=True)
class ModelVersion:
    """A registered model: version, SHA-256 of its text, when (UTC) and why it was trained, and row counts of its data.

    verdict: of the promotion gate; None for a version that did not go through it, or of an earlier release.
    """

    version: str
    sha256: str
    trained_at: str
    reason: str
    trained_from: Mapping[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None


class ModelRegistry:
    """The models in `folder`, which is created with the first model. One process may write at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self) -> list[ModelVersion]:
        """Return all saved versions, the latest last."""
        return [_version_of(entry) for entry in self._index()["versions"]]

    def current(self) -> ModelVersion | None:
        """Return the active version; None before the first."""
        in_use = self._index()["current"]
        return next((version for version in self.versions() if version.version == in_use), None)

    def active(self) -> ModelVersion:
        """Return the active version. Raises RegistryError if there is none."""
        current = self.current()
        if current is None:
            raise RegistryError(f"{self.folder / _INDEX}: no model is active; train one")
        return current

    def challenger(self) -> ModelVersion | None:
        """Return the version that is tried beside the active one; None where there is none."""
        tried = self._index()["challenger"]
        return next((version for version in self.versions() if version.version == tried), None)

    def used_before(self) -> list[str]:
        """Return the versions that were active before the current one, the latest last."""
        return list(self._index()["used_before"])

    def rolled_back(self) -> list[str]:
        """Return the versions that a person rolled back from; `activate` takes one off the list."""
        return list(self._index()["rolled_back"])

    def text(self, version: str) -> str:
        """Return the model's text. Raises RegistryError if the file is missing or was changed."""
        wanted = next((each for each in self.versions() if each.version == version), None)
        path = self._path(version)
        if wanted is None or not path.is_file():
            raise RegistryError(f"{path}: no such model; train a new one or restore the file")
        content = path.read_text("utf-8")
        if _sha256(content) != wanted.sha256:
            raise RegistryError(f"{path}: the file was changed after it was saved; restore it or train a new model")
        return content

    def register(
        self,
        version: str,
        text: str,
        trained_at: dt.datetime,
        reason: str,
        trained_from: Mapping[str, int],
        *,
        verdict: Verdict | None = None,
        active: bool = True,
    ) -> ModelVersion:
        """Save the model and, if `active`, activate it; a version that is registered again moves to the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        when = f"{trained_at:%Y-%m-%d %H:%M:%S}"
        registered = ModelVersion(version, _sha256(text), when, reason, dict(trained_from), verdict)
        _replace(self._path(version), text)
        others = [each for each in self.versions() if each.version != version]
        index = self._index() | {"versions": [asdict(each) for each in (*others, registered)]}
        self._write(_activated(index, version) if active else index)
        return registered

    def attach(self, version: str, text: str) -> None:
        """Write a text beside a registered model, such as its card, in place of an earlier one."""
        _replace(self._attachment(version), text)

    def attachment(self, version: str) -> str | None:
        """Return the text that was written beside a model; None where none was."""
        path = self._attachment(version)
        return path.read_text("utf-8") if path.is_file() else None

    def activate(self, version: str) -> None:
        """Activate a registered version. Raises RegistryError if it cannot be read."""
        self.text(version)
        self._write(_activated(self._index(), version))

    def roll_back(self) -> ModelVersion:
        """Activate the version that was active before the current one, and return it.

        Raises RegistryError if there is none or it cannot be read.
        """
        before = self.used_before()
        if not before:
            raise RegistryError(f"{self.folder / _INDEX}: no model was active before this one; train a new one")
        self.text(before[-1])
        index = self._index()
        rolled_back = [*(each for each in index["rolled_back"] if each != before[-1]), index["current"]]
        self._write(index | {"current": before[-1], "used_before": before[:-1], "rolled_back": rolled_back})
        return next(each for each in self.versions() if each.version == before[-1])

    def challenge(self, version: str | None) -> None:
        """Try a saved version beside the active one; None tries none. Raises RegistryError if it cannot be read."""
        if version is not None:
            self.text(version)
        self._write(self._index() | {"challenger": version})

    def _index(self) -> dict:
        path = self.folder / _INDEX
        found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return {"current": None, "used_before": [], "challenger": None, "rolled_back": [], "versions": []} | found

    def _write(self, index: Mapping) -> None:
        _replace(self.folder / _INDEX, json.dumps(index, indent=1))

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.json"

    def _attachment(self, version: str) -> Path:
        return self.folder / f"{version}.attachment.json"


_FORMER_NAMES = {"learned_at": "trained_at", "learned_from": "trained_from"}
_FORMER_COUNTS = {"clicks": "conversions"}


def _version_of(entry: Mapping[str, Any]) -> ModelVersion:
    """Read a version from the index, which uses other names if an earlier release wrote it."""
    fields = {_FORMER_NAMES.get(name, name): value for name, value in entry.items()}
    verdict = fields.get("verdict")
    counts = {_FORMER_COUNTS.get(name, name): count for name, count in fields.get("trained_from", {}).items()}
    return ModelVersion(**fields | {"trained_from": counts, "verdict": None if verdict is None else Verdict(**verdict)})


def _activated(index: Mapping, version: str) -> dict:
    """Return the index with another active version, which is no longer the challenger."""
    current = index["current"]
    before = index["used_before"] if current in (None, version) else [*index["used_before"], current]
    challenger = None if index["challenger"] == version else index["challenger"]
    rolled_back = [each for each in index["rolled_back"] if each != version]
    return {**index, "current": version, "used_before": before, "challenger": challenger, "rolled_back": rolled_back}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically: a reader sees the old or the new text, also after a power cut."""
    beside = path.with_name(f"{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
