"""The asset of the scoring model trains it from the warehouse, saves it to a file, and reports the outcome."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.lending import lending_model
from definitions import build_resources
from quintet.lending.feature_registry import features
from quintet.lending.leaks import LeakError
from quintet.lending.models import registry_of
from quintet.lending.result_tables import MODEL_TABLES
from quintet.lending.tables import write_training_set
from quintet.settings import load_settings
from tests.unit.lending.training import make_training_set


@pytest.fixture
def resources(tmp_path: Path) -> dict[str, Any]:
    found = build_resources(load_settings({"QUINTET_HOME": str(tmp_path)}))
    return {name: found[name] for name in ("warehouse", "clock", "paths", "settings")}


def test_it_trains_and_saves_the_model_and_publishes_its_card(resources: dict[str, Any], tmp_path: Path) -> None:
    with resources["warehouse"].get_connection() as connection:
        write_training_set(connection, make_training_set(2_000), features())
    done = dg.materialize([lending_model], resources=resources)
    current = registry_of(tmp_path / "models").current()
    assert current is not None
    made = done.asset_materializations_for_node("lending_model")
    assert len(made) == len(MODEL_TABLES)
    for one in made:
        assert one.metadata["model"].value == current.version
        assert one.metadata["dagster/row_count"].value > 0
    with resources["warehouse"].get_connection() as connection:
        assert connection.execute("select count(*) from ml.lending_scores").fetchall() == [(2_000,)]


def test_a_leak_fails_the_run_and_leaves_no_model(resources: dict[str, Any], tmp_path: Path) -> None:
    rows = make_training_set(2_000)
    with resources["warehouse"].get_connection() as connection:
        planted = rows.assign(paid_loans_count=rows["outcome"].eq("repaid").astype(float))
        write_training_set(connection, planted, features())
    with pytest.raises(LeakError, match="paid_loans_count alone"):
        dg.materialize([lending_model], resources=resources)
    assert registry_of(tmp_path / "models").current() is None
