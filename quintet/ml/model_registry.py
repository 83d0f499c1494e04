"""The learned models of a domain as files: every version with its hash, and which of them is in use."""

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
    """The registry's files do not say what they said when they were written; the text says how to mend it."""


@dataclass(frozen=True)
class ModelVersion:
    """A kept model: its version, the hash of its text, when it was learned (UTC), why, and from what."""

    version: str
    sha256: str
    trained_at: str
    reason: str
    trained_from: Mapping[str, int] = field(default_factory=dict)


class ModelRegistry:
    """The models in `folder`, which is made when the first one is kept. One process may write at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self) -> list[ModelVersion]:
        """All that were kept, the latest last."""
        return [_version_of(entry) for entry in self._index()["versions"]]

    def current(self) -> ModelVersion | None:
        """The one in use, None before the first."""
        in_use = self._index()["current"]
        return next((version for version in self.versions() if version.version == in_use), None)

    def challenger(self) -> ModelVersion | None:
        """The one that is tried beside the one in use; None where there is none."""
        tried = self._index()["challenger"]
        return next((version for version in self.versions() if version.version == tried), None)

    def used_before(self) -> list[str]:
        """The versions that were in use before the current one, the latest last."""
        return list(self._index()["used_before"])

    def before(self, version: str) -> ModelVersion | None:
        """The one that was kept before `version`; None for the first."""
        names = [each.version for each in self.versions()]
        place = names.index(version)
        return self.versions()[place - 1] if place else None

    def text(self, version: str) -> str:
        """The model's text. Raises RegistryError where the file is gone or is not what was kept."""
        wanted = next((each for each in self.versions() if each.version == version), None)
        path = self._path(version)
        if wanted is None or not path.is_file():
            raise RegistryError(f"{path}: no such model; learn a new one, or put the file back")
        content = path.read_text("utf-8")
        if _sha256(content) != wanted.sha256:
            raise RegistryError(f"{path}: the file was changed since it was kept; put it back, or learn a new model")
        return content

    def keep(
        self,
        version: str,
        text: str,
        trained_at: dt.datetime,
        reason: str,
        trained_from: Mapping[str, int],
        *,
        in_use: bool = True,
    ) -> ModelVersion:
        """Write the model and, if `in_use`, use it from now on; the same version again moves to the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = ModelVersion(version, _sha256(text), f"{trained_at:%Y-%m-%d %H:%M:%S}", reason, dict(trained_from))
        _replace(self._path(version), text)
        others = [each for each in self.versions() if each.version != version]
        index = self._index() | {"versions": [asdict(each) for each in (*others, kept)]}
        self._write(_used(index, version) if in_use else index)
        return kept

    def attach(self, version: str, text: str) -> None:
        """Write a text beside a kept model, such as its card, in place of an earlier one."""
        _replace(self._attachment(version), text)

    def attachment(self, version: str) -> str | None:
        """Return the text that was written beside a model; None where none was."""
        path = self._attachment(version)
        return path.read_text("utf-8") if path.is_file() else None

    def use(self, version: str) -> None:
        """Use a version that was kept before. Raises RegistryError where it cannot be read."""
        self.text(version)
        self._write(_used(self._index(), version))

    def roll_back(self) -> ModelVersion:
        """Use the version again that was in use before the current one; gives it.

        Raises RegistryError where there is none, or it cannot be read.
        """
        before = self.used_before()
        if not before:
            raise RegistryError(f"{self.folder / _INDEX}: no model was in use before this one; learn a new one")
        self.text(before[-1])
        self._write(self._index() | {"current": before[-1], "used_before": before[:-1]})
        return next(each for each in self.versions() if each.version == before[-1])

    def challenge(self, version: str | None) -> None:
        """Try a kept version beside the one in use; None tries none. Raises RegistryError where it cannot be read."""
        if version is not None:
            self.text(version)
        self._write(self._index() | {"challenger": version})

    def _index(self) -> dict:
        path = self.folder / _INDEX
        found = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return {"current": None, "used_before": [], "challenger": None, "versions": []} | found

    def _write(self, index: Mapping) -> None:
        _replace(self.folder / _INDEX, json.dumps(index, indent=1))

    def _path(self, version: str) -> Path:
        return self.folder / f"{version}.json"

    def _attachment(self, version: str) -> Path:
        return self.folder / f"{version}.attachment.json"


_FORMER_NAMES = {"learned_at": "trained_at", "learned_from": "trained_from"}


def _version_of(entry: Mapping[str, Any]) -> ModelVersion:
    """A version as the index has it; an index of an earlier release has other names."""
    return ModelVersion(**{_FORMER_NAMES.get(name, name): value for name, value in entry.items()})


def _used(index: Mapping, version: str) -> dict:
    """The index with another version in use. Whoever challenged and is used no longer challenges."""
    current = index["current"]
    before = index["used_before"] if current in (None, version) else [*index["used_before"], current]
    challenger = None if index["challenger"] == version else index["challenger"]
    return {**index, "current": version, "used_before": before, "challenger": challenger}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(path: Path, text: str) -> None:
    """Write in one step: a reader sees the old text or the new one, also after a power cut."""
    beside = path.with_name(f"{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
