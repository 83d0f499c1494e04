"""The scoring models of the registry: the promotion gate, rollback, and the challenger in shadow."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import pytest

from quintet.lending.model_training import Trained
from quintet.lending.models import Promotion, active_model, registry_of, state_of, train_and_promote
from quintet.ml.model_registry import ModelRegistry
from tests.unit.lending.training import make_training_set

_LATER = dt.datetime(2020, 2, 1, 4)


@pytest.fixture
def kept(run: tuple[object, Promotion], registry: ModelRegistry, tmp_path: Path) -> ModelRegistry:
    """A copy of the registry after the first training."""
    assert run[1].model is not None
    shutil.copytree(registry.folder, tmp_path / "copy")
    return ModelRegistry(tmp_path / "copy")


def _trained(run: tuple[object, Promotion]) -> Trained:
    found = run[1].trained
    assert found is not None
    return found


def test_the_first_model_is_activated_and_the_other_kind_runs_in_shadow(
    run: tuple[object, Promotion], kept: ModelRegistry
) -> None:
    current, challenger = kept.current(), kept.challenger()
    assert current is not None
    assert challenger is not None
    assert current.version == _trained(run).model.version
    assert {current.version, challenger.version} == {model.version for model in _trained(run).models.values()}
    active = active_model(kept)
    assert active == _trained(run).model
    assert state_of(kept).set_index("version")["state"].to_dict() == {
        current.version: "active",
        challenger.version: "in shadow",
    }


def test_nearly_the_same_loans_again_change_nothing(kept: ModelRegistry, training_set: pd.DataFrame) -> None:
    before = [version.version for version in kept.versions()]
    promotion = train_and_promote(kept, training_set, _LATER)
    assert "add too little" in promotion.why
    assert [version.version for version in kept.versions()] == before
    assert promotion.trained is not None


def test_a_tenth_more_loans_train_a_new_model_that_can_be_rolled_back(kept: ModelRegistry) -> None:
    first, first_challenger = kept.current(), kept.challenger()
    promotion = train_and_promote(kept, make_training_set(3_200), _LATER)
    second, second_challenger = kept.current(), kept.challenger()
    assert first_challenger is not None
    assert second_challenger is not None
    assert second_challenger.version != first_challenger.version
    assert first is not None
    assert second is not None
    assert promotion.model is not None
    assert second.version == promotion.model.version != first.version
    assert kept.roll_back().version == first.version
    again = train_and_promote(kept, make_training_set(3_200), _LATER)
    assert again.model is not None
    assert again.model.version == first.version, "what a person took back stays back"


def test_a_worse_model_is_registered_and_not_activated(kept: ModelRegistry) -> None:
    first = kept.current()
    rows = make_training_set(3_200)
    noise = rows["outcome"].sample(frac=1.0, random_state=1).to_numpy()  # outcomes of other loans
    ended_on = pd.to_datetime(rows["applied_on"]) + pd.Timedelta(days=30)
    worse = rows.assign(outcome=noise, outcome_on=ended_on.where(pd.notna(noise), None))
    promotion = train_and_promote(kept, worse, _LATER)
    current = kept.current()
    assert first is not None
    assert current is not None
    assert current.version == first.version
    assert promotion.model is not None
    assert promotion.model.version == first.version
    assert "chance" in promotion.why or "clearly worse" in promotion.why
    refused = next(each for each in reversed(kept.versions()) if each.verdict is not None)
    assert refused.version != first.version
    assert not refused.verdict.passes  # type: ignore[union-attr]
    assert state_of(kept).set_index("version")["state"][refused.version] == "refused"
    assert first.version not in kept.used_before()


def test_a_challenger_that_a_person_named_stays(kept: ModelRegistry) -> None:
    current = kept.current()
    assert current is not None
    kept.challenge(current.version)
    train_and_promote(kept, make_training_set(3_200), _LATER)
    challenger = kept.challenger()
    assert challenger is not None
    assert challenger.version == current.version


def test_a_broken_file_is_replaced_by_the_trained_model_and_the_reason_says_so(
    kept: ModelRegistry, training_set: pd.DataFrame
) -> None:
    current = kept.current()
    assert current is not None
    (kept.folder / f"{current.version}.json").write_text("{", "utf-8")
    promotion = train_and_promote(kept, training_set, _LATER)
    assert "cannot be read" in promotion.why
    assert active_model(kept) == promotion.model


def test_with_too_little_data_no_model_is_active_and_the_reason_says_why(tmp_path: Path) -> None:
    empty = registry_of(tmp_path)
    promotion = train_and_promote(empty, make_training_set(100), _LATER)
    assert promotion.model is None
    assert "training needs" in promotion.why
    assert state_of(empty).empty
