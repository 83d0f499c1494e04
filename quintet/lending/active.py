"""What decides just now: the policy, the scoring model, and the challenger beside it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quintet.lending.decision_log import DecisionLog
from quintet.lending.policy import Policy, PolicyError, read_policy
from quintet.lending.scoring import ScoringModel
from quintet.ml.model_registry import ModelRegistry, ModelVersion, RegistryError

FOLDER = "lending_scoring"
"""Of the models, below the folder of all models."""

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class KeptModel:
    """A model with its file's text and hash."""

    model: ScoringModel
    text: str
    sha256: str


@dataclass(frozen=True)
class ActiveState:
    """What decides. policy: None where there was never a good one. faults: what was refused and why."""

    policy: Policy | None
    model: KeptModel | None
    challenger: KeptModel | None
    faults: tuple[str, ...] = ()


class Serving:
    """What is in force, read at the start and whenever a file changes. Threads may share it.

    on_fault: told once of each thing that is refused. clock: UTC.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        policy_file: Path,
        log: DecisionLog,
        clock: Callable[[], dt.datetime],
        on_fault: Callable[[str], None],
    ) -> None:
        self._registry, self._policy_file, self._log = registry, policy_file, log
        self._clock, self._on_fault = clock, on_fault
        self._seen: tuple[object, ...] = ()
        self._told: set[str] = set()
        self._ends = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="lending models", daemon=True)
        self.now = ActiveState(None, None, None)

    def start(self) -> None:
        """Read, and watch from now on."""
        self.refresh()
        self._watcher.start()

    def close(self) -> None:
        """End the watch."""
        self._ends.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def refresh(self) -> None:
        """Read anew what has changed; what is broken leaves in force what was."""
        seen = tuple(_stamp(path) for path in (self._policy_file, self._registry.folder / "index.json"))
        if seen == self._seen:
            return
        faults: list[str] = []
        policy = self._policy(faults)
        model = self._model(faults)
        challenger = self._challenger(faults)
        now = self._clock().isoformat()
        if policy is not None:
            self._log.keep_artefact("policy", policy.sha256, policy.version, policy.text, now)
        for kept in (model, challenger):
            if kept is not None:
                self._log.keep_artefact("model", kept.sha256, kept.model.version, kept.text, now)
        self.now = ActiveState(policy, model, challenger, tuple(faults))
        self._seen = seen
        for fault in faults:
            if fault not in self._told:
                self._told.add(fault)
                self._on_fault(fault)

    def _policy(self, faults: list[str]) -> Policy | None:
        try:
            return read_policy(self._policy_file)
        except PolicyError as error:
            if self.now.policy is not None:
                faults.append(f"{error}; version {self.now.policy.version} of the policy goes on")
                return self.now.policy
            text = self._log.last_policy()
            try:
                last = None if text is None else Policy.from_text(text)
            except PolicyError:  # it names a feature that there is no longer
                last = None
            goes_on = "there is no other policy" if last is None else f"version {last.version} of the policy goes on"
            faults.append(f"{error}; {goes_on}")
            return last

    def _model(self, faults: list[str]) -> KeptModel | None:
        """The model in use; where its file is broken, the last good one: the one in force, or the latest before it."""
        try:
            in_use, used = self._registry.current(), self._registry.used_before()
            kept = {version.version: version for version in self._registry.versions()}
            # One that was only kept did not pass the gate.
            others = [kept[version] for version in reversed(used) if version in kept]
        except (OSError, ValueError, KeyError, TypeError) as error:
            faults.append(f"{self._registry.folder / 'index.json'} cannot be read: {error}; {self._goes_on()}")
            return self.now.model
        if in_use is None:
            return None
        try:
            return self._read(in_use)
        except (RegistryError, OSError, ValueError) as error:
            if self.now.model is not None:
                faults.append(f"model {in_use.version} is refused: {error}; {self._goes_on()}")
                return self.now.model
            for other in (version for version in others if version.version != in_use.version):
                try:
                    last = self._read(other)
                except (RegistryError, OSError, ValueError):
                    continue
                faults.append(f"model {in_use.version} is refused: {error}; model {other.version} serves")
                return last
            faults.append(f"model {in_use.version} is refused: {error}; {self._goes_on()}")
            return None

    def _challenger(self, faults: list[str]) -> KeptModel | None:
        try:
            named = self._registry.challenger()
            return None if named is None else self._read(named)
        except (RegistryError, OSError, ValueError, KeyError, TypeError) as error:
            faults.append(f"the challenger is refused: {error}; nothing is tried beside the model")
            return None

    def _read(self, version: ModelVersion) -> KeptModel:
        text = self._registry.text(version.version)
        return KeptModel(ScoringModel.from_json(text), text, version.sha256)

    def _goes_on(self) -> str:
        kept = self.now.model
        return "there is no other model" if kept is None else f"model {kept.model.version} goes on"

    def _watch(self) -> None:
        while not self._ends.wait(_WATCH_SECONDS):
            try:
                self.refresh()
            except Exception as error:  # a full disk, a locked log: what is in force goes on
                self._on_fault(f"policy and models could not be read anew: {error}")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file was replaced or written."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
