"""A person who is forgotten is nowhere in the home, and no copy of its file brings it back."""

from __future__ import annotations

import datetime as dt
import fcntl
import gzip
import io
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from quintet.backup.in_use import HomeInUseError
from quintet.cases import store as case_store
from quintet.cases.changes import Author, note
from quintet.cases.kind import Subject
from quintet.domain import Domain
from quintet.domains import DATASETS, DOMAINS, open_state_store
from quintet.erasure.forget import ForgetError, Receipt, forget
from quintet.ingest.checks import check_reconciliation
from quintet.ingest.forgotten import set_forgotten
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.lending.decision_log import DecisionLog, DecisionRecord
from quintet.promotions.store import JudgementRecord, Label, insert_judgement, record_label
from quintet.settings import Settings, load_settings
from quintet.state.forgotten import read_forgotten
from quintet.warehouse.database import open_warehouse
from quintet.warehouse.origin import origin_of
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from tests.conftest import Quintet

_NOW = dt.datetime(2026, 3, 4, 5, tzinfo=dt.UTC)
_CLIENT = 7
_LIMITS = {"memory_limit": "500MB", "threads": 1, "lock_wait_seconds": 20}


@pytest.fixture
def settings(built: Quintet, tmp_path: Path) -> Settings:
    """Return the settings of a copy of the built samples, with what the service records about a user and a client."""
    home = tmp_path / "home"
    skipped = shutil.ignore_patterns("postgres*", "reports", "history", "*.lock")
    shutil.copytree(built.home, home, symlinks=True, ignore=skipped)
    settings = load_settings({"QUINTET_HOME": str(home), "QUINTET_RAW": str(tmp_path / "raw")})
    shutil.copytree(built.raw / "promo_users", settings.raw / "promo_users")
    user = _user(settings)
    _leave_unread_file(settings, user)
    with closing(open_state_store(settings.online)) as store:
        record_label(store, Label(user[0], True, _NOW, "Ana", "wrote from " + user[1]))
        with store.write() as connection:
            insert_judgement(connection, _judgement(user))
            subject = Subject(user[0], f"Account {user[0]}", "why", 1.0, person_id=user[0])
            case_store.insert(connection, ("promotions", "account"), "user", [subject], _NOW)
        note(store, case_store.case_id_of("promotions", "account", user[0]), f"asked {user[1]}", Author("Ana", _NOW))
    log = DecisionLog(settings.online)
    log.start()
    log.record(_decision()).result()
    log.close()
    (home / "logs").mkdir(exist_ok=True)
    (home / "logs" / "serve.log").write_text(f"GET /user/{user[0]}\nGET /other\n", "utf-8")
    return settings


def _leave_unread_file(settings: Settings, user: tuple[str, str]) -> None:
    """Add a file that could not be loaded and names the user, to the warehouse and to the snapshot."""
    rows = (
        "select 'promo_users' as dataset, 'b' as batch_id, 'b.csv' as file, 'lacks a column' as message, "
        "['id', 'mail'] as titles, ['user_id'] as lacking, [[$id, $mail]] as first_rows, 1 as bytes, "
        "timestamp '2026-01-01' as arrived_at"
    )
    places = {"ops.unread_files": settings.warehouse, "marts.ops_unread_files": current_snapshot(settings.serving)}
    for table, path in places.items():
        with duckdb.connect(path) as connection:
            connection.execute(f"insert into {table} by name {rows}", {"id": user[0], "mail": user[1]})


def _user(settings: Settings) -> tuple[str, str]:
    """Return the id and the e-mail address of a user after whom a cluster of several is named."""
    with duckdb.connect(settings.warehouse) as connection:
        connection.execute(f"attach '{settings.warehouse}.published' as published (read_only)")
        found = connection.execute(
            "select cluster_id, any_value(email) from published.ml.abuse_scores as scores "
            "join raw.promo_users as users on users.user_id = cluster_id "
            "group by all having count(*) > 1 order by count(*) desc, cluster_id limit 1"
        ).fetchone()
    assert found is not None
    return found[0], found[1]


def _judgement(user: tuple[str, str]) -> JudgementRecord:
    given = {"user_id": user[0], "email": user[1]}
    return JudgementRecord(user[0], _NOW, "Ana", given, [], 0.5, "review", [], user[0], 2, "m", user[0])


def _decision() -> DecisionRecord:
    at = _NOW.isoformat()
    values: dict[str, object] = {
        name: "{}" if kind == "str" else None if "None" in kind else 1
        for name, kind in DecisionRecord.__annotations__.items()
    }
    return DecisionRecord(**(values | {"client_id": _CLIENT, "decided_at": at}))  # type: ignore[arg-type]


def _forget(settings: Settings, kind: str, person: str, domains: Sequence[Domain] = DOMAINS) -> Receipt:
    with closing(open_state_store(settings.online)) as store:
        return forget(settings, domains, kind, person, store, _NOW, bytes, lambda _: None)


def _texts(home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the content of every file, packed ones also unpacked."""
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            yield str(path), content
            if path.suffix == ".gz":
                yield f"{path} unpacked", gzip.decompress(content)
            if path.suffix == ".parquet":
                yield (
                    f"{path} unpacked",
                    json.dumps(pq.read_table(io.BytesIO(content)).to_pylist(), default=str).encode(),
                )


def _logged(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield table and row of every change in the objects and in the lake."""
    for path in sorted((settings.embedded_objects / "buckets").rglob("*")):
        if path.name.endswith(".jsonl.gz"):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                change = json.loads(line)
                yield change["table"], change["row"]
        elif path.suffix == ".parquet" and "features" not in path.parts:
            for change in pq.read_table(path).to_pylist():
                yield change["table"], json.loads(change["row"])


def _holding(home: Path, texts: Sequence[str]) -> set[str]:
    return {name for name, content in _texts(home) for text in texts if text.encode() in content}


def _tables_with(file: Path, person: str) -> set[str]:
    """Return the tables of a DuckDB file that have the text as a value, or as a part of a list or of JSON."""
    found = set()
    with duckdb.connect(file, read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        for schema, table in tables:
            name = f'"{schema}"."{table}"'
            (count,) = connection.execute(
                f"select count(*) from {name} as of_table where contains(cast(of_table as varchar), ?)", [person]
            ).fetchone() or (0,)
            if count:
                found.add(f"{schema}.{table}")
    return found


def test_a_forgotten_user_is_in_no_file_of_the_home(settings: Settings) -> None:
    user, email = _user(settings)
    assert len(_holding(settings.home, [user, email])) >= 5
    receipt = _forget(settings, "user", user)
    assert _holding(settings.home, [user, email]) == set()
    assert not _tables_with(settings.warehouse, user)
    assert not _tables_with(current_snapshot(settings.serving), user)
    assert receipt.places["raw.promo_users"] == 1
    assert receipt.places["online.sqlite abuse_judgements"] == 1
    assert user not in receipt.path.read_text("utf-8")
    assert any(str(settings.raw) in line for line in receipt.left)
    assert (settings.home / "logs" / "serve.log").read_text("utf-8") == "GET /other\n"


def test_without_its_declaration_a_user_would_stay(settings: Settings) -> None:
    """The twin: a domain that does not declare a column, or a table of the service, is found by the search."""
    user, email = _user(settings)
    (promotions,) = [domain for domain in DOMAINS if domain.name == "promotions"]
    assert promotions.persons is not None
    poorer = replace(promotions, persons=replace(promotions.persons, columns=("linked_user_id",), state={}))
    _forget(settings, "user", user, [poorer])
    assert _tables_with(current_snapshot(settings.serving), user)
    assert str(settings.online / "online.sqlite") in _holding(settings.home, [user, email])


def test_other_users_and_the_origin_of_the_snapshot_stay(settings: Settings) -> None:
    user, _ = _user(settings)
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        before = snapshot.execute("from marts.fct_promo_users where user_id != ? order by user_id", [user]).fetchall()
        tables = snapshot.execute("select count(*) from duckdb_tables()").fetchall()
        scores = snapshot.execute("select count(*) from ml.abuse_scores where user_id != ?", [user]).fetchall()
    former = current_snapshot(settings.serving)
    _forget(settings, "user", user)
    assert current_snapshot(settings.serving) != former
    assert not former.exists()
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        assert snapshot.execute("from marts.fct_promo_users order by user_id").fetchall() == before
        assert snapshot.execute("select count(*) from duckdb_tables()").fetchall() == tables
        assert snapshot.execute("select count(*) from ml.abuse_scores").fetchall() == scores
    assert origin_of(settings.warehouse, settings.serving).problem == ""
    with open_warehouse(settings.warehouse, **_LIMITS) as connection:  # type: ignore[arg-type]
        prepare(connection, DATASETS.values())
        assert all(check_reconciliation(connection, dataset).passed for dataset in DATASETS.values())


def test_a_new_copy_of_the_file_does_not_bring_the_user_back(settings: Settings) -> None:
    user, email = _user(settings)
    _forget(settings, "user", user)
    (file,) = (settings.raw / "promo_users").iterdir()
    copy = file.with_name("copy.csv")
    text = file.read_text("utf-8").replace(user, f" {user}\u200b ")  # the same id to the warehouse
    copy.write_text(text.replace("FALSE", "TRUE"), "utf-8")
    dataset = DATASETS["promo_users"]

    def load() -> int:
        with open_warehouse(settings.warehouse, **_LIMITS) as connection:  # type: ignore[arg-type]
            prepare(connection, DATASETS.values())
            set_forgotten(connection, read_forgotten(settings.online))
            load_files(connection, dataset, list_inbox(settings.raw, dataset.name), _NOW.replace(tzinfo=None), print)
            assert check_reconciliation(connection, dataset).passed
            ((count,),) = connection.execute(
                "select count(*) from raw.promo_users where contract.as_code(user_id) = ?", [user]
            ).fetchall()
            return int(count)

    assert load() == 0
    assert _holding(settings.home, [user, email]) == set()
    with closing(open_state_store(settings.online)) as store, store.write() as connection:  # the twin: nobody is known
        connection.execute("delete from forgotten")
    copy.write_text(copy.read_text("utf-8").replace("TRUE", "FALSE"), "utf-8")
    assert load() == 1


def test_a_forgotten_client_is_in_no_table_and_in_no_change(settings: Settings) -> None:
    before = list(_logged(settings))
    loans = {row["id"] for table, row in before if table == "loan" and row["client_id"] == _CLIENT}
    assert any(table == "payment" and row["loan_id"] in loans for table, row in before)
    receipt = _forget(settings, "client", str(_CLIENT))
    kept = list(_logged(settings))
    whose = {"user": lambda row: row["id"] == _CLIENT, "loan": lambda row: row["client_id"] == _CLIENT}
    whose["payment"] = lambda row: row["loan_id"] in loans
    assert kept == [(table, row) for table, row in before if not whose[table](row)]
    assert len(before) - len(kept) == receipt.places["lake"] + receipt.places["change log"]
    assert receipt.places["lake"] == receipt.places["change log"] > 1
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        for table in ("ml.client_features", "ml.lending_training_set"):
            assert not snapshot.execute(f"from {table} where client_id = ?", [_CLIENT]).fetchall()
    with sqlite3.connect(settings.online / "decisions.sqlite") as decisions:
        assert decisions.execute("select count(*) from decisions").fetchone() == (0,)
    with sqlite3.connect(settings.online / "features.sqlite") as features:
        assert features.execute("select count(*) from rows").fetchone() == (0,)
        assert {name for (name,) in features.execute("select name from facts")} == {"epoch", "flushed"}


def test_every_column_of_persons_is_declared(settings: Settings) -> None:
    """A new table with an id of a user or client is found by its name: declare it, or give it another name."""
    declared = {
        column
        for domain in DOMAINS
        if domain.persons is not None
        for column in (*domain.persons.columns, *domain.persons.mentions)
    } | {"person_id"}  # of cases, with the kind of person beside it
    looks_like_one = "regexp_matches(column_name, '(^|_)(user|client|customer|person|member|account)_id$')"
    for file in (settings.warehouse, Path(f"{settings.warehouse}.published")):
        with duckdb.connect(file, read_only=True) as connection:
            columns = connection.execute(f"select distinct column_name from duckdb_columns() where {looks_like_one}")
            assert {name for (name,) in columns.fetchall()} <= declared
    stored = {pair for domain in DOMAINS if domain.persons for pair in domain.persons.state}
    stored |= {("online.sqlite", "cases"), ("online.sqlite", "case_events")}
    for file in settings.online.glob("*.sqlite"):
        with sqlite3.connect(file) as connection:
            for (table,) in connection.execute("select name from sqlite_schema where type = 'table'").fetchall():
                names = {row[1] for row in connection.execute(f"pragma table_info({table})")}
                if names & {"user_id", "client_id", "customer_id", "person_id"}:
                    assert (file.name, table) in stored


def test_a_home_in_use_and_an_empty_id_are_refused(settings: Settings) -> None:
    with (settings.online / "service.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(HomeInUseError, match="the service"):
            _forget(settings, "user", "x")
    with pytest.raises(ForgetError, match="empty"):
        _forget(settings, "user", "  ")
    with pytest.raises(ForgetError, match="no business"):
        _forget(settings, "robot", "x")
