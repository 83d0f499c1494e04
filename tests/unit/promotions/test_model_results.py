"""Training writes the model, its card and its history, and a refused model leaves those of the active one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quintet.promotions import training as model_training
from quintet.promotions.checks import score_drift
from quintet.promotions.models import active_model
from quintet.promotions.result_tables import write_scores
from tests.unit.promotions.warehouse_worlds import POLICY, World, people


def test_training_writes_a_model_with_its_card(world: World):
    world.put(*people())
    world.train()
    model = active_model(world.models)

    assert model is not None
    assert model.version.startswith("logistic-")
    (training,) = world.frame("from ml.abuse_trainings").to_dict("records")
    assert (training["is_promoted"], training["labelled_abusers"]) == (True, people().abusers)
    figures = world.frame("from ml.abuse_model_figures")
    assert set(figures["scores_of"]) >= {"active", "scorecard", "logistic", "boosting"}
    active = figures[figures["scores_of"] == "active"].set_index("measure")
    assert 0.7 < active.loc["average_precision", "value"] <= 1
    assert (active["low"] <= active["value"]).all()
    assert (active["value"] <= active["high"]).all()
    thresholds = world.frame("from ml.abuse_model_thresholds order by threshold")
    assert len(thresholds) == 99
    assert thresholds["recall"].is_monotonic_decreasing
    groups = world.frame("from ml.abuse_model_groups")
    assert groups["accounts"].sum() == len(people().users)


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
    assert (before["labels_of_people"], after["labels_of_people"]) == (0, 1)
    assert pd.isna(before["decisions_changed"])
    assert 0 <= after["decisions_changed"] < len(people().users)
    assert after["version_before"] == first
    assert (before["labelled_abusers"], after["labelled_abusers"]) == (people().abusers, people().abusers + 1)
    assert after["labelled_honest"] == len(people().users) - people().abusers - 1


def test_without_accounts_there_is_no_drift_and_its_check_passes(world: World):
    world.put(*people())
    world.train()
    write_scores(world.connection, world.models, POLICY)
    world.put(people().users.iloc[:0], people().usages.iloc[:0], None)
    world.train()

    ((missing,),) = world.connection.execute(
        "select count(*) from ml.abuse_trainings where score_psi is null"
    ).fetchall()
    assert missing == 2
    assert score_drift(world.connection).passed


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


def test_the_trainings_of_an_earlier_release_stay_beside_new_ones(world: World):
    world.put(*people())
    world.train()
    world.connection.execute("alter table ml.abuse_trainings drop column labels_of_people")
    world.train()

    assert world.frame("from ml.abuse_trainings order by trained_at, labels_of_people")["labels_of_people"].count() == 1
