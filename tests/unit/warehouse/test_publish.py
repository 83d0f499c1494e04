"""Snapshots can be published and read at the same time, and survive every interruption."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from quintet.warehouse import publish as publishing
from quintet.warehouse.publish import Published, PublishError, publish
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot
from tests.waiting import LONG_SECONDS

AT = dt.datetime(2024, 6, 1, 12)


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def built(warehouse: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    warehouse.execute(
        "create table staging.hidden as select 1 as a;"
        "create table marts.numbers as select 1 as version, n from range(1000) r(n);"
        'create view warehouse.marts."odd name" as select a from staging.hidden;'
        "create table ml.scores as select 'Viet Nam' as spelling;"
        "create view published.marts.scores as select spelling from published.ml.scores"
    )
    return warehouse


def publish_version(connection: duckdb.DuckDBPyConnection, serving: Path, version: int, kept: int = 3) -> Published:
    connection.execute("update marts.numbers set version = ?", [version])
    return publish(
        connection, serving, snapshot_id=f"run{version}", fingerprint=f"code{version}", published_at=AT, kept=kept
    )


def current_version(serving: Path) -> int:
    with open_snapshot(current_snapshot(serving)) as snapshot:
        ((version,),) = snapshot.execute("select distinct version from marts.numbers").fetchall()
    return int(version)


def files_of(serving: Path) -> set[str]:
    return {path.name for path in serving.iterdir()}


def test_a_snapshot_holds_the_published_schemas_and_its_code_version(built: duckdb.DuckDBPyConnection, serving: Path):
    published = publish_version(built, serving, 1)

    assert published.rows == {"marts.numbers": 1000, "marts.odd name": 1, "marts.scores": 1, "ml.scores": 1}
    assert published.bytes == published.path.stat().st_size
    with open_snapshot(current_snapshot(serving)) as snapshot:
        tables = snapshot.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        assert tables == [
            *(("marts", name) for name in ("numbers", "odd name", "scores", "snapshot")),
            ("ml", "scores"),
        ]
        assert snapshot.execute("from marts.snapshot").fetchall() == [("run1", "code1", AT)]
        assert snapshot.execute("select count(*), sum(n) from marts.numbers").fetchall() == [(1000, 499500)]


def test_what_no_asset_makes_any_more_is_left_out(built: duckdb.DuckDBPyConnection, serving: Path):
    wanted = {"marts.odd name", "ml.scores"}
    published = publish(built, serving, snapshot_id="run", fingerprint="code", published_at=AT, kept=3, tables=wanted)

    assert published.rows.keys() == wanted
    with open_snapshot(current_snapshot(serving)) as snapshot:
        tables = snapshot.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
    assert {name for (name,) in tables} == wanted | {"marts.snapshot"}
    assert built.execute("select count(*) from marts.numbers").fetchall() == [(1000,)], "the warehouse keeps it"


def test_the_file_opens_in_older_versions(built: duckdb.DuckDBPyConnection, serving: Path):
    published = publish_version(built, serving, 1)
    latest = serving / "latest.duckdb"
    built.execute(f"attach '{latest}' as newest (storage_version 'latest'); detach newest")

    # The number of the storage format stands after the checksum and the magic bytes.
    versions = [int.from_bytes(path.read_bytes()[12:20], "little") for path in (published.path, latest)]

    assert versions[0] < versions[1]


def test_the_snapshot_is_read_only(built: duckdb.DuckDBPyConnection, serving: Path):
    publish_version(built, serving, 1)

    with open_snapshot(current_snapshot(serving)) as snapshot, pytest.raises(duckdb.InvalidInputException):
        snapshot.execute("delete from marts.numbers")


def test_a_reader_has_one_thread_and_utc_in_every_cursor(
    built: duckdb.DuckDBPyConnection, serving: Path, monkeypatch: pytest.MonkeyPatch
):
    publish_version(built, serving, 1)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with open_snapshot(current_snapshot(serving)) as snapshot:
            found = (
                snapshot.cursor().execute("select current_setting('threads'), current_setting('TimeZone')").fetchall()
            )
    finally:
        monkeypatch.undo()
        time.tzset()

    assert found == [(1, "UTC")]


def test_before_the_first_publication_there_is_no_snapshot(serving: Path):
    with pytest.raises(
        NoSnapshotError, match=r"there is no snapshot in .*serving yet; `make run` builds and publishes one"
    ):
        current_snapshot(serving)


def test_each_publication_has_a_path_of_its_own(built: duckdb.DuckDBPyConnection, serving: Path):
    first, second = (publish_version(built, serving, version).path for version in (1, 2))

    assert first != second
    assert current_snapshot(serving) == second


def test_an_id_is_never_used_twice(built: duckdb.DuckDBPyConnection, serving: Path):
    publish_version(built, serving, 1)

    with pytest.raises(FileExistsError, match="a snapshot is never overwritten"):
        publish_version(built, serving, 1)
    assert current_version(serving) == 1


def test_the_last_three_are_kept(built: duckdb.DuckDBPyConnection, serving: Path):
    for version in range(1, 6):
        publish_version(built, serving, version)

    assert files_of(serving) == {"current.duckdb", "run3.duckdb", "run4.duckdb", "run5.duckdb"}
    assert current_version(serving) == 5


def test_the_current_one_is_kept_in_any_case(built: duckdb.DuckDBPyConnection, serving: Path):
    publish_version(built, serving, 1, kept=0)

    assert current_version(serving) == 1


def test_a_reader_with_a_removed_snapshot_open_can_read_on(built: duckdb.DuckDBPyConnection, serving: Path):
    publish_version(built, serving, 1)
    with open_snapshot(current_snapshot(serving)) as reader:
        for version in range(2, 6):
            publish_version(built, serving, version)

        assert not (serving / "run1.duckdb").exists()
        assert reader.execute("select distinct version from marts.numbers").fetchall() == [(1,)]


def test_a_table_that_arrives_with_other_rows_leaves_the_snapshot_before(
    built: duckdb.DuckDBPyConnection, serving: Path
):
    publish_version(built, serving, 1)
    built.execute("create view warehouse.marts.restless as select * from range((random() * 1e6)::bigint)")

    with pytest.raises(PublishError, match=r'marts."restless" has [\d,]+ rows in the warehouse but [\d,]+ in the'):
        publish_version(built, serving, 2)
    assert files_of(serving) == {"current.duckdb", "run1.duckdb"}
    assert current_version(serving) == 1
    built.execute("drop view warehouse.marts.restless")
    publish_version(built, serving, 2)
    assert current_version(serving) == 2


@pytest.mark.parametrize("step", ["_write", "_views", "_checked_rows", "_sync", "_point_current_to", "_remove_old"])
def test_an_interruption_at_any_step_leaves_a_whole_current_snapshot(
    built: duckdb.DuckDBPyConnection, serving: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    publish_version(built, serving, 1)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish_version(built, serving, 2)
    assert current_version(serving) in {1, 2}
    assert not [name for name in files_of(serving) if "tmp" in name]

    publish_version(built, serving, 3)

    assert current_version(serving) == 3


KILLED = """
import datetime as dt, os, signal, sys
from pathlib import Path
from quintet.warehouse import publish as publishing
from quintet.warehouse.database import open_warehouse

serving, version, step = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
undisturbed = getattr(publishing, step)

def killed(*arguments):
    undisturbed(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(publishing, step, killed)
with open_warehouse(serving.parent / "killed.db", memory_limit="1GB", threads=1, lock_wait_seconds=0) as connection:
    connection.execute(f"create table marts.numbers as select {version} as version, n from range(1000) r(n)")
    connection.execute("create view killed.marts.one as select 1 as a")
    publishing.publish(connection, serving, snapshot_id=f"run{version}", fingerprint="code",
                       published_at=dt.datetime(2024, 6, 1), kept=3)
"""


@pytest.mark.parametrize(
    ("step", "current"),
    [("_views", 1), ("_checked_rows", 1), ("_write", 1), ("_sync", 1), ("_point_current_to", 2), ("_remove_old", 2)],
)
def test_a_killed_publication_leaves_a_whole_current_snapshot_and_no_litter(
    built: duckdb.DuckDBPyConnection, serving: Path, project: Path, step: str, current: int
):
    publish_version(built, serving, 1)
    died = subprocess.run([sys.executable, "-c", KILLED, serving, "2", step], cwd=project, check=False)
    assert died.returncode == -9
    assert current_version(serving) == current
    (serving / "current.duckdb.tmp").symlink_to("nowhere")

    publish_version(built, serving, 3)

    assert current_version(serving) == 3
    assert files_of(serving) - {"run2.duckdb"} == {"current.duckdb", "run1.duckdb", "run3.duckdb"}


READER = """
import sys
from pathlib import Path
from quintet.warehouse.snapshot import current_snapshot, open_snapshot

serving, stop = Path(sys.argv[1]), Path(sys.argv[2])
seen, reads = [], 0
while not (last := stop.exists()) or reads == 0 or not done:
    with open_snapshot(current_snapshot(serving)) as snapshot:
        rows = snapshot.execute("select version, count(*), sum(n) from marts.numbers group by version").fetchall()
    assert len(rows) == 1 and rows[0][1:] == (1000, 499500), rows
    if seen[-1:] != [rows[0][0]]:
        seen.append(rows[0][0])
        print(rows[0][0], flush=True)
    reads += 1
    done = last
assert seen == sorted(seen), seen
"""


def test_a_reader_sees_the_old_or_the_new_and_never_fails_nor_blocks(
    built: duckdb.DuckDBPyConnection, serving: Path, project: Path, tmp_path: Path
):
    publish_version(built, serving, 1)
    stop = tmp_path / "stop"
    with subprocess.Popen(
        [sys.executable, "-c", READER, serving, stop], cwd=project, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        for version in range(2, 12):
            publish_version(built, serving, version)
        stop.touch()
        printed = reader.stdout.read().split()

    assert reader.returncode == 0
    assert printed[-1:] == ["11"]


def test_a_reader_that_stays_does_not_block_publishing(built: duckdb.DuckDBPyConnection, serving: Path, project: Path):
    publish_version(built, serving, 1)
    stay = (
        "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); "
        "print(c.execute('select max(version) from marts.numbers').fetchall()[0][0], flush=True); sys.stdin.read(1); "
        "print(c.execute('select max(version) from marts.numbers').fetchall()[0][0], flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", stay, serving / "current.duckdb"],
        cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as reader:  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        for version in range(2, 6):
            publish_version(built, serving, version)
        printed, _ = reader.communicate("x", timeout=LONG_SECONDS)

    assert (printed, reader.returncode) == ("1\n", 0)
    assert current_version(serving) == 5
