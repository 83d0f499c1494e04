"""The lending commands of the pages of docs/, in the order of these pages, on an empty home."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from quintet.embedded.postgres import running_url
from quintet.lending.headline import headline
from quintet.warehouse.snapshot import open_snapshot
from tests.command import Command
from tests.conftest import Quintet
from tests.folders import open_folder
from tests.postgres import values_by_sql

_PROJECT = Path(__file__).parents[2]
_SECTIONS = {
    _PROJECT / "docs" / "lending.md": "## The loan book and the change stream",
    _PROJECT / "docs" / "loan-book.md": "# Load a loan book from a PostgreSQL dump",
}
_COMMANDS = {"make run SELECT=lending": ["run", "--select", "lending"], "make stream": ["stream"]}
"""The commands behind the make targets."""


def _commands(page: Path, title: str) -> list[str]:
    """Return the lines of the first block of commands below a heading."""
    section = page.read_text("utf-8").split(f"{title}\n", 1)[1]
    block = re.search(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1].strip().splitlines()


@pytest.fixture
def quintet(
    built: Quintet,  # results that depend on the code alone are copied from there
) -> Iterator[Quintet]:
    with open_folder() as folder:
        yield Quintet(built.raw, folder / "home")


def _run_until_it_streams(quintet: Quintet, arguments: list[str]) -> None:
    """Start a long-running command, commit an application meanwhile, and stop the command."""
    process = Command(arguments, quintet.environment | {"QUINTET_STREAM_PORT": "0"})
    try:
        for line in process.stdout:
            if "receiving" in line:
                break
        url = running_url(quintet.home / "postgres")
        assert url is not None
        with psycopg.connect(url) as connection:
            connection.execute(
                "insert into loan (id, client_id, amount, created_on, status, updated_on) "
                "select max(id) + 1, 1, 100, current_date, 'application', current_date from loan"
            )
    finally:
        process.send_signal(signal.SIGINT)
        printed = process.finish()
        assert process.returncode == 0, printed


def _open_applications(snapshot: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = snapshot.execute("select count(*) from marts.fct_application_decisions").fetchall()
    return int(count)


def test_the_commands_of_the_pages_work_in_their_order(quintet: Quintet) -> None:
    commands = [line for page, title in _SECTIONS.items() for line in _commands(page, title)]
    assert commands == ["make run SELECT=lending", "make stream", "make run SELECT=lending"]
    applications = []
    for command in commands:
        if command == "make stream":
            _run_until_it_streams(quintet, _COMMANDS[command])
            continue
        quintet.run(*_COMMANDS[command][1:])
        with open_snapshot(quintet.snapshot) as snapshot:
            assert "open applications" in headline(snapshot)
            assert "no scoring model" not in headline(snapshot)
            applications.append(_open_applications(snapshot))
    assert applications[1] == applications[0] + 1  # the application committed while the stream ran


def test_a_dump_or_a_database_that_cannot_be_used_keeps_no_other_business_from_being_published(
    quintet: Quintet, database_url: str
) -> None:
    quintet.raw = quintet.home.parent / "raw"
    quintet.environment["QUINTET_RAW"] = str(quintet.raw)
    for name in ("transactions", "checkout_sales"):
        shutil.copytree(_PROJECT / "data" / "raw" / name, quintet.raw / name)
    dump = next((_PROJECT / "data" / "raw" / "loan_book").glob("*.sql")).read_text("utf-8")
    (quintet.raw / "loan_book").mkdir()
    (quintet.raw / "loan_book" / "crm.sql").write_text(dump.replace("interest", "gain"), "utf-8")
    printed = " ".join(quintet.run().split())
    assert "loan_book: file not read: crm.sql: table payment lacks the column interest" in printed
    assert "payments: 2024-01-01" in printed

    first = quintet.snapshot
    place = database_url.rsplit("@", 1)[1]
    quintet.environment["QUINTET_POSTGRES_URL"] = f"postgresql://quintet:wr0ngpassw0rd@{place}"
    printed = " ".join(quintet.run(status=1).split())
    assert "password authentication failed" in printed
    assert "wr0ngpassw0rd" not in printed
    assert "payments: 2024-01-01" in printed
    assert quintet.snapshot != first


def test_the_features_of_the_samples_are_those_of_the_briefs_sql(built: Quintet, database_url: str) -> None:
    dump = next((built.raw / "loan_book").glob("*.sql")).read_text("utf-8")
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for statement in dump.split("copy ")[0].removeprefix("begin;\n").split(";\n"):
            if statement.strip():
                cursor.execute(statement.encode())
        for part in dump.split("copy ")[1:]:
            head, _, rest = part.partition(" from stdin;\n")
            with cursor.copy(f"copy {head} from stdin".encode()) as copy:
                copy.write(rest.partition("\\.\n")[0])
        cursor.execute("create index on loan (client_id)")  # for the 3,000 clients of the brief's SQL
        cursor.execute("create index on payment (loan_id)")
    with open_snapshot(built.snapshot) as snapshot:
        rows = snapshot.execute(
            "select client_id, as_of, paid_loans_count, days_since_last_late_payment, profit_in_last_90_days_rate "
            "from marts.fct_client_features"
        ).fetchall()
    assert len(rows) == 3_000
    expected = values_by_sql(database_url, [(row[0], row[1]) for row in rows])
    names = ("paid_loans_count", "days_since_last_late_payment", "profit_in_last_90_days_rate")
    for client, as_of, *values in rows:
        wanted = [expected[client, as_of][name] for name in names]
        assert values == pytest.approx([None if value is None else float(value) for value in wanted])
    assert {as_of.isoformat() for _, as_of, *_ in rows} == {"2020-08-23"}
