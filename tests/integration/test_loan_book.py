"""Dumps of the inbox on a real PostgreSQL: each is loaded and replicated, or refused with a reason."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from quintet.change_log.lake import compact
from quintet.change_log.place import last_day, latest_log, open_log
from quintet.embedded.postgres import EmbeddedPostgres, programs, running_url, stop_left_behind
from quintet.lending.feature_registry import features
from quintet.lending.inbox import compare_dumps, dumps_of
from quintet.lending.replicated import REPLICATED, LendingApplier
from quintet.lending.settings import feature_folder, restore_folder
from quintet.lending.tables import catch_up_with_log, client_features, training_rows
from quintet.replication.catch_up import CaughtUp, ReplicationError, catch_up, only_stream
from quintet.replication.run import Options, Stream
from quintet.samples.lending import SCHEMA, LendingWorld, make_book
from quintet.samples.lending_dump import plain_dump
from quintet.settings import Settings, load_settings
from quintet.state.features import FeatureStore
from tests.command import Python
from tests.folders import open_folder
from tests.postgres import drop_slots, values_by_sql
from tests.waiting import LONG_SECONDS

_BOOK = make_book(LendingWorld(clients=120), 7)
_PLAIN = plain_dump(_BOOK)
_ROWS = sum(len(table) for table in (_BOOK.user, _BOOK.loan, _BOOK.payment))


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose server runs for the whole module."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(home / "postgres", {"fsync": "off"}) as postgres:
        yield postgres


@pytest.fixture
def settings(server: EmbeddedPostgres, home: Path, tmp_path: Path) -> Iterator[Settings]:
    """An empty database on the module's server, and an empty object store."""
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("create database trial")
        url = server.url.rsplit("/", 1)[0] + "/trial"
        (tmp_path / "raw" / "loan_book").mkdir(parents=True)
        yield load_settings(
            {
                "QUINTET_HOME": str(home / tmp_path.name),
                "QUINTET_RAW": str(tmp_path / "raw"),
                "QUINTET_POSTGRES_URL": url,
                "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log",
            }
        )
        drop_slots(admin)
        admin.execute("drop database trial with (force)")


def _limited(settings: Settings, limit: Mapping[str, str]) -> Settings:
    """Return the settings with limits on a dump."""
    assert settings.postgres_url is not None
    assert settings.object_store_url is not None
    given = {
        "QUINTET_HOME": str(settings.home),
        "QUINTET_RAW": str(settings.raw),
        "QUINTET_POSTGRES_URL": settings.postgres_url.get_secret_value(),
        "QUINTET_OBJECT_STORE_URL": settings.object_store_url.get_secret_value(),
    }
    return load_settings({**given, **limit})


def _drop(settings: Settings, name: str, content: str | bytes) -> None:
    content = content.encode() if isinstance(content, str) else content
    (settings.raw / "loan_book" / name).write_bytes(content)


def _catch_up(settings: Settings, *loaded: str) -> CaughtUp:
    return catch_up(settings, REPLICATED, loaded, lambda _: None)


def _ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    assert settings.postgres_url is not None
    with psycopg.connect(settings.postgres_url.get_secret_value()) as connection:
        return connection.execute(query.encode()).fetchall()


def _message(settings: Settings) -> str:
    (dump,) = _catch_up(settings).dumps
    assert dump.status == "rejected"
    assert dump.message is not None
    assert _ask(settings, "select count(*) from pg_tables where schemaname = 'public'") == [(0,)]
    return dump.message


def _custom(home: Path, tmp_path: Path) -> bytes:
    """The book in pg_dump's custom format."""
    url = running_url(home / "postgres")
    assert url is not None
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("create database source_book")
    source = url.rsplit("/", 1)[0] + "/source_book"
    with psycopg.connect(source) as connection:
        connection.execute(SCHEMA.read_text("utf-8").encode())
        connection.execute("insert into \"user\" (id, created_on) values (1, '2020-01-01')")
        connection.execute("insert into loan (id, client_id, amount, status) values (1, 1, 10, 'paid')")
    file = tmp_path / "custom"
    subprocess.run([programs() / "pg_dump", "--format=custom", f"--file={file}", source], check=True)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("drop database source_book with (force)")
    return file.read_bytes()


def test_a_dump_is_loaded_and_replicated_and_gives_the_features_of_the_brief(settings: Settings) -> None:
    _drop(settings, "book.sql.gz", gzip.compress(_PLAIN.encode()))
    done = _catch_up(settings)
    assert [(dump.status, dump.rows) for dump in done.dumps] == [("loaded", _ROWS)]
    found = latest_log(settings)
    assert found is not None
    assert found[1] == done.epoch
    assert last_day(settings) == max(_BOOK.loan["updated_on"].max(), _BOOK.loan["created_on"].max()).date()
    catch_up_with_log(feature_folder(settings.home), *found, features())
    rows = client_features(feature_folder(settings.home), features(), date(2020, 8, 23)).set_index("client_id")
    assert settings.postgres_url is not None
    asked = [(client, date(2020, 8, 23)) for client in rows.index]
    expected = values_by_sql(settings.postgres_url.get_secret_value(), asked)
    assert len(rows) == len(_BOOK.user)
    for client, as_of in asked:
        for name, value in expected[client, as_of].items():
            assert rows.loc[client, name] == pytest.approx(np.nan if value is None else float(value), nan_ok=True)
    assert (training_rows(feature_folder(settings.home), features())["outcome"] == "repaid").sum() > 0


def test_the_same_again_changes_nothing_and_a_newer_dump_begins_a_new_epoch(settings: Settings) -> None:
    _drop(settings, "book_2020-08-23.sql", _PLAIN)
    first = _catch_up(settings)
    again = _catch_up(settings, first.dumps[0].sha256)
    assert [dump.status for dump in again.dumps] == ["known"]
    assert again.epoch == first.epoch
    newer = plain_dump(make_book(LendingWorld(clients=130), 8))
    _drop(settings, "book_2020-08-24.sql", newer)
    later = _catch_up(settings, first.dumps[0].sha256)
    assert [(dump.file.name, dump.status) for dump in later.dumps] == [
        ("book_2020-08-24.sql", "loaded"), ("book_2020-08-23.sql", "known"),
    ]  # fmt: skip
    assert first.epoch is not None
    assert later.epoch is not None
    assert later.epoch.name > first.epoch.name
    assert _ask(settings, 'select count(*) from "user"') == [(130,)]
    (settings.raw / "loan_book" / "book_2020-08-24.sql").unlink()  # as people tidy up
    assert _catch_up(settings, *(dump.sha256 for dump in later.dumps)).epoch == later.epoch
    assert _ask(settings, 'select count(*) from "user"') == [(130,)]


def test_of_two_new_dumps_the_newer_is_loaded_and_a_broken_one_does_not_hide_it(settings: Settings) -> None:
    _drop(settings, "book_2020-01-01.sql", _PLAIN.replace("'application'", "'application' "))
    _drop(settings, "book_2020-02-01.sql", _PLAIN)
    _drop(settings, "book_2020-03-01.sql", _PLAIN[:-2000])
    found = {dump.file.name[10:12]: dump.status for dump in _catch_up(settings).dumps}
    assert found == {"03": "rejected", "02": "loaded", "01": "superseded"}


def test_a_custom_dump_is_loaded_like_a_plain_one(settings: Settings, home: Path, tmp_path: Path) -> None:
    _drop(settings, "book.dump", _custom(home, tmp_path))
    assert [(dump.status, dump.rows) for dump in _catch_up(settings).dumps] == [("loaded", 2)]
    assert _ask(settings, "select amount from loan") == [(10.0,)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text.replace("payment", "instalment"), ["payment", "instalment"]),
        (lambda text: text.replace("principle", "principal"), ["payment", "principle"]),
        (lambda text: text.replace("duration bigint", "term bigint").replace("duration", "term"), ["duration", "loan"]),
        (lambda text: text.replace("status varchar", "status bytea"), ["status", "bytea"]),
        (lambda text: text.replace("created_on date", "created_on timestamp").replace("2020-01-0", "2020-01-01 13:0"),
         ["created_on", "13:0"]),
        (lambda text: text.replace("create table", "create schema crm; set search_path = crm; create table", 1),
         ["no table user", "crm.loan"]),
        (lambda _: "create table film (id int); create table actor (id int);", ["no table user", "actor, film"]),
        (lambda _: "", ["empty"]),
        (lambda _: "-- nothing\n", ["no tables"]),
        (lambda _: "hello, I am text\n", ["no PostgreSQL dump"]),
        (lambda text: text + "update loan set created_on = '4713-01-01 BC' where id = 2;", ["created_on", "BC"]),
        (lambda text: text + "update loan set updated_on = '294276-01-01' where id = 2;", ["updated_on", "294276"]),
        (lambda text: text[: len(text) // 2], ["cut off"]),
        (lambda text: text.replace("id integer primary key", "id integer").replace("\n2\t", "\n1\t"), ["id", "unique"]),
        (lambda text: text.replace("\tpaid\t", "\tpaid\tand more\t", 1), ["loan", "extra data"]),
        (lambda text: text.replace('create table loan', 'create view loan as select 1 as id; create table loan2')
         .replace('copy "loan"', 'copy "loan2"'), ["view"]),
    ],
)  # fmt: skip
def test_a_dump_that_cannot_be_used_is_refused_with_what_is_wrong(
    settings: Settings, change: Callable[[str], str], named: list[str]
) -> None:
    _drop(settings, "book.sql", change(_PLAIN))
    message = _message(settings)
    assert all(word in message for word in named), message


def test_columns_that_convert_exactly_are_loaded_and_other_schemas_are_remarked_on(settings: Settings) -> None:
    text = _PLAIN.replace("amount double precision", "amount numeric(12,2)").replace("on date", "on timestamp")
    text = text.replace("status varchar", "status varchar(20), note text[]").replace(
        "personal_code varchar", "code text"
    )
    text = text.replace("personal_code", "code").replace("commit;", "create schema old; create table old.x (); commit;")
    _drop(settings, "book.sql", text)
    (dump,) = _catch_up(settings).dumps
    assert dump.status == "loaded"
    assert dump.message is not None
    assert "schema old" in dump.message
    assert "personal_code" in dump.message
    types = "select format_type(atttypid, null) from pg_attribute where attrelid = 'loan'::regclass and attname = '{}'"
    assert _ask(settings, types.format("amount")) == [("double precision",)]
    assert _ask(settings, types.format("created_on")) == [("date",)]


@pytest.mark.parametrize(
    "attack",
    [
        "copy \"user\" from program 'touch {mark}';",
        "create table x (t text); copy x from program 'touch {mark}'; copy x from '/etc/passwd';",
        "create extension file_fdw; create extension dblink; create extension adminpack;",
        "create function f() returns int language c as '/lib/x86_64-linux-gnu/libc.so.6', 'system';",
        "alter role current_user superuser; create role evil superuser; set role quintet;",
        "create database evil; drop database quintet;",
        "alter system set archive_command = 'touch {mark}'; select pg_reload_conf();",
        "select pg_read_file('/etc/passwd'); select lo_import('/etc/passwd');",
    ],
)
def test_an_attack_in_a_dump_is_refused_by_the_role_without_rights(
    settings: Settings, tmp_path: Path, attack: str
) -> None:
    mark = tmp_path / "mark"
    tmp_path.chmod(0o777)
    _drop(settings, "book.sql", _PLAIN + attack.format(mark=mark))
    (dump,) = _catch_up(settings).dumps
    assert not mark.exists()
    assert (dump.status, "refused" in str(dump.message) or "denied" in str(dump.message)) in [
        ("loaded", True), ("rejected", True),
    ]  # fmt: skip
    assert not restore_folder(settings.home).exists()


def test_code_that_runs_while_tables_are_read_has_no_rights_either(settings: Settings) -> None:
    """A view, a policy or a cast of the dump would run as the role that reads the table."""
    attack = """
        create function spy() returns text language plpgsql as $$ begin
            execute 'create role evil superuser'; return 'x'; exception when others then return sqlerrm; end $$;
        alter table loan add column spied text generated always as (status) stored;
        alter table loan enable row level security; alter table loan force row level security;
        create policy spy on loan using (spy() is not null);
    """
    _drop(settings, "book.sql", _PLAIN + attack)
    _catch_up(settings)
    assert _ask(settings, "select rolname from pg_roles where rolname in ('evil', 'quintet_dump')") == []


@pytest.mark.parametrize(
    ("limit", "content", "named"),
    [
        ({"QUINTET_LOAN_BOOK_SECONDS": "1"}, "select pg_sleep(60);", "not restored within 1 s"),
        ({"QUINTET_LOAN_BOOK_SECONDS": "1"}, ";" * 80_000_000, "not restored within 1 s"),
        ({"QUINTET_LOAN_BOOK_BYTES": "30000000"}, "create table x as select * from generate_series(1, 3000000);",
         "more than"),
    ],
)  # fmt: skip
def test_a_dump_that_takes_too_long_or_too_much_is_stopped(
    settings: Settings, limit: dict[str, str], content: str, named: str
) -> None:
    _drop(settings, "book.sql", "set statement_timeout = 0;" + content)
    assert named in _message(_limited(settings, limit))


def test_tables_that_are_not_from_a_dump_are_never_replaced(settings: Settings) -> None:
    assert settings.postgres_url is not None
    with psycopg.connect(settings.postgres_url.get_secret_value()) as connection:
        connection.execute(SCHEMA.read_text("utf-8").encode())
        connection.execute('insert into "user" (id) values (5)')
    _drop(settings, "book.sql", _PLAIN)
    done = _catch_up(settings)
    assert "drop the tables" in str(done.dumps[0].message)
    assert done.epoch is not None  # they are what is replicated
    assert _ask(settings, 'select id from "user"') == [(5,)]


def test_a_database_with_other_tables_is_not_touched_unless_it_is_the_embedded_one(settings: Settings) -> None:
    assert settings.postgres_url is not None
    with psycopg.connect(settings.postgres_url.get_secret_value()) as connection:
        connection.execute("create table promo_users (user_id text)")
    _drop(settings, "book.sql", _PLAIN)
    done = _catch_up(settings)
    assert "holds other tables (promo_users)" in str(done.dumps[0].message)
    assert done.epoch is None
    assert _ask(settings, "select tablename from pg_tables where schemaname = 'public'") == [("promo_users",)]


def test_a_loan_of_an_unknown_client_is_kept_and_gives_no_client(settings: Settings) -> None:
    _drop(settings, "book.sql", _PLAIN + "insert into loan (id, client_id, status) values (999999, 888888, 'paid');")
    assert _catch_up(settings).dumps[0].rows == _ROWS + 1
    found = latest_log(settings)
    assert found is not None
    catch_up_with_log(feature_folder(settings.home), *found, features())
    assert 888888 not in set(client_features(feature_folder(settings.home), features(), date(2020, 8, 23))["client_id"])


def test_commits_after_the_dump_are_replicated_by_the_next_call(settings: Settings) -> None:
    _drop(settings, "book.sql", _PLAIN)
    first = _catch_up(settings)
    assert settings.postgres_url is not None
    with psycopg.connect(settings.postgres_url.get_secret_value()) as connection:
        connection.execute("update loan set status = 'overdue' where id = 1")
    assert _catch_up(settings, first.dumps[0].sha256).epoch == first.epoch
    assert last_day(settings) is None
    found = latest_log(settings)
    assert found is not None
    catch_up_with_log(feature_folder(settings.home), *found, features())
    rows = training_rows(feature_folder(settings.home), features()).set_index("application_id")
    assert rows.loc[1, "outcome"] == "overdue"


def test_without_a_dump_and_a_database_there_is_nothing_to_do(tmp_path: Path) -> None:
    settings = load_settings({"QUINTET_HOME": str(tmp_path / "home"), "QUINTET_RAW": str(tmp_path / "raw")})
    assert _catch_up(settings) == CaughtUp((), None)
    assert not (tmp_path / "home").exists()


def test_a_wrong_password_is_reported_without_it(settings: Settings) -> None:
    assert settings.postgres_url is not None
    url = settings.postgres_url.get_secret_value()
    user, _, place = url.partition("@")
    password = "s3cret%2F%40word"
    settings = load_settings(
        {"QUINTET_HOME": str(settings.home), "QUINTET_POSTGRES_URL": f"{user.rsplit(':', 1)[0]}:{password}@{place}"}
    )
    with pytest.raises(ReplicationError, match="password authentication failed") as caught:
        _catch_up(settings)
    assert "s3cret" not in str(caught.value)


def test_a_server_without_logical_replication_is_reported(home: Path, tmp_path: Path) -> None:
    folder = home / "replica"
    with EmbeddedPostgres(folder, {"wal_level": "replica", "fsync": "off"}) as postgres:
        with psycopg.connect(postgres.url) as connection:
            connection.execute(SCHEMA.read_text("utf-8").encode())
        variables = {
            "QUINTET_HOME": str(home / "x"),
            "QUINTET_RAW": str(tmp_path),
            "QUINTET_POSTGRES_URL": postgres.url,
            "QUINTET_OBJECT_STORE_URL": f"file://{tmp_path}/log",
        }
        settings = load_settings(variables)
        with pytest.raises(ReplicationError, match="wal_level is replica"):
            _catch_up(settings)


def test_the_server_of_a_killed_run_is_stopped_and_one_in_use_is_not(home: Path) -> None:
    folder = home / "left"
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom quintet.embedded.postgres import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1])).start()\nos.kill(os.getpid(), 9)\n"
    )
    assert Python(["-c", program, str(folder)], os.environ).wait() == -9
    left = running_url(folder)
    assert left is not None
    with EmbeddedPostgres(folder) as postgres:
        assert postgres.pid
        stop_left_behind(folder)
        assert running_url(folder) is not None
    assert running_url(folder) is None


def test_a_running_stream_is_waited_for_and_follows_a_newer_dump(settings: Settings) -> None:
    _drop(settings, "book_2020-08-23.sql", _PLAIN)
    first = _catch_up(settings)
    assert settings.postgres_url is not None
    url = settings.postgres_url.get_secret_value()
    online = LendingApplier(FeatureStore(settings.online), features())
    stream = Stream(url, open_log(settings), online, Options(watch_seconds=0.2, feedback_seconds=0.05))
    thread = threading.Thread(target=stream.run)
    with only_stream(settings):
        thread.start()
        try:
            assert stream.ready.wait(LONG_SECONDS)
            with psycopg.connect(url) as connection:
                connection.execute("update loan set status = 'overdue' where id = 1")
            assert _catch_up(settings, first.dumps[0].sha256).epoch == first.epoch
            _drop(settings, "book_2020-08-24.sql", plain_dump(make_book(LendingWorld(clients=130), 8)))
            second = _catch_up(settings, first.dumps[0].sha256)
            assert first.epoch is not None
            assert second.epoch is not None
            assert second.epoch.name > first.epoch.name
            assert thread.is_alive()
        finally:
            stream.stop.set()
            thread.join()
            online.store.close()


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.4])
def test_after_a_stream_was_killed_at_any_moment_everything_is_caught_up(settings: Settings, seconds: float) -> None:
    _drop(settings, "book.sql", _PLAIN)
    program = (
        "import os, sys, threading, time\nfrom quintet.settings import load_settings\n"
        "from quintet.lending.replicated import REPLICATED\nfrom quintet.replication.catch_up import catch_up\n"
        "kill = lambda: (time.sleep(float(sys.argv[1])), os.kill(os.getpid(), 9))\n"
        "report = lambda text: 'loaded' in text and threading.Thread(target=kill).start()\n"
        "catch_up(load_settings(), REPLICATED, (), report)\nos.kill(os.getpid(), 9)\n"
    )
    variables = {
        "QUINTET_HOME": str(settings.home),
        "QUINTET_RAW": str(settings.raw),
        "QUINTET_POSTGRES_URL": settings.postgres_url.get_secret_value() if settings.postgres_url else "",
        "QUINTET_OBJECT_STORE_URL": settings.object_store_url.get_secret_value() if settings.object_store_url else "",
    }
    killed = Python(["-c", program, str(seconds)], os.environ | variables)
    printed = killed.finish()
    assert killed.returncode == -9, printed
    assert _catch_up(settings).epoch is not None
    found = latest_log(settings)
    assert found is not None
    compact(*found)
    catch_up_with_log(feature_folder(settings.home), *found, features())
    outcomes = training_rows(feature_folder(settings.home), features())["outcome"].value_counts()
    assert outcomes["repaid"] == (_BOOK.loan["status"] == "paid").sum()
    assert outcomes["overdue"] == (_BOOK.loan["status"] == "overdue").sum()


def test_a_dump_whose_server_or_log_is_gone_is_loaded_and_replicated_again(settings: Settings, tmp_path: Path) -> None:
    """A user may remove a folder of the home to free disk space."""
    _drop(settings, "book.sql", _PLAIN)
    first = _catch_up(settings)
    sha256 = first.dumps[0].sha256
    shutil.rmtree(tmp_path / "log")
    without_log = _catch_up(settings, sha256)
    assert without_log.epoch is not None
    with psycopg.connect(settings.postgres_url.get_secret_value() if settings.postgres_url else "") as connection:
        connection.execute('drop table "user", loan, payment')
    again = _catch_up(settings, sha256)
    assert [dump.status for dump in again.dumps] == ["loaded"]
    found = latest_log(settings)
    assert found is not None
    assert found[1] == again.epoch
    catch_up_with_log(feature_folder(settings.home), *found, features())
    assert len(client_features(feature_folder(settings.home), features(), date(2020, 8, 23))) == len(_BOOK.user)


@pytest.mark.parametrize(
    ("put", "named"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.symlink_to("/nowhere/at/all"), "is a link that points to nothing"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a link to a file outside the inbox"),
        (lambda path: path.symlink_to("/etc/passwd"), "is a link to a file outside the inbox"),
    ],
)
def test_a_pipe_a_folder_or_a_broken_link_is_refused_unopened_and_hides_no_dump(
    settings: Settings, put: Callable[[Path], object], named: str
) -> None:
    put(settings.raw / "loan_book" / "x_2030-01-01.sql")
    _drop(settings, "book.sql", _PLAIN)
    assert len(compare_dumps(dumps_of(settings), settings.serving).unknown) == 2
    found = {dump.file.name: dump for dump in _catch_up(settings).dumps}
    assert found["book.sql"].status == "loaded"
    assert found["x_2030-01-01.sql"].status == "rejected"
    assert named in str(found["x_2030-01-01.sql"].message)


def test_a_dump_cannot_fill_the_disk_through_the_servers_log(settings: Settings) -> None:
    flood = "do $$ begin for i in 1..3000 loop raise log '%', repeat('x', 10000); end loop; end $$;"
    _drop(settings, "book.sql", flood + _PLAIN)
    limited = _limited(settings, {"QUINTET_LOAN_BOOK_BYTES": "25000000"})
    assert [dump.status for dump in _catch_up(limited).dumps] == ["loaded"]


def test_the_rest_of_a_killed_restore_is_removed_even_if_its_dump_is_gone(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o711)
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom quintet.embedded.postgres import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1])).start()\nos.kill(os.getpid(), 9)\n"
    )
    assert Python(["-c", program, str(restore_folder(settings.home))], os.environ).wait() == -9
    assert running_url(restore_folder(settings.home)) is not None
    _catch_up(settings)
    assert running_url(restore_folder(settings.home)) is None
    assert not restore_folder(settings.home).exists()
