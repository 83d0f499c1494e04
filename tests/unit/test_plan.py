"""The plan of a run depends only on the inboxes and the snapshot."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from quintet.domains import DATASETS, DOMAIN_NAMES
from quintet.ingest.inbox import list_inbox
from quintet.ingest.mapping import FileMapping, Used
from quintet.plan import Plan, checked_code, compare_inbox, make_plan, note_checked_code, project_code_version
from quintet.settings import load_settings
from quintet.warehouse.domain_states import DomainState, write_states

CATEGORIES = "page_category,measurement_category\nShares,01\n"
COUNTS = "time,status,count\n15h 07,approved,3\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in DATASETS:
        (tmp_path / "raw" / name).mkdir(parents=True)
    (tmp_path / "raw" / "page_categories" / "a.csv").write_text(CATEGORIES)
    return tmp_path / "raw"


def batch_id(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def publish_by_hand(home: Path, batches: Mapping[tuple[str, str], str], code: str = "code") -> Path:
    """Return a snapshot with these batches: (dataset, batch) to `modelled`, `loaded` or `rejected`."""
    serving = home / "serving"
    serving.mkdir()
    with duckdb.connect(str(serving / "run.duckdb")) as connection:
        connection.execute(
            "create schema marts; create table marts.ops_batches (dataset varchar, file varchar, "
            'content_sha256 varchar, rows bigint, loaded bigint, rejected bigint, status varchar, "at" timestamp, '
            "batch_id varchar, modelled_at timestamp); "
            f"create table marts.snapshot as select 'run' as snapshot_id, '{code}' as fingerprint"
        )
        at = dt.datetime(2024, 6, 1)
        for (dataset, batch), state in batches.items():
            status, modelled_at = ("loaded", at) if state == "modelled" else (state, None)
            connection.execute(
                "insert into marts.ops_batches values (?, 'a.csv', ?, 1, 1, 0, ?, ?, ?, ?)",
                [dataset, batch + "0" * 48, status, at, batch, modelled_at],
            )
    (serving / "current.duckdb").symlink_to("run.duckdb")
    return serving


def map_by_hand(serving: Path, used: Used, *reasons: str) -> None:
    """Have a snapshot say with which mapping its batches were read, and why rows of them were quarantined."""
    with duckdb.connect(str(serving / "run.duckdb")) as connection:
        connection.execute("alter table marts.ops_batches add column mapping varchar")
        connection.execute("update marts.ops_batches set mapping = ?", [used.to_json()])
        connection.execute("create table marts.ops_rejected_rows (dataset text, batch_id text, reason text)")
        for reason in reasons:
            connection.execute(
                "insert into marts.ops_rejected_rows select dataset, batch_id, ? from marts.ops_batches", [reason]
            )


SPELLED = {"status": {"ok": "approved"}}


@pytest.mark.parametrize(
    ("used", "reasons", "spellings", "is_read_again"),
    [
        (Used(spellings=SPELLED), (), {}, True),  # it was taken back
        (Used(spellings=SPELLED), (), SPELLED, False),
        (Used(), ("status must be one of approved, denied, not 'OK'",), SPELLED, True),
        (Used(), ("status must be one of approved, denied, not 'fine'",), SPELLED, False),
        (Used(), (), {}, False),
    ],
)
def test_a_file_that_people_map_otherwise_than_the_snapshot_is_read_again(
    raw: Path, tmp_path: Path, used: Used, reasons: tuple[str, ...], spellings: dict[str, dict[str, str]],
    is_read_again: bool,
) -> None:  # fmt: skip
    """However the snapshot came to know of the mapping: a run of another business publishes it too."""
    (raw / "page_categories" / "a.csv").unlink()
    file = raw / "transactions" / "day_2024-01-01.csv"
    file.write_text(COUNTS)
    serving = publish_by_hand(tmp_path, {("transactions", batch_id(COUNTS)): "modelled"})
    map_by_hand(serving, used, *reasons)
    dataset = replace(DATASETS["transactions"], mapping=FileMapping(spellings=spellings))
    plan = make_plan(raw, iter([dataset]), serving, "code")

    assert [one.path for one in plan.new_files.get("transactions", ())] == [file] * is_read_again
    assert ("1 file to read again, as people map them now" in plan.reason) == is_read_again
    assert plan.has_work == is_read_again
    listed = compare_inbox(dataset, list_inbox(raw, "transactions"), serving)
    assert [one.path for one in listed.fresh] == [file] * is_read_again
    file.unlink()
    assert not make_plan(raw, [dataset], serving, "code").has_work, "it cannot be read again"


def plan_of(raw: Path, serving: Path, code: str = "code") -> Plan:
    return make_plan(raw, DATASETS.values(), serving, code)


def names(plan: Plan) -> dict[str, list[str]]:
    return {dataset: [file.name for file in files] for dataset, files in plan.new_files.items()}


KNOWN = {("page_categories", batch_id(CATEGORIES)): "modelled"}


def test_where_nothing_is_published_everything_is_built(raw: Path, tmp_path: Path):
    plan = plan_of(raw, tmp_path / "serving")

    assert (plan.is_full, plan.has_work, plan.reason) == (True, True, "nothing is published yet")


def test_where_nothing_is_new_there_is_no_work(raw: Path, tmp_path: Path):
    plan = plan_of(raw, publish_by_hand(tmp_path, KNOWN))

    assert (plan.is_full, plan.has_work, plan.reason, plan.new_files) == (False, False, "nothing new", {})


def test_a_new_file_is_work_for_its_dataset_alone(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)
    (raw / "transactions" / "transactions_1.csv").write_text(COUNTS)

    plan = plan_of(raw, serving)

    assert (plan.is_full, plan.has_work, plan.reason) == (False, True, "1 new files")
    assert names(plan) == {"transactions": ["transactions_1.csv"]}


def test_a_changed_file_is_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)
    (raw / "page_categories" / "a.csv").write_text(CATEGORIES + "Crypto,02\n")

    assert names(plan_of(raw, serving)) == {"page_categories": ["a.csv"]}


def test_the_same_content_under_a_new_name_is_no_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)
    (raw / "page_categories" / "b.csv").write_text(CATEGORIES)

    assert not plan_of(raw, serving).has_work


def test_the_same_content_in_another_inbox_is_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, {("broker_rows", batch_id(CATEGORIES)): "modelled"})

    assert names(plan_of(raw, serving)) == {"page_categories": ["a.csv"]}


def test_a_file_that_was_removed_is_no_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)
    (raw / "page_categories" / "a.csv").unlink()

    assert not plan_of(raw, serving).has_work


def test_a_batch_that_has_not_reached_all_models_is_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, {("page_categories", batch_id(CATEGORIES)): "loaded"})

    assert names(plan_of(raw, serving)) == {"page_categories": ["a.csv"]}


def test_a_file_that_was_rejected_is_no_work_as_long_as_it_stays_the_same(raw: Path, tmp_path: Path):
    (raw / "transactions" / "transactions.csv").write_text(COUNTS)
    serving = publish_by_hand(tmp_path, KNOWN | {("transactions", batch_id(COUNTS)): "rejected"})

    assert not plan_of(raw, serving).has_work


def test_a_file_that_was_rejected_for_its_name_is_work_under_a_better_one(raw: Path, tmp_path: Path):
    (raw / "transactions" / "transactions_2024-05-01.csv").write_text(COUNTS)
    serving = publish_by_hand(tmp_path, KNOWN | {("transactions", batch_id(COUNTS)): "rejected"})

    assert names(plan_of(raw, serving)) == {"transactions": ["transactions_2024-05-01.csv"]}


def test_another_code_version_is_work_beside_the_new_files(raw: Path, tmp_path: Path):
    plan = plan_of(raw, publish_by_hand(tmp_path, KNOWN), code="other code")

    assert (plan.is_full, plan.code_has_changed, plan.has_work) == (False, True, True)
    assert plan.reason == "nothing new in the inboxes; code or settings have changed since the last publication"


def test_another_code_version_that_rebuilds_nothing_is_no_work(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)

    assert not make_plan(raw, DATASETS.values(), serving, "other code", checked="other code").has_work
    assert make_plan(raw, DATASETS.values(), serving, "third code", checked="other code").has_work


def test_a_checked_code_version_counts_for_its_snapshot_and_domain_alone(tmp_path: Path):
    assert checked_code(tmp_path, tmp_path / "serving", None) is None
    serving = publish_by_hand(tmp_path, KNOWN)
    note_checked_code(tmp_path, serving, None, "new")
    note_checked_code(tmp_path, serving, "lending", "newer")
    assert [checked_code(tmp_path, serving, name) for name in (None, "lending", "payments")] == ["new", "newer", None]

    (serving / "run.duckdb").rename(serving / "later.duckdb")
    (serving / "current.duckdb").unlink()
    (serving / "current.duckdb").symlink_to("later.duckdb")
    assert [checked_code(tmp_path, serving, name) for name in (None, "lending")] == [None, None]


def test_without_inboxes_there_is_no_work_and_no_error(tmp_path: Path):
    assert not plan_of(tmp_path / "nowhere", publish_by_hand(tmp_path, {})).has_work


def test_the_warehouse_is_not_needed(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, KNOWN)
    (tmp_path / "warehouse.duckdb").write_text("not a database")

    assert not plan_of(raw, serving).has_work


def test_files_that_the_snapshot_does_not_contain_are_not_done(raw: Path, tmp_path: Path):
    (raw / "page_categories" / "b.csv").write_text(CATEGORIES + "Crypto,02\n")
    files = list_inbox(raw, "page_categories")
    serving = tmp_path / "serving"
    before = compare_inbox(DATASETS["page_categories"], files, serving).fresh
    publish_by_hand(tmp_path, KNOWN)
    after = compare_inbox(DATASETS["page_categories"], files, serving).fresh

    assert [file.name for file in before] == ["a.csv", "b.csv"]
    assert [file.name for file in after] == ["b.csv"]


# The code version


_CODE = {
    "quintet/__init__.py": "",
    "quintet/a.py": "from quintet.deep.c import x",
    "quintet/deep/__init__.py": "",
    "quintet/deep/c.py": "x = 1",
    "quintet/deep/parsing.sql": "select 1",
    "quintet/page.py": "import quintet.a",
    "assets/b.py": "def step():\n    from quintet import a",
    "dbt_project/models/m/x.sql": "select 1",
    "requirements.lock": "",
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name, text in _CODE.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
    return tmp_path / "code"


@pytest.mark.parametrize("name", ["README.md", "quintet/page.py"])
def test_what_no_asset_depends_on_keeps_the_code_version(code: Path, name: str):
    settings = load_settings({})
    before = project_code_version(code, settings)
    (code / name).write_text("y = 2")

    assert project_code_version(code, settings) == before


@pytest.mark.parametrize("name", [name for name in _CODE if name != "quintet/page.py"])
def test_a_change_of_what_an_asset_depends_on_changes_the_code_version(code: Path, tmp_path: Path, name: str):
    settings = load_settings({})
    before = project_code_version(code, settings)
    changed = tmp_path / "changed"
    shutil.copytree(code, changed)
    with (changed / name).open("a") as file:
        file.write("\n# more")

    assert project_code_version(changed, settings) != before


def test_a_setting_that_shapes_the_models_changes_the_code_version(code: Path):
    settings = [load_settings({"QUINTET_TRANSACTIONS_ANCHOR_DAY": day}) for day in ("2024-01-01", "2024-01-02")]

    assert project_code_version(code, settings[0]) != project_code_version(code, settings[1])


def test_any_other_setting_keeps_the_code_version(code: Path):
    settings = [load_settings({"QUINTET_PORT": port}) for port in ("8000", "8001")]

    assert project_code_version(code, settings[0]) == project_code_version(code, settings[1])


def test_a_change_without_a_file_is_work_and_is_reported(raw: Path, tmp_path: Path):
    serving = publish_by_hand(tmp_path, {("page_categories", batch_id(CATEGORIES)): "modelled"})
    also = {("source", "promotions"): "the source database may have changed"}
    plan = make_plan(raw, DATASETS.values(), serving, "code", also)

    assert (plan.has_work, plan.is_full, dict(plan.new_files)) == (True, False, {})
    assert plan.reason == "nothing new in the inboxes; the source database may have changed"
    assert not plan_of(raw, serving).has_work


def set_state(serving: Path, domain: str, status: str) -> None:
    with duckdb.connect(str((serving / "current.duckdb").resolve())) as connection:
        write_states(connection, "run", [DomainState(domain, status, None, "it failed")])


@pytest.mark.parametrize(("status", "retried"), [("old", ("payments",)), ("missing", ("payments",)), ("current", ())])
def test_a_domain_whose_last_build_failed_is_tried_again(tmp_path: Path, status: str, retried: tuple[str, ...]) -> None:
    serving = publish_by_hand(tmp_path, {})
    set_state(serving, "payments", status)
    plan = make_plan(tmp_path / "raw", DATASETS.values(), serving, "code", domains=DOMAIN_NAMES)
    assert plan.retried == retried
    assert plan.has_work is bool(retried)
    assert ("the last build of payments did not succeed" in plan.reason) is bool(retried)
    other = make_plan(tmp_path / "raw", DATASETS.values(), serving, "code", domains=["insurance"])
    assert not other.has_work, "the domain is not asked for"


def test_an_unfinished_run_makes_the_next_one_look_at_the_event_log(tmp_path: Path) -> None:
    serving = publish_by_hand(tmp_path, {})
    assert not make_plan(tmp_path / "raw", DATASETS.values(), serving, "code").has_work
    plan = make_plan(tmp_path / "raw", DATASETS.values(), serving, "code", is_unfinished=True)
    assert plan.has_work
    assert plan.must_examine
    assert "an earlier run did not finish" in plan.reason


def version_of(raw: Path, serving: Path) -> str:
    dataset = DATASETS["page_categories"]
    return compare_inbox(dataset, list_inbox(raw, dataset.name), serving).version


def test_the_version_of_an_inbox_changes_with_new_content_alone(raw: Path, tmp_path: Path) -> None:
    serving = publish_by_hand(tmp_path, {("page_categories", batch_id(CATEGORIES)): "modelled"})
    folder = raw / "page_categories"
    before = version_of(raw, serving)
    (folder / "a.csv").rename(folder / "renamed.csv")
    shutil.copy(folder / "renamed.csv", folder / "again.csv")
    assert version_of(raw, serving) == before
    for path in folder.iterdir():
        path.unlink()
    assert version_of(raw, serving) == before, "the snapshot has its rows"
    (folder / "b.csv").write_text(CATEGORIES + "More,02\n")
    assert version_of(raw, serving) != before


def test_the_version_of_an_inbox_is_the_same_before_and_after_its_files_are_loaded(raw: Path, tmp_path: Path) -> None:
    before = version_of(raw, tmp_path / "serving")
    serving = publish_by_hand(tmp_path, {("page_categories", batch_id(CATEGORIES)): "modelled"})
    assert version_of(raw, serving) == before
    plan = plan_of(raw, serving)
    assert not plan.new_files
    assert plan.inboxes["page_categories"] == before
