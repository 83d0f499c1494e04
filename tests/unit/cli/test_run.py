"""`make run` also notices when the change log has grown, or another version of a model was activated."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from cli import run as module
from cli.run import changes_of_models, changes_of_the_log, run
from quintet.change_log.change import Position
from quintet.change_log.log import Epoch, Stretch, open_store, write_epoch, write_stretch
from quintet.domains import MODELS, open_state_store
from quintet.lending.feature_registry import features
from quintet.lending.settings import feature_folder
from quintet.lending.tables import catch_up_with_log
from quintet.plan import Plan
from quintet.settings import Settings, load_settings
from quintet.state.audit import last_entries
from tests.unit.lending.events import change

_EPOCH = Epoch("E", Position(0), Position(1), "2020-01-01T00:00:00.000000Z", "1")
_USER = {"created_on": "2020-01-01", "birth_date": None}
_GROWN = {("lake", "lending_changes"): "the change log has grown"}


def _settings(home: Path, url: str) -> Settings:
    return load_settings({"QUINTET_HOME": str(home), "QUINTET_OBJECT_STORE_URL": url})


def test_a_log_is_due_when_it_has_grown_until_lending_has_caught_up(tmp_path: Path) -> None:
    settings = _settings(tmp_path, f"file://{tmp_path}/log")
    assert changes_of_the_log(settings) == {}
    log = open_store(f"file://{tmp_path}/log")
    write_epoch(log, _EPOCH)
    for lsn in (0, 1):
        write_stretch(log, Stretch("E", Position(lsn), Position(lsn + 1)), [change(lsn, "user", lsn, _USER)])
        assert changes_of_the_log(settings) == _GROWN
        catch_up_with_log(feature_folder(settings.home), log, _EPOCH, features())
        assert changes_of_the_log(settings) == {}


def test_without_a_log_nothing_is_due(tmp_path: Path) -> None:
    assert changes_of_the_log(load_settings({"QUINTET_HOME": str(tmp_path)})) == {}


def test_a_store_that_is_down_is_reported_and_the_rest_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert changes_of_the_log(_settings(tmp_path, "http://key:secret@127.0.0.1:9/bucket")) == {}
    assert "does not answer" in capsys.readouterr().err


def test_results_of_a_model_that_was_rolled_back_are_due(tmp_path: Path) -> None:
    settings = load_settings({"QUINTET_HOME": str(tmp_path)})
    assert changes_of_models(settings, None) == {}, "nothing is published yet"
    registry = MODELS["promotions"].registry(settings.models)
    for version in ("one", "two"):
        registry.register(version, "text", dt.datetime(2026, 1, 1), "a test", {})
    settings.serving.mkdir()
    with duckdb.connect(str(settings.serving / "published.duckdb")) as published:
        published.execute("create schema ml; create table ml.abuse_model as select 'two' as model_version")
    settings.current_snapshot.symlink_to(settings.serving / "published.duckdb")
    assert changes_of_models(settings, None) == {}

    registry.roll_back()
    due = {("ml", "abuse_model"): "promotions: model one was activated in place of two"}
    assert changes_of_models(settings, None) == changes_of_models(settings, "promotions") == due
    assert changes_of_models(settings, "lending") == {}


def test_only_a_business_with_a_model_can_be_retrained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train="payments") == 2
    assert "payments has no model to train; there are promotions, conversions, lending" in capsys.readouterr().err


@pytest.mark.parametrize(("succeeds", "outcome"), [(True, "done"), (False, "failed")])
@pytest.mark.parametrize(
    ("given", "entry"),
    [
        ({"train": "promotions"}, ("models.train", "promotions")),
        ({"accept_losses": True}, ("run.accept_losses", "all")),
        ({}, None),
    ],
    ids=["train", "losses", "neither"],
)
def test_the_audit_log_has_trainings_and_accepted_losses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    succeeds: bool,
    outcome: str,
    given: dict[str, object],
    entry: tuple[str, str] | None,
) -> None:
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path))
    monkeypatch.setattr(module, "_materialise", lambda *_: succeeds)
    monkeypatch.setattr(module, "_plan", lambda *_: Plan({}, is_full=True, reason="a test"))
    monkeypatch.setattr(module, "_replaced_warehouse", lambda *_: None)
    monkeypatch.setattr(module, "note_checked_code", lambda *_: None)
    run(is_brief=True, **given)  # type: ignore[arg-type]
    with closing(open_state_store(tmp_path / "online")) as store:
        found = [(one.action, one.subject, one.outcome) for one in last_entries(store, 9)]
    assert found == ([] if entry is None else [(*entry, outcome)])
