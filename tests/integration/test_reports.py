"""Every PDF of a run: its numbers are those of its queries, its pages are filled, its first page is plain."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import duckdb
import pytest
from obstore.store import LocalStore

from quintet.conversions.analysis_tables import read_analysis
from quintet.conversions.insights_report import insights_report
from quintet.conversions.pipeline_report import pipeline_report
from quintet.conversions.pipeline_worlds import pipeline_figures
from quintet.domains import DOMAINS
from quintet.lending.feature_files import APPLICATIONS, CURRENT, read_catalogue
from quintet.payments.checkout_report import checkout_report
from quintet.presentation.blocks import Evidence, Finding, Report
from quintet.presentation.report import pdf
from quintet.warehouse.snapshot import current_snapshot, open_snapshot
from tests.evidence import checked
from tests.filled import filled

_MODEL = Path(__file__).parents[2] / "dbt_project" / "models" / "marts" / "payments" / "fct_checkout_comparison.sql"
_STATISTICS = r"\b(p[ -]?values?|q[ -]?values?|AUC|Gini|F1|quantile|percentile|significan\w+|null hypothesis|n = )"
_DECLARED = {file.name: file.function for domain in DOMAINS for file in domain.reports if file.function}
_OTHERS = ("conversions_insights", "conversions_pipeline", "checkout_analysis")


@pytest.fixture(scope="module")
def reports(built_home: Path) -> Iterator[dict[str, tuple[duckdb.DuckDBPyConnection, Report]]]:
    """Each report of the run over the samples, with the snapshot behind it."""
    with open_snapshot(current_snapshot(built_home / "serving")) as snapshot:
        yield {name: (snapshot, report) for name, report in _reports_of(snapshot, built_home).items()}


def _reports_of(snapshot: duckdb.DuckDBPyConnection, home: Path) -> dict[str, Report]:
    """Return every report of a snapshot. home: of the run, for the worlds that the pipeline is measured on."""
    analysis = read_analysis(snapshot)
    made = {
        "conversions_insights": insights_report(snapshot, analysis),
        "conversions_pipeline": pipeline_report(snapshot, analysis, *pipeline_figures(home / "models" / "evaluations")),
        "checkout_analysis": checkout_report(snapshot, _MODEL.read_text("utf-8")),
    }
    for name, function in _DECLARED.items():
        module, called = function.rsplit(".", 1)
        made[name] = getattr(import_module(module), called)(snapshot)
    return made


@pytest.mark.parametrize("name", [*_DECLARED, *_OTHERS])
def test_a_run_writes_each_report(built_home, name):
    assert (built_home / "reports" / f"{name}.pdf").read_bytes().startswith(b"%PDF-")


def test_a_run_writes_the_features_of_the_day_and_of_each_application(built_home):
    folder = built_home / "objects" / "buckets" / "quintet"
    day = read_catalogue(LocalStore(folder))["current"]
    for key in (CURRENT, APPLICATIONS, f"features/as_of={day}/lending.parquet"):
        assert (folder / key).is_file()


@pytest.mark.parametrize("name", [*_DECLARED, *_OTHERS])
def test_the_numbers_of_the_findings_are_those_of_their_queries(reports, name):
    assert checked(*reports[name]) >= 1


def test_a_number_that_is_not_that_of_its_query_is_found(reports):
    snapshot, report = reports["insurance_review"]
    wrong = Finding("", "", "", "", "", (Evidence("one", 2, "select 1"),))
    with pytest.raises(AssertionError, match="one"):
        checked(snapshot, replace(report, findings=(wrong,)))


@pytest.mark.parametrize("name", [*_DECLARED, *_OTHERS])
def test_no_page_but_the_last_is_less_than_60_percent_filled(reports, name):
    shares = filled(reports[name][1])
    assert len(shares) > 1
    assert not _is_empty(shares)


_LONG = "_".join(["unbroken"] * 9)
_NAMES = "('broker_source_file', 'promo_code', 'partner', 'ui_element', 'page_category', 'source_file')"


def test_pages_are_filled_with_one_agency_a_morning_a_few_accounts_and_long_names(
    built_home: Path, tmp_path: Path
) -> None:
    source, target = current_snapshot(built_home / "serving"), tmp_path / "thin.duckdb"
    shutil.copy(source, target)
    with duckdb.connect(target) as snapshot:
        _thin_out(snapshot)
        found = {name: (report.title, filled(report)) for name, report in _reports_of(snapshot, built_home).items()}

    assert found["payments_days"][0] == "265,533 payments in 1 day: no incident"
    assert {name: min(shares[:-1], default=1.0) for name, (_, shares) in found.items() if _is_empty(shares)} == {}


def test_a_page_that_is_half_empty_is_found() -> None:
    assert _is_empty([0.9, 0.59, 0.2])
    assert not _is_empty([0.9, 0.6, 0.2])
    assert not _is_empty([0.1])


def _is_empty(shares: Sequence[float]) -> bool:
    """Return whether a page before the last is filled too little."""
    return any(share < 0.6 for share in shares[:-1])


def _thin_out(snapshot: duckdb.DuckDBPyConnection) -> None:
    """Leave one agency, twenty accounts, five clients and a morning of payments, and lengthen the names."""
    kept = {
        "agency_id": "(select agency_id from marts.fct_agency_performance order by 1 limit 1)",
        "user_id": "(select user_id from marts.fct_abuse_scores order by score desc, 1 limit 20)",
        "client_id": "(select client_id from marts.fct_client_features order by 1 limit 5)",
    }
    values = {
        column: [value for (value,) in snapshot.execute(f"from {query}").fetchall()] for column, query in kept.items()
    }
    for schema, table, column in snapshot.execute(
        "select schema_name, table_name, column_name from duckdb_columns() join duckdb_tables() "
        "using (schema_name, table_name) where schema_name in ('marts', 'ml')"
    ).fetchall():
        name = f"{schema}.{table}"
        if column in values:
            snapshot.execute(f"delete from {name} where {column} not in (select unnest(?))", [values[column]])
        elif "payment" in table and column in ("minute_at", "started_at", "day"):
            snapshot.execute(f"delete from {name} where {column} >= timestamp '2024-01-01 09:00'")
    for schema, table, column in snapshot.execute(
        "select schema_name, table_name, column_name from duckdb_columns() join duckdb_tables() "
        f"using (schema_name, table_name) where schema_name in ('marts', 'ml') and column_name in {_NAMES}"
    ).fetchall():
        snapshot.execute(f"update {schema}.{table} set {column} = {column} || '_{_LONG}'")


@pytest.mark.parametrize("name", [*_DECLARED, *_OTHERS])
def test_the_first_page_has_findings_that_say_what_to_do_without_statistics(reports, name):
    _, report = reports[name]
    assert 1 <= len(report.findings) <= 5
    for each in report.findings:
        assert all((each.size, each.text, each.action, each.value, each.certainty))
        words = " ".join((each.size, each.text, each.action, each.value, each.certainty))
        assert not re.search(_STATISTICS, words)
        for sentence in re.split(r"(?<=[.;:?])\s", each.text):
            assert len(_numbers(sentence)) <= 2, sentence


def test_a_sentence_with_three_numbers_and_a_term_of_statistics_are_found():
    assert len(_numbers("3.5% of 2,000 are matched, 7 are not")) == 3
    assert _numbers("from 9 to 12 May 2024 at 14:30 in 90 of 100 cases") == ["90", "100"]
    assert re.search(_STATISTICS, "the p-value is small")


def _numbers(sentence: str) -> list[str]:
    """Return the numbers of a sentence that are no part of a date, a clock time, or a name in quotes."""
    without = re.sub(r"“[^”]*”", "", sentence)
    without = re.sub(r"\b\d{1,2}:\d{2}\b|\b(\d{1,2} (to \d{1,2} )?)?[A-Z][a-z]+ \d{4}\b|\b(19|20)\d{2}\b", "", without)
    without = re.sub(r"\b\d{1,2} (to \d{1,2} )?[A-Z][a-z]+\b|\bday \d+\b|per 1,000", "", without)
    return re.findall(r"\d[\d,.]*\d|\d", without)


@pytest.mark.parametrize("name", _DECLARED)
def test_the_same_snapshot_gives_the_same_bytes(reports, name):
    snapshot, report = reports[name]
    module, called = _DECLARED[name].rsplit(".", 1)
    assert pdf(getattr(import_module(module), called)(snapshot)) == pdf(report)


@pytest.mark.parametrize("name", _DECLARED)
def test_without_data_a_report_says_so_on_its_only_page(built_home, tmp_path, name):
    module, called = _DECLARED[name].rsplit(".", 1)
    with duckdb.connect(str(_emptied(built_home, tmp_path))) as empty:
        report = getattr(import_module(module), called)(empty)
    assert report.findings == ()
    assert "yet" in report.title
    assert len(filled(report)) == 1


def _emptied(home: Path, folder: Path) -> Path:
    """Return a copy of the snapshot in which every table but that of its id is without rows."""
    source, target = current_snapshot(home / "serving"), folder / "empty.duckdb"
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"attach '{source}' as full_one (read_only)")
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_catalog = 'full_one'"
        ).fetchall()
        for schema, table in tables:
            connection.execute(f'create schema if not exists "{schema}"')
            rows = "" if (schema, table) == ("marts", "snapshot") else " where false"
            connection.execute(f'create table "{schema}"."{table}" as from full_one."{schema}"."{table}"{rows}')
    return target
