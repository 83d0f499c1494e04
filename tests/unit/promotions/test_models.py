"""The model registry of abuse models: the active model is found, and a modified file is refused."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest

from quintet.ml.model_registry import ModelRegistry, RegistryError
from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.models import active_model, registry_of
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import accounts

AT = dt.datetime(2026, 1, 1)


@pytest.fixture(scope="module")
def model() -> AbuseModel:
    return scorecard(Population.of(accounts({"user_id": "u", "email": "a@example.com"})))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return registry_of(tmp_path)


def keep(registry: ModelRegistry, model: AbuseModel) -> Path:
    registry.register(model.version, model.to_json(), AT, "a test", {})
    return registry.folder / f"{model.version}.json"


def test_an_empty_folder_has_no_active_model(registry: ModelRegistry):
    assert active_model(registry) is None


def test_the_last_model_is_active_and_can_be_rolled_back(model: AbuseModel, registry: ModelRegistry):
    later = replace(model, intercept=-5.0)
    keep(registry, model)
    keep(registry, later)
    assert active_model(registry) == later

    registry.roll_back()
    assert active_model(registry) == model


def test_a_file_that_was_changed_is_refused_with_its_name(model: AbuseModel, registry: ModelRegistry):
    file = keep(registry, model)
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"intercept": 9.0}), "utf-8")

    with pytest.raises(RegistryError, match=f"{file.name}.*changed"):
        active_model(registry)


def test_a_model_of_an_older_method_has_to_be_retrained(model: AbuseModel, registry: ModelRegistry):
    of_older_method = json.dumps(json.loads(model.to_json()) | {"method": "0"})
    registry.register("older", of_older_method, AT, "a test", {})

    assert active_model(registry) is None
