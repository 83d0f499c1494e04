"""The active policy, scoring model and challenger, reloaded when their files change."""

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

_WATCH_SECONDS = 1.0


@dataclass(frozen=True)
class LoadedModel:
    """A model with the text and hash of its file."""

    model: ScoringModel
    text: str
    sha256: str


@dataclass(frozen=True)
class ActiveState:
    """What decisions are made with. policy: None if there was never a valid one. faults: refused files and why."""

    policy: Policy | None
    model: LoadedModel | None
    challenger: LoadedModel | None
    faults: tuple[str, ...] = ()


class Serving:
    """The active policy and models, read at the start and whenever a file changes. Safe to share between threads.

    policy_file: returns the file of the policy. on_fault: called once for each file that is refused. on_use: called
    with the versions that become active. clock: UTC.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        policy_file: Callable[[], Path],
        log: DecisionLog,
        clock: Callable[[], dt.datetime],
        on_fault: Callable[[str], None],
        on_use: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._registry, self._policy_file, self._log = registry, policy_file, log
        self._clock, self._on_fault, self._on_use = clock, on_fault, on_use
        self._used = ""
        self._seen: tuple[object, ...] = ()
        self._reported: set[str] = set()
        self._ends = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="lending models", daemon=True)
        self.now = ActiveState(None, None, None)

    def start(self) -> None:
        """Read the files and watch them for changes."""
        self.refresh()
        self._watcher.start()

    def close(self) -> None:
        """Stop watching the files."""
        self._ends.set()
        if self._watcher.is_alive():
            self._watcher.join()

    def refresh(self) -> None:
        """Reload files that have changed; keep the active version where the new one is broken."""
        models = sorted(self._registry.folder.glob("*.json"))
        policy_file = self._policy_file()
        seen = tuple((path, _stamp(path)) for path in (policy_file, *models))
        if seen == self._seen:
            return
        faults: list[str] = []
        policy = self._policy(policy_file, faults)
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
        used = f"policy {policy.version if policy else 'none'}, model {model.model.version if model else 'none'}"
        if used != self._used:
            self._used = used
            self._on_use(used)
        for fault in faults:
            if fault not in self._reported:
                self._reported.add(fault)
                self._on_fault(fault)

    def _policy(self, file: Path, faults: list[str]) -> Policy | None:
        try:
            return self._unchanged(file, read_policy(file))
        except PolicyError as error:
            if self.now.policy is not None:
                faults.append(f"{error}; version {self.now.policy.version} of the policy stays active")
                return self.now.policy
            text = self._log.last_policy()
            try:
                last = None if text is None else Policy.from_text(text)
            except PolicyError:  # it names a feature that no longer exists
                last = None
            stays = "there is no other policy" if last is None else f"version {last.version} of the policy stays active"
            faults.append(f"{error}; {stays}")
            return last

    def _unchanged(self, file: Path, policy: Policy) -> Policy:
        """Return the policy. Raises PolicyError if decisions were made under its version with another text."""
        used = self._log.policy_of_version(policy.version)
        if used not in (None, policy.sha256):
            raise PolicyError(
                f"{file}: the file was changed after version {policy.version} was used; give the changed "
                "policy a version of its own, or restore the file"
            )
        return policy

    def _model(self, faults: list[str]) -> LoadedModel | None:
        """Return the registry's active model; if its file is broken, the model in use, or the latest one before it."""
        try:
            in_use, used = self._registry.current(), self._registry.used_before()
            kept = {version.version: version for version in self._registry.versions()}
            # Models that were never active did not pass the promotion gate.
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
                faults.append(f"model {in_use.version} is refused: {error}; model {other.version} is used instead")
                return last
            faults.append(f"model {in_use.version} is refused: {error}; {self._goes_on()}")
            return None

    def _challenger(self, faults: list[str]) -> LoadedModel | None:
        try:
            named = self._registry.challenger()
            return None if named is None else self._read(named)
        except (RegistryError, OSError, ValueError, KeyError, TypeError) as error:
            faults.append(f"the challenger is refused: {error}; no model runs in shadow")
            return None

    def _read(self, version: ModelVersion) -> LoadedModel:
        text = self._registry.text(version.version)
        return LoadedModel(ScoringModel.from_json(text), text, version.sha256)

    def _goes_on(self) -> str:
        kept = self.now.model
        return "there is no other model" if kept is None else f"model {kept.model.version} stays active"

    def _watch(self) -> None:
        while not self._ends.wait(_WATCH_SECONDS):
            try:
                self.refresh()
            except Exception as error:  # a full disk, a locked log: policy and models stay as they are
                self._on_fault(f"policy and models could not be reloaded: {error}")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return a value that differs after the file was written or replaced; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
