"""The inbox sensors request runs for new files, and wait for files that are being written."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from quintet.cases.file_mappings import Mapped, record
from quintet.domains import DATASETS, open_state_store
from quintet.ingest.examine import examine
from quintet.ingest.inbox import list_inbox
from quintet.ingest.mapping import FileMapping, shape_of
from resources.clock import Clock
from resources.inboxes import Inboxes
from resources.paths import Paths
from sensors.first_build import FIRST_BUILD
from sensors.inboxes import build_inbox_sensor, content_digest
from tests.unit.sensors.runs import attempt

PAGE_CATEGORIES = DATASETS["page_categories"]
HEADER = "page_category;measurement_category\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "page_categories"
    folder.mkdir()
    return folder


class PassingClock(Clock):
    """A fixed moment that advances with each sleep, while another program writes to `written_to`."""

    written_to: str = ""

    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(seconds=sum(SLEPT))

    def sleep(self, seconds: float) -> None:
        SLEPT.append(seconds)
        if self.written_to:
            with Path(self.written_to).open("a") as file:
                file.write("more;more\n")
            written_at = self.now().replace(tzinfo=dt.UTC).timestamp()
            os.utime(self.written_to, (written_at, written_at))


SLEPT: list[float] = []


def evaluate(
    inbox: Path,
    cursor: str | None = None,
    *,
    seconds_later: float = 60,
    settle_seconds: float = 2.0,
    clock: type[Clock] = Clock,
    written_to: str = "",
    instance: dg.DagsterInstance | None = None,
    version: str = "1",
    online: str = "",
) -> dg.SensorResult | dg.SkipReason:
    later = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=seconds_later)
    result = build_inbox_sensor(PAGE_CATEGORIES)(
        dg.build_sensor_context(
            instance=instance or dg.DagsterInstance.ephemeral(),
            cursor=cursor,
            repository_def=project(version).get_repository_def(),
        ),
        inboxes=Inboxes(raw=str(inbox.parent), settle_seconds=settle_seconds, online=online),
        paths=Paths(home=str(inbox.parent)),
        clock=clock(at=later.isoformat(), **({"written_to": written_to} if written_to else {})),
    )
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def project(version: str = "1") -> dg.Definitions:
    """Define the dataset's model with its inputs, the model it joins with, their children, and another domain.

    version: the code version of the conversions.
    """

    def asset(key: str, group: str, *deps: str) -> dg.AssetsDefinition:
        return dg.asset(
            key=key.split("/"),
            group_name=group,
            deps=[dg.AssetKey(dep.split("/")) for dep in deps],
            code_version=version if key == "marts/conversions" else "1",
        )(lambda: None)

    return dg.Definitions(
        assets=[
            asset("raw/page_categories", "conversions"),
            asset("raw/conversions", "conversions"),
            asset("marts/pages", "conversions", "raw/page_categories", "raw/conversions"),
            asset("marts/conversions", "conversions", "raw/conversions"),
            asset("raw/transactions", "payments"),
            asset("marts/ops_batches", "ops"),
            asset("serving/snapshot", "serving", "marts/pages", "marts/conversions", "raw/transactions"),
        ]
    )


def publish(inbox: Path, batch_id: str) -> None:
    """Publish a snapshot that has one batch."""
    serving = inbox.parent / "serving"
    serving.mkdir()
    with duckdb.connect(str(serving / "1.duckdb")) as snapshot:
        snapshot.execute("create schema marts")
        snapshot.execute(
            "create table marts.ops_batches as select 'page_categories' as dataset, ? as batch_id, "
            "'loaded' as status, timestamp '2026-01-01' as modelled_at",
            [batch_id],
        )
    (serving / "current.duckdb").symlink_to("1.duckdb")


def requested(result: dg.SensorResult | dg.SkipReason) -> list[dg.RunRequest]:
    return list(result.run_requests or []) if isinstance(result, dg.SensorResult) else []


def test_an_empty_or_missing_inbox_is_no_run(inbox: Path) -> None:
    assert requested(evaluate(inbox)) == []
    inbox.rmdir()
    assert requested(evaluate(inbox)) == []


def test_all_waiting_files_are_one_run(inbox: Path) -> None:
    for name in ("a", "b", "c"):
        (inbox / f"{name}.csv").write_text(HEADER + f"{name};{name}\n")
    assert len(requested(evaluate(inbox))) == 1


def test_a_file_that_still_grows_waits(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER)
    assert requested(evaluate(inbox, seconds_later=0)) == []
    assert len(requested(evaluate(inbox, seconds_later=3))) == 1


def test_a_tick_waits_for_a_file_that_is_about_to_settle_and_asks_for_its_run(inbox: Path) -> None:
    SLEPT.clear()
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    assert len(requested(evaluate(inbox, seconds_later=0, clock=PassingClock))) == 1
    assert 0 < sum(SLEPT) <= 2


def test_a_tick_does_not_ask_for_a_file_that_was_written_to_while_it_waited(inbox: Path) -> None:
    SLEPT.clear()
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    result = evaluate(inbox, seconds_later=0, clock=PassingClock, written_to=str(inbox / "a.csv"))
    assert len(SLEPT) == 1
    assert isinstance(result, dg.SkipReason)


def test_a_tick_does_not_wait_long(inbox: Path) -> None:
    SLEPT.clear()
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    assert requested(evaluate(inbox, seconds_later=0, settle_seconds=30, clock=PassingClock)) == []
    assert SLEPT == []


@pytest.fixture
def built() -> Iterator[dg.DagsterInstance]:
    """Yield an instance in which everything was built."""
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = project()
        assert definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance).success
        yield instance


def selected(request: dg.RunRequest) -> list[str]:
    return [key.to_user_string() for key in request.asset_selection or []]


def test_where_the_same_code_has_built_all_else_a_run_builds_what_the_files_touch(
    inbox: Path, built: dg.DagsterInstance
) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    publish(inbox, "of another file")
    (request,) = requested(evaluate(inbox, instance=built))
    assert selected(request) == ["marts/pages", "raw/page_categories", "serving/snapshot"]


def test_what_other_code_has_built_of_the_business_is_built_with_it(inbox: Path, built: dg.DagsterInstance) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    publish(inbox, "of another file")
    (request,) = requested(evaluate(inbox, instance=built, version="2"))
    assert selected(request) == ["marts/conversions", "marts/pages", "raw/page_categories", "serving/snapshot"]


def test_where_a_first_run_has_built_nothing_a_run_builds_the_whole_business(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    with dg.DagsterInstance.ephemeral() as instance:
        attempt(instance, dg.RunRequest(tags=FIRST_BUILD), fails=True)
        (request,) = requested(evaluate(inbox, instance=instance))
    assert set(selected(request)) == {
        *("marts/conversions", "marts/ops_batches", "marts/pages"),
        *("raw/conversions", "raw/page_categories", "serving/snapshot"),
    }


def test_a_repeated_tick_asks_for_nothing(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    first = evaluate(inbox)
    assert isinstance(first, dg.SensorResult)
    assert requested(evaluate(inbox, first.cursor)) == []


def test_a_file_whose_run_failed_is_asked_for_again_after_a_pause(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    with dg.DagsterInstance.ephemeral() as instance:
        first = evaluate(inbox, instance=instance)
        assert isinstance(first, dg.SensorResult)
        (request,) = requested(first)
        attempt(instance, request, fails=True)
        assert requested(evaluate(inbox, first.cursor, instance=instance, seconds_later=5)) == []
        (again,) = requested(evaluate(inbox, first.cursor, instance=instance, seconds_later=90))
        assert again.run_key != request.run_key
        attempt(instance, again, fails=False)
        assert requested(evaluate(inbox, first.cursor, instance=instance, seconds_later=3_600)) == []


def test_a_new_file_after_a_run_asks_for_another(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    first = evaluate(inbox)
    assert isinstance(first, dg.SensorResult)
    (inbox / "b.csv").write_text(HEADER + "b;b\n")
    second = evaluate(inbox, first.cursor)
    assert [request.run_key for request in requested(second)] != [request.run_key for request in requested(first)]
    assert len(requested(second)) == 1


def test_the_same_content_under_a_new_name_has_the_same_run_key(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    first = evaluate(inbox)
    assert isinstance(first, dg.SensorResult)
    (inbox / "again.csv").write_text(HEADER + "a;a\n")
    second = evaluate(inbox, first.cursor)
    assert [request.run_key for request in requested(second)] == [request.run_key for request in requested(first)]


def test_the_cursor_is_small_however_many_files_there_are(inbox: Path) -> None:
    for number in range(200):
        (inbox / f"{number}.csv").write_text(HEADER + f"{number};{number}\n")
    result = evaluate(inbox)
    assert isinstance(result, dg.SensorResult)
    assert result.cursor is not None
    assert set(json.loads(result.cursor)) == {"listing", "at", "content"}
    assert len(result.cursor) < 300


def test_an_error_fails_the_tick(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inbox / "a.csv").write_text(HEADER)

    def fail(_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        evaluate(inbox)


def test_a_file_rejected_for_its_name_is_loaded_when_it_is_renamed(tmp_path: Path) -> None:
    transactions = DATASETS["transactions"]
    nameless = tmp_path / "transactions.csv"
    nameless.write_text("time,status,count\n00h 00,approved,9\n")
    rejected = content_digest(transactions, list_inbox(tmp_path.parent, tmp_path.name))
    nameless.rename(tmp_path / "transactions_1.csv")
    assert content_digest(transactions, list_inbox(tmp_path.parent, tmp_path.name)) != rejected


def test_content_in_the_snapshot_starts_no_run_and_is_not_examined_again(inbox: Path) -> None:
    (inbox / "a.csv").write_text(HEADER + "a;a\n")
    (file,) = list_inbox(inbox.parent, inbox.name)
    publish(inbox, examine(file, PAGE_CATEGORIES).batch_id)
    result = evaluate(inbox)
    assert isinstance(result, dg.SensorResult)
    assert requested(result) == []
    assert result.cursor is not None
    (inbox / "b.csv").write_text(HEADER + "b;b\n")
    assert len(requested(evaluate(inbox, result.cursor))) == 1


def test_a_settled_inbox_is_observed_with_a_data_version_of_its_content(inbox: Path) -> None:
    file = inbox / "a.csv"
    file.write_text("page_category;measurement_category\nA;1\n")
    seen = [evaluate(inbox)]
    file.rename(inbox / "b.csv")
    seen.append(evaluate(inbox))
    (inbox / "c.csv").write_text("page_category;measurement_category\nB;2\n")
    seen.append(evaluate(inbox))
    events = [event for result in seen if isinstance(result, dg.SensorResult) for event in result.asset_events]
    versions = [event.tags["dagster/data_version"] for event in events if event.tags]
    assert [event.asset_key.path for event in events] == [["inbox", "page_categories"]] * 3
    assert versions[0] == versions[1] != versions[2]


def test_a_mapping_is_a_change_of_the_inbox_whose_files_it_reads(inbox: Path, tmp_path: Path) -> None:
    (inbox / "a.csv").write_text("page;measurement_category\na;a\n")
    online = str(tmp_path / "online")
    first = evaluate(inbox, online=online)
    assert isinstance(first, dg.SensorResult)
    assert isinstance(evaluate(inbox, first.cursor, online=online), dg.SkipReason)
    shape = shape_of(["page", "measurement_category"])
    with closing(open_state_store(tmp_path / "online")) as store, store.write() as connection:
        mapped = [Mapped("page_categories", shape, "page_category", "page")]
        record(connection, "case", mapped, dt.datetime.now(dt.UTC), "Ana", is_active=True)

    assert requested(evaluate(inbox, first.cursor, online=online))


def test_another_spelling_of_readable_files_is_another_run(inbox: Path) -> None:
    (inbox / "a.csv").write_text("page_category,measurement_category\na,a\n")
    files = list_inbox(inbox.parent, inbox.name)
    plain = DATASETS["page_categories"]
    mappings = [FileMapping(spellings={"page_category": {"a": known}} if known else {}) for known in ("", "b", "c")]

    assert len({content_digest(replace(plain, mapping=one), files) for one in mappings}) == 3
    assert content_digest(replace(plain, mapping=FileMapping()), files) == content_digest(plain, files)
