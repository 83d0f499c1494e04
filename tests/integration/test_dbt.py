"""The dbt project on a warehouse: its tests pass on good data, each kind fails on bad data, and all is described.

dbt takes seconds to start, so it runs three times in all: on a good copy of the built warehouse, on a copy with every
fault of `FAULTS` in it, and on a warehouse without a row.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from quintet.conversions.matching_run import run_matching
from quintet.conversions.spellings import resolve_new_spellings
from quintet.domains import DATASETS, RECORDED
from quintet.ingest.raw_tables import prepare
from quintet.insurance.forecast_tables import write_forecast
from quintet.insurance.stage import stage_new_batches
from quintet.lending.feature_registry import features
from quintet.lending.models import registry_of as lending_models
from quintet.lending.policy import read_policy as lending_policy
from quintet.lending.result_tables import write_model_results
from quintet.lending.tables import client_features, training_rows, write_client_features, write_training_set
from quintet.ml.model_registry import ModelRegistry
from quintet.payments.alert_tables import write_alerts, write_checkout_anomalies, write_evaluation
from quintet.promotions.model_results import train_model
from quintet.promotions.models import registry_of
from quintet.promotions.policy import read_policy
from quintet.promotions.result_tables import write_scores
from quintet.state.recorded import create_recorded
from quintet.warehouse.database import open_warehouse, published_file
from resources.warm_dbt import CALL_DBT, SERVER, prepared_folder, warehouse_variables
from tests.waiting import LONG_SECONDS


@dataclass(frozen=True)
class DbtRun:
    """The results of a dbt call: its output, its manifest, and a result for each test and model by name."""

    warehouse: Path
    exit_status: int
    printed: str
    manifest: dict[str, Any]
    results: dict[str, dict[str, Any]]

    def named(self, prefix: str) -> str:
        """Return the one name that begins with `prefix`: dbt appends a test's arguments to its name."""
        (name,) = [name for name in self.results if name.startswith(prefix)]
        return name

    def statuses(self, *statuses: str) -> set[str]:
        """Return the names of the tests and models with one of the statuses."""
        return {name for name, result in self.results.items() if result["status"] in statuses}


def opened(warehouse: Path) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """Return a connection to a warehouse of these tests."""
    return open_warehouse(warehouse, memory_limit="1GB", threads=2, lock_wait_seconds=0)


def copy_of_warehouse(home: Path, folder: Path) -> Path:
    """Copy both files of the warehouse in `home`; the name stays the same, because the parsed project has it."""
    source, to = home / "warehouse.duckdb", folder / "warehouse.duckdb"
    shutil.copy(published_file(source), published_file(to))
    return Path(shutil.copy(source, to))


def run_dbt(project: Path, warehouse: Path, warm: str, *arguments: str) -> DbtRun:
    """Run the dbt project in `project` on the warehouse; its output goes into a folder beside the warehouse.

    warm: the address of a dbt that has the project parsed; empty: a process that parses it.
    """
    output = warehouse.with_suffix("")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("QUINTET_", "DBT_"))}
    own = [str(Path(sys.executable).with_name("dbt"))]
    variables = warehouse_variables(project, warehouse, "1GB", 2)
    process = subprocess.run(
        [
            *([sys.executable, *CALL_DBT] if warm else own),
            *("--no-use-colors", *arguments),
            *("--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(output)),
        ],
        env=inherited | variables | {SERVER: warm, "DBT_LOG_PATH": str(output), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert (output / "run_results.json").exists(), process.stdout + process.stderr
    parsed = prepared_folder(project) if warm else output
    manifest = json.loads((parsed / "manifest.json").read_text("utf-8"))
    nodes = manifest["nodes"] | manifest["unit_tests"]
    results = json.loads((output / "run_results.json").read_text("utf-8"))["results"]
    return DbtRun(
        warehouse,
        process.returncode,
        process.stdout,
        manifest,
        {nodes[result["unique_id"]]["name"]: result for result in results},
    )


@pytest.fixture(scope="module")
def dbt_project(project: Path) -> Path:
    return project / "dbt_project"


@pytest.fixture(scope="module")
def good(built_home: Path, dbt_project: Path, warm_dbt: str, tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    """Run every test, including unit tests, on the built warehouse."""
    warehouse = copy_of_warehouse(built_home, tmp_path_factory.mktemp("good"))
    return run_dbt(dbt_project, warehouse, warm_dbt, "test")


# -- good data ---------------------------------------------------------------------------------------------------------


def test_every_data_test_passes_on_good_data(good: DbtRun) -> None:
    data_tests = {node["name"] for node in good.manifest["nodes"].values() if node["resource_type"] == "test"}
    assert data_tests
    assert data_tests - good.statuses("pass") == set()
    assert good.exit_status == 0, good.printed


def test_every_unit_test_passes(good: DbtRun) -> None:
    unit_tests = {unit_test["name"] for unit_test in good.manifest["unit_tests"].values()}
    assert unit_tests
    assert unit_tests - good.statuses("pass") == set()


# -- bad data ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """Bad data, and the test that finds it.

    what: the fault in words. sql: plants it. found_by: how the name of the test begins. shows: what the rows that the
    test gives say of it, where they say more than that there is a fault. also_found_by: tests that see the same fault
    from another side. status: what dbt makes of it.
    """

    what: str
    sql: str
    found_by: str
    shows: str = ""
    also_found_by: tuple[str, ...] = ()
    status: str = "fail"


def first_row(table: str, condition: str = "true") -> str:
    """Return a `where` that leaves one row of the table."""
    return f"where rowid = (select min(rowid) from {table} where {condition})"


# Each fault has its own rows: a fault that hid another would fail a test here.
FAULTS = [
    Fault(
        "every_row: null where it never is",
        f"update marts.dim_state set first_year = null {first_row('marts.dim_state')}",
        "every_row_dim_state",
        "first_year is null",
    ),
    Fault(
        "every_row: below its minimum",
        f"update marts.dim_year set months_covered = 0 {first_row('marts.dim_year')}",
        "every_row_dim_year",
        "months_covered is below 1",
    ),
    Fault(
        "every_row: none of its values",
        f"update marts.dim_product set prod_line = 'XL' {first_row('marts.dim_product')}",
        "every_row_dim_product",
        "prod_line is none of CL, PL",
    ),
    Fault(
        "every_row: null without a reason",
        f"update marts.fct_promo_users set dob = null {first_row('marts.fct_promo_users', 'dob is not null')}",
        "every_row_fct_promo_users",
        "dob is null without a reason",
    ),
    Fault(
        "every_row: a reason without a null",
        "update marts.fct_broker_rows set important_score_missing_reason = 'spreadsheet_error' "
        + first_row("marts.fct_broker_rows", "important_score is not null"),
        "every_row_fct_broker_rows",
        "important_score is null without a reason, or has a reason",
    ),
    Fault(
        "unique_combination: twice the same",
        "update staging.stg_page_categories set _source_row = 1 where _source_row = 2",
        "unique_combination_stg_page_categories",
        ", 1, 2)",
    ),
    Fault(
        "unique_combination: null in the combination",
        f"update staging.stg_promo_codes set _source_row = null {first_row('staging.stg_promo_codes')}",
        "unique_combination_stg_promo_codes",
        "None, 1)",
        also_found_by=("every_row_stg_promo_codes",),
    ),
    Fault(
        "keeps_every_key: lost before the mart",
        "; ".join(
            f"delete from {table} where hour = 7 and source_file = (select min(source_file) from {table})"
            for table in ("intermediate.int_checkout_sales_current", "marts.fct_checkout_hours")
        ),
        "keeps_every_key_fct_checkout_hours",
        also_found_by=("same_number_of_rows_fct_checkout_comparison",),
    ),
    Fault(
        "same_number_of_rows: lost on the way into the mart",
        f"delete from marts.fct_promo_usages {first_row('marts.fct_promo_usages')}",
        "same_number_of_rows_fct_promo_usages",
    ),
    Fault(
        "partners_do_not_repeat_one_another: a file copied under another name",
        f"update marts.dim_partner set repeats_partner = 'another' {first_row('marts.dim_partner')}",
        "partners_do_not_repeat_one_another",
        "another",
        status="warn",
    ),
    Fault(
        "same_number_of_rows: more in the mart than there are",
        f"delete from intermediate.int_broker_rows_current {first_row('intermediate.int_broker_rows_current')}",
        "same_number_of_rows_fct_broker_rows",
    ),
    Fault(
        "ratio_of_sums: a mean of ratios",
        "update marts.agg_premium_by_line_state_year as aggregate set loss_ratio = "
        "(select avg(incurred_losses / written_premium) from marts.fct_agency_performance as fact "
        "where fact.prod_line = aggregate.prod_line and fact.state_abbr = aggregate.state_abbr "
        "and fact.year = aggregate.year and written_premium > 0) "
        "where prod_line = 'CL' and state_abbr = 'OH' and year = 2010",
        "ratio_of_sums_agg_premium_by_line_state_year_prod_line__state_abbr__year__loss_ratio",
        "'CL', 'OH', 2010",
    ),
    Fault(
        "ratio_of_sums: a ratio to nothing",
        "update marts.agg_premium_by_agency_line_year set growth_rate = 0 "
        + first_row("marts.agg_premium_by_agency_line_year", "growth_rate is null"),
        "ratio_of_sums_agg_premium_by_agency_line_year_agency_id__prod_line__year__growth_rate",
        ", 0.0, ",
    ),
    Fault(
        "staged_as_loaded: a row lost between loader and staging",
        f"delete from staging.stg_transactions {first_row('staging.stg_transactions')}",
        "staged_as_loaded_stg_transactions",
    ),
    Fault(
        "staged_as_loaded: rows of a batch that was never loaded",
        "insert into staging.stg_agency_performance "
        "select * replace ('00000000deadbeef' as _batch_id) from staging.stg_agency_performance limit 1",
        "source_staged_as_loaded_frames_stg_agency_performance",
        "('00000000deadbeef', None, 1)",
    ),
    Fault(
        "agency_attributes_are_constant: an agency with two vendors",
        "update intermediate.int_agency_performance_current set vendor = 'another vendor' "
        + first_row("intermediate.int_agency_performance_current"),
        "agency_attributes_are_constant",
        ", 2)",
        status="warn",
    ),
    Fault(
        "payment_calendar_is_dense: a minute without a row",
        f"delete from marts.fct_payment_minutes {first_row('marts.fct_payment_minutes', 'count = 0')}",
        "payment_calendar_is_dense",
        also_found_by=("same_number_of_rows_fct_payment_minutes",),
    ),
    Fault(
        "payment_counts_are_equal_from_intermediate_to_mart: one more in the mart",
        f"update marts.fct_payment_minutes set count = count + 1 {first_row('marts.fct_payment_minutes', 'count > 0')}",
        "payment_counts_are_equal_from_intermediate_to_mart",
    ),
    Fault(
        "premium_is_equal_from_raw_to_mart: a cent too much",
        "update marts.fct_agency_performance set earned_premium = earned_premium + 0.01 "
        + first_row("marts.fct_agency_performance", "earned_premium is not null"),
        "premium_is_equal_from_raw_to_mart",
        "'earned_premium'",
    ),
    Fault(
        "premium_is_equal_from_raw_to_mart: an agency of the file that the mart lacks",
        "insert into raw.agency_performance "
        "select * replace ('424242' as agency_id, 1000000 as _source_row) from raw.agency_performance limit 1",
        "premium_is_equal_from_raw_to_mart",
        "'keys'",
    ),
    Fault(
        "relationships: an agency without its dimension",
        f"delete from marts.dim_agency {first_row('marts.dim_agency')}",
        "relationships_fct_agency_performance_agency_id",
        also_found_by=("relationships_dim_agency_segment_agency_id", "same_number_of_rows_dim_agency_segment"),
    ),
    Fault(
        "unique: two days of one date",
        "update marts.agg_payment_days set day = (select min(day) from marts.agg_payment_days)",
        "unique_agg_payment_days_day",
        ", 2)",
    ),
    Fault(
        "bands_in_order: a band that is turned round",
        "update ml.premium_forecast_backtest set lo80 = hi80 + 1 "
        + first_row("ml.premium_forecast_backtest", "lo80 is not null"),
        "bands_in_order_fct_premium_forecast_backtest",
        "('naive', ",
    ),
    Fault(
        "matched_or_explained: a conversion that is neither",
        "update marts.fct_unified_journeys set unmatched_reason = null "
        + first_row("marts.fct_unified_journeys", "not is_matched"),
        "matched_or_explained_fct_unified_journeys",
    ),
    Fault(
        "not_null: a country without a spelling",
        "insert into staging.stg_country_names values (null, 'SI', 'name', 1)",
        "source_not_null_frames_stg_country_names_spelling",
    ),
]

_UNIT_TEST = "a_short_year_has_its_months_in_its_label"


@pytest.fixture(scope="module")
def bad(built_home: Path, dbt_project: Path, tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    """Run every data test on a warehouse with all faults, and one unit test on a model with a mistake in it."""
    folder = tmp_path_factory.mktemp("bad")
    warehouse = copy_of_warehouse(built_home, folder)
    with opened(warehouse) as connection:
        for fault in FAULTS:
            connection.execute(fault.sql)
    mistaken = folder / "dbt_project"
    shutil.copytree(dbt_project, mistaken, ignore=shutil.ignore_patterns("target", "logs"))
    model = mistaken / "models" / "intermediate" / "insurance" / "int_years.sql"
    model.write_text(model.read_text("utf-8").replace("max_by(months, (rows, months))", "sum(months)"), "utf-8")
    return run_dbt(mistaken, warehouse, "", "test", "--select", "test_type:data", _UNIT_TEST)


@pytest.fixture(scope="module")
def faulty_warehouse(bad: DbtRun) -> Iterator[duckdb.DuckDBPyConnection]:
    with opened(bad.warehouse) as connection:
        yield connection


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_found_and_the_message_names_the_test_and_the_rows(
    fault: Fault, good: DbtRun, bad: DbtRun, faulty_warehouse: duckdb.DuckDBPyConnection
) -> None:
    test = bad.named(fault.found_by)
    assert good.results[test]["status"] == "pass"
    assert bad.results[test]["status"] == fault.status
    assert f"{'Warning' if fault.status == 'warn' else 'Failure'} in test {test} (" in bad.printed
    rows = faulty_warehouse.execute(bad.results[test]["compiled_code"]).fetchall()
    assert len(rows) == bad.results[test]["failures"]
    assert fault.shows in str(rows)


def test_no_test_fails_where_no_fault_is(bad: DbtRun) -> None:
    expected = {bad.named(test) for fault in FAULTS for test in (fault.found_by, *fault.also_found_by)}
    assert bad.statuses("fail", "warn", "error", "skipped") == expected | {_UNIT_TEST}
    assert bad.statuses("pass")
    assert bad.exit_status == 1


def test_every_kind_of_test_is_shown_failing(bad: DbtRun, dbt_project: Path) -> None:
    kind_of = {
        node["name"]: node["test_metadata"]["name"] if "test_metadata" in node else node["name"]
        for node in bad.manifest["nodes"].values()
        if node["resource_type"] == "test"
    }
    written = {path.stem for path in (dbt_project / "tests").rglob("*.sql")}
    assert {kind_of[bad.named(fault.found_by)] for fault in FAULTS} == written | set(kind_of.values())


def test_a_mistake_in_a_model_fails_its_unit_test(bad: DbtRun) -> None:
    assert bad.results[_UNIT_TEST]["status"] == "fail"
    assert _UNIT_TEST in bad.printed


# -- descriptions ------------------------------------------------------------------------------------------------------


def undescribed(manifest: Mapping[str, Any], columns_of: Mapping[str, set[str]]) -> list[str]:
    """Return the models and columns without a description in the manifest.

    columns_of: the columns that each model has in the warehouse, by `schema.model`. A column that is described and not
    in the warehouse is listed too, and so is a model that is not there.
    """
    faults = []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model":
            continue
        model = f"{node['schema']}.{node['name']}"
        described = {name for name, column in node["columns"].items() if column["description"].strip()}
        is_table = node["config"]["materialized"] != "ephemeral"
        built = columns_of.get(model, set())
        faults += [] if node["description"].strip() else [f"{model} has no description"]
        faults += [] if built or not is_table else [f"{model} is not in the warehouse"]
        faults += [f"{model}.{name} has no description" for name in sorted((built | set(node["columns"])) - described)]
        faults += [f"{model}.{name} is not in the warehouse" for name in sorted(set(node["columns"]) - built) if built]
    return faults


def test_every_model_and_every_column_in_the_warehouse_is_described(good: DbtRun) -> None:
    columns_of: dict[str, set[str]] = {}
    with opened(good.warehouse) as connection:
        for table, column in connection.execute(
            "select table_schema || '.' || table_name, column_name from information_schema.columns"
        ).fetchall():
            columns_of.setdefault(table, set()).add(column)
    assert any(table.startswith("marts.") for table in columns_of)
    assert undescribed(good.manifest, columns_of) == []


def test_what_is_not_described_is_listed() -> None:
    def model(name: str, description: str, **columns: str) -> dict[str, Any]:
        described = {column: {"description": text} for column, text in columns.items()}
        return {
            "resource_type": "model",
            "schema": "marts",
            "name": name,
            "description": description,
            "columns": described,
            "config": {"materialized": "table"},
        }

    nodes = [
        model("dim_good", "Described.", year="The year."),
        model("dim_silent", " ", year="The year.", label=""),
        model("dim_stale", "Described.", year="The year.", gone="Was here once."),
        model("dim_unbuilt", "Described.", year="The year."),
        {"resource_type": "test", "name": "not_null_dim_good_year"},
    ]
    columns_of = {
        "marts.dim_good": {"year"},
        "marts.dim_silent": {"year", "label"},
        "marts.dim_stale": {"year", "new"},
    }
    assert undescribed({"nodes": {node["name"]: node for node in nodes}}, columns_of) == [
        "marts.dim_silent has no description",
        "marts.dim_silent.label has no description",
        "marts.dim_stale.new has no description",
        "marts.dim_stale.gone is not in the warehouse",
        "marts.dim_unbuilt is not in the warehouse",
    ]


# -- no data -----------------------------------------------------------------------------------------------------------


def test_models_build_on_empty_tables_and_their_tests_pass(dbt_project: Path, warm_dbt: str, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    results = ("--exclude-resource-type", "unit_test")
    with opened(warehouse) as connection:
        prepare(connection, DATASETS.values())
        create_recorded(connection, RECORDED)
        stage_new_batches(connection, from_scratch=False)
        resolve_new_spellings(connection, from_scratch=False)
    first = run_dbt(dbt_project, warehouse, warm_dbt, "build", *results, "--exclude", "tag:results")
    with opened(warehouse) as connection:
        write_forecast(connection)
        train_model(connection, registry_of(tmp_path), read_policy(), dt.datetime(2026, 1, 1))
        write_scores(connection, registry_of(tmp_path), read_policy())
        run_matching(connection, ModelRegistry(tmp_path / "models"), dt.datetime(2024, 1, 1), "code")
        write_alerts(connection)
        write_checkout_anomalies(connection)
        write_evaluation(connection, tmp_path / "evaluations")
        known = features()
        no_client = client_features(tmp_path / "lending", known, dt.date(2024, 1, 1))
        write_client_features(connection, no_client, known)
        write_training_set(connection, training_rows(tmp_path / "lending", known), known)
        write_model_results(connection, lending_models(tmp_path), lending_policy(), dt.datetime(2026, 1, 1))
    second = run_dbt(dbt_project, warehouse, warm_dbt, "build", *results, "--select", "tag:results")
    for run in (first, second):
        assert run.exit_status == 0, run.printed
        assert set(run.results) == run.statuses("success", "pass")
    marts = [
        node["name"]
        for node in first.manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == "marts"
    ]
    with opened(warehouse) as connection:
        rows = {name: connection.execute(f"select count(*) from marts.{name}").fetchone() for name in marts}
    assert marts
    # without a year there is nothing to score, and each model says so
    scores = rows.pop("fct_premium_forecast_scores")
    assert scores is not None
    assert scores[0] > 0
    # the detector is compared on generated days
    for evaluation in ("fct_alert_evaluation", "fct_alert_evaluation_incidents"):
        assert rows.pop(evaluation) != (0,)
    assert rows == dict.fromkeys(rows, (0,))
