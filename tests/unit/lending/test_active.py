"""The active policy and models: reloaded when a file changes; a broken file never replaces what is in use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from quintet.lending.active import Serving
from quintet.lending.decision_log import DecisionLog
from quintet.lending.policy import DEFAULT_POLICY
from quintet.ml.model_registry import ModelRegistry, Verdict
from tests.unit.lending.models import boosted, scorecard

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ONE, TWO = scorecard(), scorecard(560)
TEXT = DEFAULT_POLICY.read_text("utf-8")


class World:
    """A registry, a policy file and a decision log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.registry, self.policy = ModelRegistry(folder / "models"), folder / "lending.toml"
        self.log = DecisionLog(folder)
        self.log.start()
        self.faults: list[str] = []
        self.write_policy("version-1")

    def write_policy(self, version: str, change: tuple[str, str] = ("", "")) -> None:
        self.policy.write_text(TEXT.replace('"2026-11-1"', f'"{version}"').replace(*change), "utf-8")

    def add(self, model: object = ONE, *, active: bool = True) -> None:
        version, text = model.version, model.to_json()  # type: ignore[attr-defined]
        verdict = Verdict(active, "a test")
        self.registry.register(version, text, NOW.replace(tzinfo=None), "a test", {}, verdict=verdict, active=active)

    def break_file(self, model: object = ONE) -> None:
        (self.registry.folder / f"{model.version}.json").write_text("{", "utf-8")  # type: ignore[attr-defined]

    def serving(self) -> Serving:
        return Serving(self.registry, lambda: self.policy, self.log, lambda: NOW, self.faults.append)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.log.close()


def version_of(serving: Serving) -> str | None:
    return None if serving.now.model is None else serving.now.model.model.version


def test_without_a_model_there_is_a_policy_alone_and_no_fault(world: World) -> None:
    serving = world.serving()
    serving.refresh()

    assert serving.now.policy is not None
    assert (serving.now.model, serving.now.challenger, serving.now.faults) == (None, None, ())


def test_an_activated_and_a_rolled_back_model_are_loaded(world: World) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()
    assert version_of(serving) == ONE.version

    world.add(TWO)
    serving.refresh()
    assert version_of(serving) == TWO.version

    world.registry.roll_back()
    serving.refresh()
    assert version_of(serving) == ONE.version
    assert world.faults == []


def test_unchanged_files_are_not_read_again(world: World) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()
    before = serving.now
    serving.refresh()
    assert serving.now is before
    world.write_policy("version-2")
    serving.refresh()
    assert serving.now is not before


def test_a_broken_model_does_not_replace_the_one_in_use_and_is_reported_once(world: World) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()
    world.add(TWO)
    world.break_file(TWO)
    for version in ("version-1", "version-2", "version-3"):  # each change has the files read again
        world.write_policy(version)
        serving.refresh()

    assert version_of(serving) == ONE.version
    assert serving.now.policy is not None
    assert serving.now.policy.version == "version-3"
    (fault,) = world.faults
    assert f"model {TWO.version} is refused" in fault
    assert f"model {ONE.version} stays active" in fault


def test_at_the_start_the_model_before_a_broken_one_is_used_and_never_a_refused_one(world: World) -> None:
    world.add(ONE)
    world.add(boosted(), active=False)
    world.add(TWO)
    world.break_file(TWO)
    serving = world.serving()
    serving.refresh()

    assert version_of(serving) == ONE.version
    world.break_file(ONE)
    again = world.serving()
    again.refresh()
    assert version_of(again) is None
    assert "there is no other model" in world.faults[-1]


@pytest.mark.parametrize("content", ["{", '{"versions": 3}', "[]"])
def test_an_index_that_cannot_be_read_leaves_the_model_in_use(world: World, content: str) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()
    (world.registry.folder / "index.json").write_text(content, "utf-8")
    serving.refresh()

    assert version_of(serving) == ONE.version
    assert any("index.json cannot be read" in fault for fault in world.faults)


def test_a_broken_policy_does_not_replace_the_one_in_use_nor_after_a_restart(world: World) -> None:
    serving = world.serving()
    serving.refresh()
    world.write_policy("version-2", ("approve_below = 0.20", "approve_below = 7"))
    serving.refresh()
    again = world.serving()
    again.refresh()

    for each in (serving, again):
        assert each.now.policy is not None
        assert each.now.policy.version == "version-1"
    assert all("version version-1 of the policy stays active" in fault for fault in world.faults)
    assert len(world.faults) == 2, "each service reports it once"


def test_a_policy_that_is_changed_under_a_used_version_is_refused(world: World) -> None:
    world.serving().refresh()
    world.write_policy("version-1", ("approve_below = 0.20", "approve_below = 0.30"))
    again = world.serving()
    again.refresh()
    assert again.now.policy is not None
    assert again.now.policy.approve_below == 0.20
    assert "give the changed policy a version of its own" in again.now.faults[0]

    world.write_policy("version-2", ("approve_below = 0.20", "approve_below = 0.30"))
    again.refresh()
    assert (again.now.policy.approve_below, again.now.faults) == (0.30, ())


def test_a_model_file_that_is_changed_while_it_is_used_is_noticed(world: World) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()
    world.break_file(ONE)
    serving.refresh()
    assert version_of(serving) == ONE.version
    assert "the file was changed after it was saved" in serving.now.faults[0]


def test_without_any_valid_policy_there_is_none(world: World) -> None:
    world.policy.write_text("", "utf-8")
    serving = world.serving()
    serving.refresh()

    assert serving.now.policy is None
    assert "there is no other policy" in world.faults[0]


def test_a_broken_challenger_runs_not_and_the_active_model_goes_on(world: World) -> None:
    world.add(ONE)
    world.add(TWO, active=False)
    world.registry.challenge(TWO.version)
    serving = world.serving()
    serving.refresh()
    assert serving.now.challenger is not None
    assert serving.now.challenger.model.version == TWO.version

    world.break_file(TWO)
    world.write_policy("version-2")
    serving.refresh()
    assert serving.now.challenger is None
    assert version_of(serving) == ONE.version
    assert "no model runs in shadow" in world.faults[0]


def test_what_decides_is_in_the_log_before_it_decides(world: World) -> None:
    world.add(ONE)
    serving = world.serving()
    serving.refresh()

    assert serving.now.model is not None
    assert serving.now.policy is not None
    assert world.log.artefact(serving.now.model.sha256) == ONE.to_json()
    assert world.log.artefact(serving.now.policy.sha256) == serving.now.policy.text
