"""Snapshots can be published and read at the same time, and survive every interruption."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from quintet.warehouse import publish as publishing
from quintet.warehouse.domain_states import DomainBuild, domain_states
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
            *(("marts", name) for name in ("numbers", "odd name", "ops_domains", "scores", "snapshot")),
            ("ml", "scores"),
        ]
        assert snapshot.execute("from marts.snapshot").fetchall() == [("run1", "code1", AT, "run1")]
        assert snapshot.execute("select count(*), sum(n) from marts.numbers").fetchall() == [(1000, 499500)]


def test_what_no_asset_makes_any_more_is_left_out(built: duckdb.DuckDBPyConnection, serving: Path):
    wanted = {"marts.odd name", "ml.scores"}
    published = publish(built, serving, snapshot_id="run", fingerprint="code", published_at=AT, kept=3, tables=wanted)

    assert published.rows.keys() == wanted
    with open_snapshot(current_snapshot(serving)) as snapshot:
        tables = snapshot.execute("select table_schema || '.' || table_name from information_schema.tables").fetchall()
    assert {name for (name,) in tables} == wanted | {"marts.snapshot", "marts.ops_domains"}
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


@pytest.mark.parametrize("step", ["_write", "_views", "_checked_rows", "_sync", "point_current_to", "remove_old"])
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
from quintet.warehouse.domain_states import DomainBuild, domain_states
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
    [("_views", 1), ("_checked_rows", 1), ("_write", 1), ("_sync", 1), ("point_current_to", 2), ("remove_old", 2)],
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


NUMBERS = DomainBuild("arithmetic", frozenset({"marts.numbers", "marts.squares"}), frozenset({"marts.numbers"}))
SCORES = DomainBuild("places", frozenset({"ml.scores", "marts.scores"}), built_at=AT)


def publish_domains(
    connection: duckdb.DuckDBPyConnection, serving: Path, run: str, *domains: DomainBuild, accept_losses: bool = False
) -> dict[str, tuple[str, object]]:
    """Publish, and return the status and the time of building of each domain as the snapshot has them."""
    publish(
        connection,
        serving,
        snapshot_id=run,
        fingerprint="code",
        published_at=AT,
        kept=3,
        domains=domains,
        accept_losses=accept_losses,
    )
    with open_snapshot(current_snapshot(serving)) as snapshot:
        return {name: (state.status, state.built_at) for name, state in domain_states(snapshot).items()}


def values_of(serving: Path, query: str) -> list[object]:
    with open_snapshot(current_snapshot(serving)) as snapshot:
        return [value for (value,) in snapshot.execute(query).fetchall()]


@pytest.fixture
def squares(built: duckdb.DuckDBPyConnection, serving: Path) -> duckdb.DuckDBPyConnection:
    """Two domains that were published once, and have both changed since."""
    built.execute("create table marts.squares as select 1 as version, n * n as square from range(100) r(n)")
    earlier = replace(NUMBERS, built_at=AT - dt.timedelta(days=1))
    assert set(publish_domains(built, serving, "run1", earlier, SCORES).values()) == {
        ("current", AT - dt.timedelta(days=1)),
        ("current", AT),
    }
    built.execute(
        "update marts.squares set version = 2; update marts.numbers set version = 2;update ml.scores set spelling = 'x'"
    )
    return built


def test_a_domain_that_failed_is_published_as_it_was_and_the_other_with_new_data(
    squares: duckdb.DuckDBPyConnection, serving: Path
):
    squares.execute("drop table marts.squares")  # half of it was built
    failed = replace(NUMBERS, built_at=AT, problem="the build of marts.squares did not succeed")
    states = publish_domains(squares, serving, "run2", failed, SCORES)
    assert states == {"arithmetic": ("old", AT - dt.timedelta(days=1)), "places": ("current", AT)}
    assert values_of(
        serving,
        "select distinct version from marts.numbers union all from (select distinct version from marts.squares)",
    ) == [1, 1]
    assert values_of(serving, "from marts.scores") == ["x"]


def test_an_old_domain_stays_as_it_was_over_several_publications_and_returns(
    squares: duckdb.DuckDBPyConnection, serving: Path
):
    failed = replace(NUMBERS, problem="it failed")
    for run in ("run2", "run3", "run4"):
        states = publish_domains(squares, serving, run, failed, SCORES)
        assert states["arithmetic"] == ("old", AT - dt.timedelta(days=1))
        assert values_of(serving, "select distinct version from marts.squares") == [1]
    assert (
        publish_domains(squares, serving, "run5", replace(NUMBERS, built_at=AT), SCORES)["arithmetic"][0] == "current"
    )
    assert values_of(serving, "select distinct version from marts.squares") == [2]


def test_a_domain_that_another_run_is_building_is_published_as_it_was(
    squares: duckdb.DuckDBPyConnection, serving: Path
):
    building = replace(NUMBERS, problem="run 1 is building it", is_building=True)
    assert publish_domains(squares, serving, "run2", building, SCORES)["arithmetic"][0] == "building"
    assert values_of(serving, "select distinct version from marts.numbers") == [1]


def test_a_domain_that_never_was_built_is_left_out_until_it_is(built: duckdb.DuckDBPyConnection, serving: Path):
    failed = replace(NUMBERS, problem="it failed")
    for run in ("run1", "run2"):
        assert publish_domains(built, serving, run, failed, SCORES)["arithmetic"] == ("missing", None)
        with open_snapshot(current_snapshot(serving)) as snapshot, pytest.raises(duckdb.CatalogException):
            snapshot.execute("from marts.numbers")
        assert values_of(serving, "from marts.scores") == ["Viet Nam"]
    assert publish_domains(built, serving, "run3", NUMBERS, SCORES)["arithmetic"][0] == "current"
    assert len(values_of(serving, "select n from marts.numbers")) == 1000


def test_a_domain_that_nobody_asked_for_yet_is_missing_and_has_not_failed(
    built: duckdb.DuckDBPyConnection, serving: Path
):
    other = DomainBuild("elsewhere", frozenset({"marts.elsewhere"}))
    assert publish_domains(built, serving, "run1", other, SCORES)["elsewhere"] == ("missing", None)
    with open_snapshot(current_snapshot(serving)) as snapshot:
        assert not domain_states(snapshot)["elsewhere"].has_failed
    failed = replace(other, problem="it failed")
    publish_domains(built, serving, "run2", failed, SCORES)
    with open_snapshot(current_snapshot(serving)) as snapshot:
        assert domain_states(snapshot)["elsewhere"].has_failed


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("drop table marts.squares", "the table marts.squares is gone"),
        ("delete from marts.numbers where n >= 499", "marts.numbers has 499 rows instead of 1,000"),
    ],
)
def test_a_loss_is_not_published_unless_it_is_accepted(
    squares: duckdb.DuckDBPyConnection, serving: Path, loss: str, reason: str
):
    squares.execute(loss)
    assert publish_domains(squares, serving, "run2", NUMBERS, SCORES)["arithmetic"][0] == "old"
    [problem] = values_of(serving, "select problem from marts.ops_domains where domain = 'arithmetic'")
    assert reason in problem
    assert "--accept-losses" in problem
    assert len(values_of(serving, "select n from marts.numbers")) == 1000
    assert len(values_of(serving, "select square from marts.squares")) == 100

    assert publish_domains(squares, serving, "run3", NUMBERS, SCORES, accept_losses=True)["arithmetic"][0] == "current"
    assert publish_domains(squares, serving, "run4", NUMBERS, SCORES)["arithmetic"][0] == "current"


def test_half_of_the_rows_may_go_and_any_of_the_other_tables(squares: duckdb.DuckDBPyConnection, serving: Path):
    squares.execute("delete from marts.numbers where n >= 500; delete from marts.squares")
    assert publish_domains(squares, serving, "run2", NUMBERS, SCORES)["arithmetic"][0] == "current"


def test_files_whose_rows_are_gone_are_a_loss(built: duckdb.DuckDBPyConnection, serving: Path):
    built.execute(
        "insert into ops.batches by name select *, 'x' as file, 1 as rows, 1 as loaded, 0 as rejected, "
        "now()::timestamp as arrived_at, now()::timestamp as loaded_at, current_date as effective_date from ("
        "values ('sums', 'a', 'loaded'), ('sums', 'b', 'loaded'), ('sums', 'c', 'rejected'), ('other', 'd', 'loaded')) "
        "as batch(dataset, batch_id, status); update ops.batches set file = batch_id || '.csv';"
        "create view warehouse.marts.ops_batches as from ops.batches"
    )
    numbers = replace(NUMBERS, datasets=frozenset({"sums"}))
    publish_domains(built, serving, "run1", numbers, SCORES)
    built.execute("delete from ops.batches where batch_id in ('c', 'd')")
    assert publish_domains(built, serving, "run2", numbers, SCORES)["arithmetic"][0] == "current"
    built.execute("delete from ops.batches where batch_id = 'b'")
    assert publish_domains(built, serving, "run3", numbers, SCORES)["arithmetic"][0] == "old"
    [problem] = values_of(serving, "select problem from marts.ops_domains where domain = 'arithmetic'")
    assert "the rows of 1 file are gone" in problem
    assert "sums/b.csv" in problem
