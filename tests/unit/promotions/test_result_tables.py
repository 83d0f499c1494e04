"""The tables that training and scoring write, from a small world."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from quintet.domains import RECORDED
from quintet.ingest.raw_tables import prepare
from quintet.promotions import training as model_training
from quintet.promotions.model_results import train_model
from quintet.promotions.models import active_model, registry_of
from quintet.promotions.policy import read_policy
from quintet.promotions.result_tables import (
    MODEL_TABLES,
    SCORE_TABLES,
    model_of_snapshot,
    write_scores,
)
from quintet.state.recorded import create_recorded
from quintet.warehouse.database import open_warehouse
from tests.unit.promotions.worlds import score_batch
from tests.unit.promotions.worlds import world as make_world

POLICY = read_policy()
AT = dt.datetime(2026, 1, 1)


class People(NamedTuple):
    """Return users, their usages, and by user whether each is an abuser."""

    users: pd.DataFrame
    usages: pd.DataFrame
    is_abuser: pd.Series

    @property
    def abusers(self) -> int:
        return int(self.is_abuser.sum())


@cache
def people() -> People:
    users, usages, truth = make_world(11, 800, abuser_share=0.2)
    return People(users, usages, truth["is_abuser"])


class World:
    """A warehouse with the accounts of a world, and its folder of models."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, models: Path) -> None:
        self.connection, self.models = connection, registry_of(models)

    def put(self, users: pd.DataFrame, usages: pd.DataFrame, is_abuser: pd.Series | None) -> None:
        """Replace the accounts; the labels are by user_id."""
        labels = users["user_id"].map(is_abuser) if is_abuser is not None else pd.Series([None] * len(users))
        rows = pa.Table.from_pandas(users.assign(is_abuser=labels.astype("boolean")), preserve_index=False)
        for name, table in (("users", rows), ("usages", pa.Table.from_pandas(usages))):
            self.connection.register("given", table)
            self.connection.execute(
                f"create or replace table intermediate.int_promo_{name}_current as select * from given"
            ).fetchall()
            self.connection.unregister("given")

    def train(self) -> str:
        """Train; return the active version."""
        return train_model(self.connection, self.models, POLICY, AT).model.version

    def frame(self, query: str) -> pd.DataFrame:
        return self.connection.sql(query).df()


@contextmanager
def new_world(folder: Path) -> Iterator[World]:
    with open_warehouse(folder / "warehouse.duckdb", memory_limit="1GB", threads=2, lock_wait_seconds=0) as opened:
        prepare(opened, [])
        create_recorded(opened, RECORDED)
        yield World(opened, folder / "models")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that was trained and scored once; tests only read it."""
    with new_world(tmp_path_factory.mktemp("labelled")) as world:
        world.put(*people())
        world.train()
        write_scores(world.connection, world.models, POLICY)
        yield world


def test_training_writes_a_model_with_its_card(labelled: World):
    model = active_model(labelled.models)

    assert model is not None
    assert model.version.startswith("logistic-")
    (training,) = labelled.frame("from ml.abuse_trainings").to_dict("records")
    assert (training["is_promoted"], training["labelled_abusers"]) == (True, people().abusers)
    figures = labelled.frame("from ml.abuse_model_figures")
    assert set(figures["scores_of"]) >= {"active", "scorecard", "logistic", "boosting"}
    active = figures[figures["scores_of"] == "active"].set_index("measure")
    assert 0.7 < active.loc["average_precision", "value"] <= 1
    assert (active["low"] <= active["value"]).all()
    assert (active["value"] <= active["high"]).all()
    thresholds = labelled.frame("from ml.abuse_model_thresholds order by threshold")
    assert len(thresholds) == 99
    assert thresholds["recall"].is_monotonic_decreasing
    groups = labelled.frame("from ml.abuse_model_groups")
    assert groups["accounts"].sum() == len(people().users)


def test_scores_are_those_of_the_batch_and_of_one_model(labelled: World):
    found = model_of_snapshot(labelled.connection)
    assert found is not None
    model, policy = found
    assert policy == POLICY
    expected = score_batch(people().users, people().usages, model, POLICY)
    scores = labelled.frame("from ml.abuse_scores order by user_id")

    np.testing.assert_allclose(scores["score"], expected["score"], rtol=0, atol=1e-12)
    assert scores["reasons"].map(list).tolist() == expected["reasons"].tolist()
    for table in SCORE_TABLES:
        assert labelled.connection.sql(f"select count(*) from {table}").fetchall() > [(0,)], table


def test_shared_keys_of_a_cluster_belong_to_two_or_more_of_its_accounts(labelled: World):
    keys = labelled.frame("from ml.abuse_shared_keys")
    scores = labelled.frame("from ml.abuse_scores").set_index("user_id")

    assert (keys["sharers"] >= 2).all()
    assert (scores.loc[keys["user_id"], "cluster_size"] > 1).all()
    assert not keys["key"].str.contains(r"\|[ab]\|").any()


def test_training_again_with_a_confirmed_label_uses_it_over_that_of_the_file_and_measures_drift(world: World):
    world.put(*people())
    first = world.train()
    write_scores(world.connection, world.models, POLICY)
    honest = people().users["user_id"][~people().users["user_id"].map(people().is_abuser)].iloc[0]
    world.connection.execute(
        "insert into ops.abuse_labels values (1, ?, true, timestamp '2026-01-01', 'Ana', null)", [honest]
    )
    world.train()
    before, after = world.frame("from ml.abuse_trainings").to_dict("records")

    assert np.isnan(before["score_psi"])
    assert 0 <= after["score_psi"] < 0.1
    assert after["version_before"] == first
    assert (before["labelled_abusers"], after["labelled_abusers"]) == (people().abusers, people().abusers + 1)
    assert after["labelled_honest"] == len(people().users) - people().abusers - 1


@pytest.mark.parametrize("which", ["none", "abusers alone"])
def test_without_labels_of_both_classes_the_scorecard_stays_and_says_why(world: World, which: str):
    labels = people().is_abuser[people().is_abuser] if which == "abusers alone" else None
    world.put(people().users, people().usages, labels)

    assert world.train().startswith("scorecard-")
    (training,) = world.frame("from ml.abuse_trainings").to_dict("records")
    assert "are needed to train" in training["why"]
    assert not training["is_promoted"]
    assert world.frame("from ml.abuse_model_figures").empty


def test_a_worse_model_is_not_activated(world: World, monkeypatch: pytest.MonkeyPatch):
    world.put(*people())
    monkeypatch.setattr(model_training, "is_clearly_better", lambda *_: True)

    assert world.train().startswith("scorecard-")
    (training,) = world.frame("from ml.abuse_trainings").to_dict("records")
    assert training["trained_version"].startswith("logistic-")
    assert not training["is_promoted"]
    assert "clearly worse" in training["why"]


_CARD = ("ml.abuse_model", "ml.abuse_model_figures", "ml.abuse_model_thresholds", "ml.abuse_model_curve")


@pytest.mark.parametrize("has_attachment", [True, False])
def test_a_refused_model_leaves_the_active_one_and_its_card(
    world: World, monkeypatch: pytest.MonkeyPatch, has_attachment: bool
):
    world.put(*people())
    active = world.train()
    cards = {table: world.frame(f"from {table}") for table in _CARD}
    entry = world.models.active()
    if not has_attachment:  # as of an earlier release
        next(world.models.folder.glob("*.attachment.json")).unlink()
        world.connection.execute("update ml.abuse_model_figures set scores_of = 'in_force' where scores_of = 'active'")
    monkeypatch.setattr(model_training, "is_clearly_better", lambda *_: True)
    fewer = people().is_abuser.astype("boolean")
    fewer.iloc[::3] = pd.NA
    world.put(people().users, people().usages, fewer)

    assert world.train() == active
    assert world.models.active() == entry
    for table, card in cards.items():
        pd.testing.assert_frame_equal(world.frame(f"from {table}"), card)
    refused = world.models.versions()[-1]
    assert refused.version != active
    assert refused.verdict is not None
    assert not refused.verdict.passes


def test_a_model_that_a_person_rolled_back_stays_back_and_the_card_follows(world: World):
    world.put(*people())
    first = world.train()
    card = world.frame("from ml.abuse_model_figures")
    fewer = people().is_abuser.astype("boolean")
    fewer.iloc[::3] = pd.NA
    world.put(people().users, people().usages, fewer)
    second = world.train()
    assert second != first
    assert not world.frame("from ml.abuse_model_figures").equals(card)
    world.models.roll_back()

    assert world.train() == first
    pd.testing.assert_frame_equal(world.frame("from ml.abuse_model_figures"), card)
    assert world.frame("from ml.abuse_model")["model_version"].tolist() == [first]


def test_trainings_of_an_earlier_release_are_kept_under_the_new_name(world: World):
    world.put(*people())
    first = world.train()
    world.connection.execute("alter table ml.abuse_trainings rename column trained_version to learnt_version")
    world.train()

    assert world.frame("from ml.abuse_trainings")["trained_version"].tolist() == [first, first]


def test_empty_marts_give_empty_tables(world: World):
    world.put(people().users.head(0), people().usages.head(0), None)
    world.train()
    write_scores(world.connection, world.models, POLICY)

    assert world.frame("from ml.abuse_scores").empty
    for table in (*MODEL_TABLES, *SCORE_TABLES):
        world.connection.sql(f"from {table}").fetchall()


def test_scoring_before_any_training_says_to_train_first(world: World):
    with pytest.raises(LookupError, match="abuse_model first"):
        write_scores(world.connection, world.models, POLICY)


def test_a_snapshot_without_the_domain_has_no_model():
    assert model_of_snapshot(duckdb.connect()) is None
