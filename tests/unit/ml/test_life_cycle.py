"""One life cycle for all models: the gate decides, a person may roll back, and both are kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from quintet.ml.life_cycle import Candidate, ModelSpec, last_verdict, promote, states
from quintet.ml.model_registry import ModelRegistry, RegistryError, Verdict

NOW = dt.datetime(2026, 1, 1)
PASSES, REFUSED = Verdict(True, "AUC 0.8"), Verdict(False, "AUC 0.5")
SPEC = ModelSpec("things", "rows", "none", "step", ("ml", "things"), "select version from ml.things")


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return SPEC.registry(tmp_path)


def candidate(version: str, rows: int = 3) -> Candidate:
    return Candidate(version, f"text of {version}", {"rows": rows})


def states_of(registry: ModelRegistry) -> dict[str, str]:
    return dict(states(registry, "rows").set_index("version")["state"])


def test_a_model_that_passes_is_registered_with_its_verdict_and_active(registry: ModelRegistry) -> None:
    assert promote(registry, candidate("one"), PASSES, "asked for", NOW) == PASSES

    assert registry.active().verdict == last_verdict(registry) == PASSES
    (row,) = states(registry, "rows").to_dict("records")
    assert (row["state"], row["verdict"], row["reason"], row["rows"]) == ("active", "passed: AUC 0.8", "asked for", 3)


def test_a_refused_model_is_kept_with_its_verdict_and_leaves_the_active_one(registry: ModelRegistry) -> None:
    promote(registry, candidate("one"), PASSES, "first", NOW)
    registry.attach("one", "its card")
    before = registry.active()

    assert promote(registry, candidate("two"), REFUSED, "more rows", NOW) == REFUSED

    assert registry.active() == before
    assert registry.attachment("one") == "its card"
    assert last_verdict(registry) == REFUSED
    assert states_of(registry) == {"two": "refused", "one": "active"}
    assert registry.used_before() == []


def test_the_active_model_trained_again_and_refused_keeps_its_entry(registry: ModelRegistry) -> None:
    promote(registry, candidate("one"), PASSES, "first", NOW)
    before = registry.active()
    promote(registry, candidate("one"), REFUSED, "again", NOW + dt.timedelta(days=1))

    assert registry.active() == before


def test_training_does_not_bring_back_what_a_person_rolled_back(registry: ModelRegistry) -> None:
    for version in ("one", "two"):
        promote(registry, candidate(version), PASSES, "more rows", NOW)
    registry.roll_back()

    again = promote(registry, candidate("two"), PASSES, "more rows", NOW)
    assert not again.passes
    assert "rolled back" in again.why
    assert registry.active().version == "one"
    assert states_of(registry) == {"two": "rolled back", "one": "active"}

    assert promote(registry, candidate("three"), PASSES, "other rows", NOW).passes
    registry.activate("two")
    assert states_of(registry) == {"three": "was active", "two": "active", "one": "was active"}
    assert promote(registry, candidate("two"), PASSES, "more rows", NOW).passes


def test_a_challenger_and_a_version_without_a_verdict_have_their_states(registry: ModelRegistry) -> None:
    promote(registry, candidate("one"), PASSES, "first", NOW)
    for version in ("two", "three"):
        registry.register(version, "text", NOW, "by hand", {}, active=False)
    registry.challenge("two")

    assert states_of(registry) == {"three": "registered", "two": "challenger", "one": "active"}
    assert last_verdict(registry) == PASSES


def test_without_a_model_there_is_no_verdict_and_no_active_version(registry: ModelRegistry) -> None:
    assert last_verdict(registry) is None
    assert states(registry, "rows").empty
    with pytest.raises(RegistryError, match="no model is active"):
        registry.active()


@pytest.mark.parametrize(
    ("built", "reason"),
    [(["two"], None), (["one"], "model two was activated in place of one"), ([], None), (None, None)],
)
def test_results_are_rebuilt_if_another_version_was_activated_since(
    registry: ModelRegistry, tmp_path: Path, built: list[str] | None, reason: str | None
) -> None:
    for version in ("one", "two"):
        promote(registry, candidate(version), PASSES, "more rows", NOW)
    with duckdb.connect() as snapshot:
        if built is not None:
            snapshot.execute("create schema ml; create table ml.things (version varchar)")
            for version in built:
                snapshot.execute("insert into ml.things values (?)", [version])
        assert SPEC.rebuild_reason(tmp_path, snapshot) == reason
