"""The model registry reads back what was saved, and refuses files that were changed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from quintet.ml.model_registry import ModelRegistry, RegistryError

NOW = dt.datetime(2024, 5, 1, 4)


def keep(registry: ModelRegistry, version: str) -> None:
    registry.register(version, f'{{"of": "{version}"}}', NOW, "asked for", {"rows": 3})


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def test_an_empty_registry_has_no_model_and_makes_no_folder(registry: ModelRegistry) -> None:
    assert (registry.current(), registry.versions()) == (None, [])
    assert not registry.folder.exists()


def test_the_model_saved_last_is_active_and_reads_back(registry: ModelRegistry) -> None:
    keep(registry, "one")
    keep(registry, "two")

    current = registry.current()

    assert current is not None
    assert (current.version, current.reason, current.trained_from) == ("two", "asked for", {"rows": 3})
    assert registry.text("two") == '{"of": "two"}'
    assert [version.version for version in registry.versions()] == ["one", "two"]


def test_a_version_saved_again_is_listed_once_and_last(registry: ModelRegistry) -> None:
    for version in ("one", "two", "one"):
        keep(registry, version)

    assert [version.version for version in registry.versions()] == ["two", "one"]


def test_an_earlier_version_can_be_activated(registry: ModelRegistry) -> None:
    keep(registry, "one")
    keep(registry, "two")
    registry.activate("one")

    current = registry.current()

    assert current is not None
    assert current.version == "one"
    assert len(registry.versions()) == 2


def test_a_changed_or_missing_file_is_refused_with_its_path(registry: ModelRegistry) -> None:
    keep(registry, "one")
    path = registry.folder / "one.json"
    path.write_text(path.read_text("utf-8") + " ", "utf-8")
    with pytest.raises(RegistryError, match=r"one\.json: the file was changed"):
        registry.text("one")
    path.unlink()
    with pytest.raises(RegistryError, match=r"one\.json: no such model"):
        registry.activate("one")


def test_a_kill_between_model_and_index_keeps_the_active_version(registry: ModelRegistry) -> None:
    keep(registry, "one")
    (registry.folder / "two.json").write_text("{}", "utf-8")
    (registry.folder / "index.json.tmp").write_text("half", "utf-8")

    current = registry.current()

    assert current is not None
    assert current.version == "one"


def test_a_version_can_be_saved_without_activating_it(registry: ModelRegistry) -> None:
    keep(registry, "one")
    registry.register("two", "{}", NOW, "it is worse", {}, active=False)

    current = registry.current()

    assert current is not None
    assert current.version == "one"
    assert registry.text("two") == "{}"


def test_roll_back_activates_the_previously_active_version_and_not_one_only_saved(registry: ModelRegistry) -> None:
    keep(registry, "one")
    registry.register("refused", "{}", NOW, "it is worse", {}, active=False)
    keep(registry, "two")

    assert registry.roll_back().version == "one"

    current = registry.current()
    assert current is not None
    assert current.version == "one"
    with pytest.raises(RegistryError, match="no model was active before"):
        registry.roll_back()


def test_roll_back_to_a_changed_file_is_refused_and_changes_nothing(registry: ModelRegistry) -> None:
    keep(registry, "one")
    keep(registry, "two")
    (registry.folder / "one.json").write_text("other", "utf-8")

    with pytest.raises(RegistryError, match=r"one\.json: the file was changed"):
        registry.roll_back()

    current = registry.current()
    assert current is not None
    assert current.version == "two"


def test_a_challenger_stays_one_until_it_is_activated(registry: ModelRegistry) -> None:
    keep(registry, "one")
    registry.register("two", "{}", NOW, "to be tried", {}, active=False)
    assert registry.challenger() is None

    registry.challenge("two")
    challenger = registry.challenger()
    assert challenger is not None
    assert challenger.version == "two"

    registry.activate("two")
    assert registry.challenger() is None


def test_an_unknown_version_cannot_challenge(registry: ModelRegistry) -> None:
    with pytest.raises(RegistryError, match="no such model"):
        registry.challenge("none")


def test_an_index_without_challenger_and_history_is_read(registry: ModelRegistry) -> None:
    keep(registry, "one")
    index = registry.folder / "index.json"
    old = json.loads(index.read_text("utf-8"))
    index.write_text(json.dumps({name: old[name] for name in ("current", "versions")}), "utf-8")

    assert registry.challenger() is None
    assert registry.used_before() == []


def test_an_index_with_the_former_names_is_read(registry: ModelRegistry) -> None:
    registry.register("one", "text", NOW, "asked for", {"rows": 3, "clicks": 5})
    index = registry.folder / "index.json"
    index.write_text(index.read_text().replace("trained_", "learned_"))
    current = registry.current()
    assert current is not None
    assert (current.trained_at, current.trained_from) == (f"{NOW:%Y-%m-%d %H:%M:%S}", {"rows": 3, "conversions": 5})
