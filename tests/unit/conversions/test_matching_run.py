"""When a run trains a model, which days it matches again, and what it writes to the warehouse."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.conversions import matching_run
from quintet.conversions.matching_run import REPORT_TABLES, MatchingOutcome, run_matching
from quintet.ml.life_cycle import last_verdict
from quintet.ml.model_registry import ModelRegistry, Verdict
from tests.integration.matching_worlds import make_world

NOW = dt.datetime(2024, 5, 1, 4)
DAYS = 10


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("""
        create schema intermediate; create schema ml; create schema ops;
        create table ops.pair_verdicts (
            verdict_id bigint, conversion_id bigint, broker_row_id varchar, is_link boolean
        );
        create table intermediate.int_conversions (conversion_id bigint, country_iso2 varchar, created_at timestamp);
        create table intermediate.int_broker_rows (
            broker_row_id varchar, partner varchar, broker_at timestamp, residency_iso2 varchar, ip_iso2 varchar
        );
    """)
    return connection


def add(connection: duckdb.DuckDBPyConnection, conversions: pd.DataFrame, rows: pd.DataFrame) -> None:
    connection.register("conversions", conversions)
    connection.register("rows", rows.assign(residency_iso2=rows["residency_iso2"].astype("str")))
    connection.execute("insert into intermediate.int_conversions by name from conversions")
    connection.execute(
        "insert into intermediate.int_broker_rows by name select * replace (null::varchar as residency_iso2) from rows"
    )


def run(
    connection: duckdb.DuckDBPyConnection, registry: ModelRegistry, code: str = "code", *, retrain: bool = False
) -> MatchingOutcome:
    return run_matching(connection, registry, NOW, code, retrain=retrain, log=lambda _: None)


def matches(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return connection.execute("select * exclude (block) from matching.matches order by conversion_id").df()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world of the tests' size is enough for a model to stay."""
    monkeypatch.setattr(matching_run, "SETTLED_LINKS", 100)


@pytest.mark.usefixtures("settled")
def test_the_first_run_trains_and_the_next_one_has_nothing_to_match(connection, registry):
    add(connection, *make_world(2_000, DAYS, 1))
    first, second = run(connection, registry), run(connection, registry)

    assert first.training_reason == "there is none yet"
    assert first.run.blocks_rematched == first.run.blocks >= DAYS
    assert (second.training_reason, second.run.blocks_rematched) == (None, 0)
    assert second.model.version == first.model.version


@pytest.mark.usefixtures("settled")
def test_a_late_batch_under_a_settled_model_touches_only_its_days(connection, registry):
    conversions, rows = make_world(2_000, DAYS, 1)
    late = (rows["broker_at"] > rows["broker_at"].min() + pd.Timedelta(hours=80)) & (
        rows["broker_at"] < rows["broker_at"].min() + pd.Timedelta(hours=82)
    )
    add(connection, conversions, rows[~late])
    run(connection, registry)
    add(connection, conversions[:0], rows[late])
    outcome = run(connection, registry)

    assert outcome.training_reason is None
    assert 0 < outcome.run.blocks_rematched <= 3
    found = matches(connection)
    connection.execute("drop schema matching cascade")
    run(connection, registry)
    pd.testing.assert_frame_equal(matches(connection), found)


def test_while_few_links_were_seen_the_order_of_batches_does_not_matter(connection, registry, tmp_path):
    conversions, rows = make_world(2_000, DAYS, 1)
    for part in (slice(0, 500), slice(500, None)):
        add(connection, conversions[part], rows[part])
        outcome = run(connection, registry)
    assert "more rows, and fewer than 10,000 links" in str(outcome.training_reason)
    at_once = duckdb.connect(config={"threads": 1})
    at_once.execute("create schema intermediate; create schema ml; create schema ops")
    at_once.execute(
        "create table ops.pair_verdicts (verdict_id bigint, conversion_id bigint, broker_row_id varchar, is_link bool)"
    )
    for table in ("int_conversions", "int_broker_rows"):
        frame = connection.execute(f"from intermediate.{table}").df()
        at_once.register("frame", frame)
        at_once.execute(f"create table intermediate.{table} as from frame order by hash(frame)")

    assert run(at_once, ModelRegistry(tmp_path / "other")).model.version == outcome.model.version
    pd.testing.assert_frame_equal(matches(at_once), matches(connection))


@pytest.mark.usefixtures("settled")
def test_a_requested_model_is_a_new_version_beside_the_previous_one(connection, registry):
    conversions, rows = make_world(2_000, DAYS, 1)
    add(connection, conversions[:1000], rows[:900])
    first = run(connection, registry)
    add(connection, conversions[1000:], rows[900:])
    second = run(connection, registry, retrain=True)

    assert second.training_reason == "asked for"
    assert [each.version for each in registry.versions()] == [first.model.version, second.model.version]
    [(version, before)] = connection.execute("select version, version_before from ml.matching_model").fetchall()
    assert (version, before) == (second.model.version, first.model.version)
    assert connection.execute("select count(*) from ml.matching_changes").fetchall() != [(0,)]


@pytest.mark.usefixtures("settled")
def test_a_refused_model_leaves_the_active_one_and_its_matches(connection, registry, monkeypatch):
    conversions, rows = make_world(2_000, DAYS, 1)
    add(connection, conversions[:1000], rows[:900])
    first = run(connection, registry)
    entry, found = registry.active(), matches(connection)
    monkeypatch.setattr(matching_run, "gate", lambda *_: Verdict(False, "as bad as chance"))
    second = run(connection, registry, retrain=True)

    assert (second.model.version, second.training_reason) == (first.model.version, None)
    assert registry.active() == entry
    assert last_verdict(registry) in (Verdict(False, "as bad as chance"), entry.verdict)
    pd.testing.assert_frame_equal(matches(connection), found)
    add(connection, conversions[1000:], rows[900:])
    third = run(connection, registry, retrain=True)
    assert third.model.version == first.model.version
    assert last_verdict(registry) == Verdict(False, "as bad as chance")


@pytest.mark.usefixtures("settled")
def test_a_new_partner_makes_a_new_version(connection, registry):
    add(connection, *make_world(2_000, DAYS, 1))
    run(connection, registry)
    add(connection, *make_world(1_000, DAYS, 2, partner="two"))

    assert run(connection, registry).training_reason == "new partners: two"


@pytest.mark.usefixtures("settled")
def test_results_of_another_code_version_are_rebuilt(connection, registry):
    add(connection, *make_world(1_000, DAYS, 1))
    blocks = run(connection, registry).run.blocks

    assert run(connection, registry, "other code").run.blocks_rematched == blocks


@pytest.mark.parametrize("missing", ["int_conversions", "int_broker_rows", "both"])
def test_without_one_side_no_model_is_registered_and_all_tables_exist(connection, registry, missing):
    add(connection, *make_world(500, DAYS, 1))
    for table in ("int_conversions", "int_broker_rows"):
        if missing in (table, "both"):
            connection.execute(f"delete from intermediate.{table}")
    run(connection, registry)

    assert registry.current() is None
    assert connection.execute("select count(*) from matching.matches").fetchall() == [(0,)]
    for table in REPORT_TABLES:
        connection.execute(f"from {table}").fetchall()
