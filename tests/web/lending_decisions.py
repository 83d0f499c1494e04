"""Applications, features and a deciding service for tests of loan decisions over HTTP."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch
from quintet.lending.feature_registry import features
from quintet.lending.online import OnlineFeatures
from quintet.lending.scoring import ScoringModel
from quintet.lending.served import FOLDER
from quintet.ml.model_registry import ModelRegistry
from quintet.state.features import FeatureStore
from tests.unit.lending.events import change
from tests.web.service import ADMIN, build_app

PATH = "/v1/lending/decisions"
NOW = dt.datetime.now(dt.UTC)
LOAN = {"client_id": 7, "amount": 100.0, "created_on": "2020-02-01", "status": "paid", "updated_on": "2020-06-20"}
PAYMENT = {"loan_id": 1, "principle": 100.0, "interest": 9.0, "status": "on_time", "created_on": "2020-06-20"}


def an_application(application_id: int = 100, **other: Any) -> dict[str, Any]:
    given = {"application_id": application_id, "client_id": 7, "amount": 400.0, "duration_days": 30}
    return given | {"applied_on": "2020-08-24", "submitted_at": NOW.isoformat(), "commit_lsn": "0/64"} | other


def apply(online: OnlineFeatures, lsn: int, *changes: Change) -> None:
    online.apply(changes, Position(lsn), lsn)


def keep(home: Path, *models: ScoringModel) -> ModelRegistry:
    registry = ModelRegistry(home / "models" / FOLDER)
    for model in models:
        registry.register(model.version, model.to_json(), NOW, "a test", {})
    return registry


@contextmanager
def serving(home: Path, **settings: str) -> Iterator[TestClient]:
    # the maximum: a slow machine then refers no application to a person
    settings = {"QUINTET_DECISION_SECONDS": "10", "QUINTET_LENDING_SCORE_SECONDS": "10"} | settings
    with TestClient(build_app(home, **settings), headers=ADMIN, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def client_features(home: Path) -> Iterator[OnlineFeatures]:
    """A stream's features: client 7 has paid back a loan, client 8 has none; applied up to 0/64."""
    found = OnlineFeatures(FeatureStore(home / "online"), features())
    found.begin(Epoch("E", Position(0), Position(0), "2020-01-01T00:00:00.000000Z", "1"))
    people = [change(n, "user", n, {"created_on": "2020-01-01", "birth_date": None}) for n in (7, 8)]
    apply(found, 100, *people, change(9, "loan", 1, LOAN), change(10, "payment", 1, PAYMENT))
    yield found
    found.store.close()
