"""The folder of models: what is put in force is found again, and what was changed by hand is not used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from quintet.promotions.model import AbuseModel, scorecard
from quintet.promotions.model_store import CURRENT, DamagedModelError, content_hash, model_in_force, put_in_force
from quintet.promotions.profile import Population
from tests.unit.promotions.worlds import accounts


@pytest.fixture(scope="module")
def model() -> AbuseModel:
    return scorecard(Population.of(accounts({"user_id": "u", "email": "a@example.com"})))


def test_an_empty_folder_has_no_model_in_force(tmp_path: Path):
    assert model_in_force(tmp_path / "models") is None


def test_the_model_put_in_force_last_is_the_one_and_the_former_stays_a_file(model: AbuseModel, tmp_path: Path):
    later = replace(model, intercept=-5.0)
    first_file = put_in_force(tmp_path, model)
    put_in_force(tmp_path, later)

    assert model_in_force(tmp_path) == later
    assert first_file.exists()
    assert later.version.endswith(content_hash(later)[:12])


def test_a_file_that_was_changed_is_refused_with_its_name(model: AbuseModel, tmp_path: Path):
    file = put_in_force(tmp_path, model)
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"intercept": 9.0}), "utf-8")

    with pytest.raises(DamagedModelError, match=f"{file.name}.*changed"):
        model_in_force(tmp_path)


def test_a_file_that_is_missing_or_broken_is_refused(model: AbuseModel, tmp_path: Path):
    file = put_in_force(tmp_path, model)
    file.write_text("{", "utf-8")
    with pytest.raises(DamagedModelError, match="cannot be read"):
        model_in_force(tmp_path)
    file.unlink()
    with pytest.raises(DamagedModelError, match=CURRENT):
        model_in_force(tmp_path)


def test_a_model_of_an_older_method_has_to_be_learnt_anew(model: AbuseModel, tmp_path: Path):
    file = put_in_force(tmp_path, model)
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"method": "0"}), "utf-8")

    assert model_in_force(tmp_path) is None
