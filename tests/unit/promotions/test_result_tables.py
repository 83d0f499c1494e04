"""The tables that scoring writes, from a small world."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quintet.promotions.result_tables import (
    MODEL_TABLES,
    SCORE_TABLES,
    model_of_snapshot,
    write_scores,
)
from tests.unit.promotions.warehouse_worlds import POLICY, World, new_world, people
from tests.unit.promotions.worlds import score_batch


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that was trained and scored once; tests only read it."""
    with new_world(tmp_path_factory.mktemp("labelled")) as world:
        world.put(*people())
        world.train()
        write_scores(world.connection, world.models, POLICY)
        yield world


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


_FIRST, _LAST = pd.Timestamp("1900-01-01"), pd.Timestamp("2199-12-31 23:59:59.999999")
"""The bounds of the contracts' times."""
_TEXTS = st.none() | st.sampled_from(
    ["a@b.c", "+4915112345678", "0", "unknown", "1.2.3.4", "::1", "\u200b", "\uff11", "@", "+", " ", "x" * 400]
)
_ANY_TEXTS = _TEXTS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_TIMES = st.sampled_from([_FIRST, _LAST, pd.Timestamp("2024-01-01")]) | st.datetimes(
    _FIRST.to_pydatetime(), _LAST.to_pydatetime()
).map(pd.Timestamp)
_FLAGS = st.sampled_from([None, True, False])
_FIELDS = ("email", "phone", "first_name", "last_name", "ip_address", "device_id", "user_agent", "city", "gender")


@st.composite
def odd_people(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return users, usages and labels that pass the contracts: any texts and times, equal users, unknown users."""
    user = st.fixed_dictionaries(
        {"created_at": _TIMES, "dob": st.none() | _TIMES, "is_email_verified": _FLAGS, "is_phone_verified": _FLAGS}
        | {"label": _FLAGS}
        | dict.fromkeys(_FIELDS, _ANY_TEXTS)
    )
    rows = draw(st.lists(user, max_size=12)) * draw(st.sampled_from([1, 1, 15]))
    columns = ["created_at", "dob", "is_email_verified", "is_phone_verified", "label", *_FIELDS]
    users = pd.DataFrame(rows, columns=columns).astype(
        dict.fromkeys(_FIELDS, "str")
        | dict.fromkeys(("created_at", "dob"), "datetime64[us]")
        | dict.fromkeys(("is_email_verified", "is_phone_verified", "label"), "boolean")
    )
    users.insert(0, "user_id", pd.Series([f"u{number}" for number in range(len(users))], dtype="str"))
    use = st.tuples(st.integers(0, 14), st.just("A") | _ANY_TEXTS.filter(bool), _TIMES, _FLAGS)
    usages = pd.DataFrame(draw(st.lists(use, max_size=12)), columns=["user_id", "promo_code", "used_at", "used_promo"])
    usages["user_id"] = "u" + usages["user_id"].astype("str")
    usages = usages.astype({"promo_code": "str", "used_at": "datetime64[us]", "used_promo": "boolean"})
    return users.drop(columns="label"), usages, users.set_index("user_id")["label"]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@settings(max_examples=8)
@given(odd_people())
def test_whatever_passes_the_contract_is_trained_on_and_scored(odd: tuple[pd.DataFrame, pd.DataFrame, pd.Series]):
    with TemporaryDirectory() as folder, new_world(Path(folder)) as world:
        world.put(*odd)
        world.train()
        write_scores(world.connection, world.models, POLICY)
        scores = world.frame("from ml.abuse_scores")
        assert sorted(scores["user_id"]) == sorted(odd[0]["user_id"])
        assert scores["score"].between(0, 1).all()
        for name in (*SCORE_TABLES, *MODEL_TABLES):
            world.frame(f"from {name}")
