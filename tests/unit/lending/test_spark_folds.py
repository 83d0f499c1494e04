"""A log that a cluster folds gives the rows, states and applications that one process gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quintet.change_log.change import Position
from quintet.change_log.completeness import Incomplete, write_incomplete
from quintet.change_log.log import Stretch, write_stretch
from quintet.lending.contract import USER
from quintet.lending.feature_registry import features
from quintet.lending.online import POSITION
from quintet.lending.spark_folds import fold_on
from quintet.lending.tables import catch_up_with_log, client_features, reads_from_start
from quintet.state.features import FeatureStore
from tests.groups_here import GroupsHere
from tests.unit.lending.random_logs import AS_OF, assert_same_states, changes_of, content, log_of

_UNREADABLE = {"created_on": "infinity"}
_OF_NOBODY = {"client_id": "?"}


@pytest.mark.parametrize("poison", [None, _UNREADABLE])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_folded_log_gives_the_same_states_at_any_size_of_groups(
    tmp_path: Path, seed: int, poison: dict[str, Any] | None
) -> None:
    groups = GroupsHere(tmp_path / "exchange", 5, seed)
    with log_of(changes_of(seed, poison)) as (store, epoch):
        assert_same_states(store, epoch, fold_on(groups), tmp_path)
    assert groups.groups > 1
    assert list(groups.folder.iterdir()) == []


def test_a_row_of_an_unknown_client_concerns_everybody_and_is_folded_in_one_group(tmp_path: Path) -> None:
    groups = GroupsHere(tmp_path / "exchange", 5)
    changes = changes_of(3, _OF_NOBODY)
    with log_of(changes) as (store, epoch):
        assert_same_states(store, epoch, fold_on(groups), tmp_path)
    assert groups.most_rows == len(changes)


def test_a_table_that_became_incomplete_ends_the_applications_alike(tmp_path: Path) -> None:
    with log_of(changes_of(4)) as (store, epoch):
        write_incomplete(store, "E", Incomplete("public.loan", Position(1_200), "2020-09-05T10:00:00Z", "renamed"))
        assert_same_states(store, epoch, fold_on(GroupsHere(tmp_path / "exchange", 5)), tmp_path)


@contextmanager
def _never(*_: object) -> Iterator[Any]:
    raise ValueError("the cluster is gone")
    yield


def test_what_a_cluster_folded_is_followed_here(tmp_path: Path) -> None:
    changes = changes_of(5)
    with log_of(changes) as (store, epoch):
        folding = fold_on(GroupsHere(tmp_path / "exchange", 5))
        assert reads_from_start(tmp_path / "there", epoch, features())
        catch_up_with_log(tmp_path / "there", store, epoch, features(), folding=folding)
        assert not reads_from_start(tmp_path / "there", epoch, features())
        last = changes[-1].commit_lsn
        more = changes[-1]._replace(commit_lsn=last + 1, table=USER, operation="insert", row={"id": 7_777}, old=None)
        row = {"id": 7_777, "created_on": "2020-08-01", "birth_date": None}
        write_stretch(store, Stretch("E", Position(last + 1), Position(last + 2)), [more._replace(row=row)])
        assert not catch_up_with_log(tmp_path / "there", store, epoch, features(), folding=_never)
        catch_up_with_log(tmp_path / "here", store, epoch, features())
        assert content(tmp_path / "there") == content(tmp_path / "here")
        assert 7_777 in set(client_features(tmp_path / "there", features(), AS_OF)["client_id"])


def test_a_failed_folding_leaves_the_states_and_a_killed_one_starts_again(tmp_path: Path) -> None:
    with log_of(changes_of(6)) as (store, epoch):
        catch_up_with_log(tmp_path / "there", store, epoch, features()[1:])
        before = content(tmp_path / "there")

        with pytest.raises(ValueError, match="the cluster is gone"):
            catch_up_with_log(tmp_path / "there", store, epoch, features(), folding=_never)
        assert content(tmp_path / "there") == before

        killed = FeatureStore(tmp_path / "there")
        with killed.change() as draft:
            draft.put_fact(POSITION, None)
        killed.close()
        assert reads_from_start(tmp_path / "there", epoch, features()[1:])
        assert_same_states(store, epoch, fold_on(GroupsHere(tmp_path / "exchange", 5)), tmp_path)
