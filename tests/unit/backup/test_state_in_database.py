"""Backup, restore and erasure of a home whose state is in PostgreSQL."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import pytest

from quintet.backup.archive import BackupError
from quintet.backup.create import back_up
from quintet.backup.restore import restore
from quintet.domains import DOMAINS, MIGRATIONS, open_state_store
from quintet.erasure.state import empty_features, erase_from_state
from quintet.erasure.warehouse import Person
from quintet.lending.decision_log import DecisionLog
from quintet.promotions.store import Label, all_labels, record_label
from quintet.settings import Settings, load_settings
from quintet.state.audit import Entry, problem_of_chain, record
from quintet.state.features import FeatureStore
from quintet.state.keys import create_key, list_keys
from tests.state_places import own_schema
from tests.unit.lending.models import RECORD
from tests.waiting import LONG_SECONDS

NOW = dt.datetime(2026, 3, 4, 5, tzinfo=dt.UTC)
KNOWN = {owner: len(scripts) for owner, scripts in MIGRATIONS.items()}


def settings_of(home: Path, url: str | None) -> Settings:
    return load_settings({"QUINTET_HOME": str(home), **({"QUINTET_STATE_URL": url} if url else {})})


@pytest.fixture
def settings(state_url: str, tmp_path: Path) -> Settings:
    """Return the settings of a home with a key, a label, a decision, features and an entry of the audit log."""
    found = settings_of(tmp_path / "home", own_schema(state_url, tmp_path).url)
    with closing(open_state_store(found.state)) as store:
        create_key(store, "Ana", ["admin"], NOW, bytes)
        record_label(store, Label("u-0", True, NOW, "Ana"))
        record(store, Entry(NOW.isoformat(), "Ana", "k", "keys.create", "k", "done"))
    with closing(FeatureStore(found.state)) as features, features.change() as draft:
        draft.put_fact("epoch", "E1")
        draft.put_row("loan", "1", "7", {"id": 1})
    log = DecisionLog(found.state)
    log.start()
    log.record(RECORD).result(LONG_SECONDS)
    log.close()
    return found


def check(settings: Settings) -> None:
    with closing(open_state_store(settings.state)) as store:
        assert [key.name for key in list_keys(store)] == ["Ana"]
        assert [label.user_id for label in all_labels(store)] == ["u-0"]
        assert problem_of_chain(store) is None
    with closing(FeatureStore(settings.state)) as features:
        assert (features.fact("epoch"), features.row("loan", "1")) == ("E1", {"id": 1})
    log = DecisionLog(settings.state)
    assert log.of_application(RECORD.application_id) == RECORD
    log.close()


def test_a_backup_restores_to_a_database_and_to_files(settings: Settings, state_url: str, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    back_up(settings, file, NOW, lambda _: None)
    for home, url in (("files", None), ("database", own_schema(state_url, tmp_path).url)):
        other = settings_of(tmp_path / home, url)
        restore(other, file, KNOWN, NOW, lambda _: None)
        check(other)


def test_a_database_with_a_state_is_not_overwritten(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    back_up(settings, file, NOW, lambda _: None)
    with pytest.raises(BackupError, match=r"is not empty, and is not overwritten\. Set QUINTET_STATE_URL"):
        restore(settings, file, KNOWN, NOW, lambda _: None)
    check(settings)


def test_a_database_that_is_away_is_named(settings: Settings, tmp_path: Path) -> None:
    away = settings_of(settings.home, "postgresql://quintet:hidden-password@127.0.0.1:1/state")
    with pytest.raises(BackupError, match="QUINTET_STATE_URL cannot be read") as raised:
        back_up(away, tmp_path / "b.tar", NOW, lambda _: None)
    assert "hidden-password" not in str(raised.value)


def test_a_person_is_erased_from_the_database(settings: Settings) -> None:
    by_kind = {one.persons.kind: one.persons for one in DOMAINS if one.persons is not None}
    for kind, person_id in (("user", "u-0"), ("user", "u-0"), ("client", str(RECORD.client_id))):
        erase_from_state(settings.state, Person(by_kind[kind], person_id, "forgotten-1"), NOW)
    empty_features(settings.state)
    with closing(open_state_store(settings.state)) as store:
        assert list(all_labels(store)) == []
        assert [key.name for key in list_keys(store)] == ["Ana"]
    log = DecisionLog(settings.state)
    assert list(log.applications()) == []
    log.close()
    with closing(FeatureStore(settings.state)) as features:
        assert (features.fact("epoch"), features.row("loan", "1")) == ("E1", None)
