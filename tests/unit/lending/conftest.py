"""Fixtures: a warehouse with a trained scoring model, built once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import pandas as pd
import pytest

from quintet.lending.feature_registry import features
from quintet.lending.models import Promotion
from quintet.lending.policy import read_policy
from quintet.lending.result_tables import write_model_results
from quintet.lending.tables import write_training_set
from quintet.ml.model_registry import ModelRegistry
from tests.unit.lending.training import make_training_set

NOW = dt.datetime(2020, 1, 1, 4)


@pytest.fixture(scope="session")
def training_set() -> pd.DataFrame:
    return make_training_set(2_500)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    return ModelRegistry(tmp_path_factory.mktemp("models") / "lending_scoring")


@pytest.fixture(scope="session")
def run(training_set: pd.DataFrame, registry: ModelRegistry) -> Iterator[tuple[duckdb.DuckDBPyConnection, Promotion]]:
    """Return the warehouse after a training run, and the run's result."""
    with duckdb.connect() as connection:
        connection.execute("create schema ml")
        write_training_set(connection, training_set, features())
        yield connection, write_model_results(connection, registry, read_policy(), NOW)
