"""The small inputs beside the project that once failed: each is built as its README expects.

Cases of different businesses share a home, because a run takes longer than its data. What only loading decides is
loaded without a run.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from quintet.domains import DATASETS
from quintet.ingest.inbox import list_inbox
from quintet.ingest.load import load_files
from quintet.ingest.raw_tables import prepare
from quintet.insurance.normalise import normalise
from quintet.insurance.performance import Filters
from quintet.insurance.premium_report import write_csv
from tests.conftest import Quintet

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def cases(project: Path) -> Path:
    """Return the folder of the cases, which is beside the project and not part of it."""
    folder = Path(os.environ.get("CASES", project.parent / "shared" / "cases"))
    if not folder.is_dir():
        pytest.skip(f"the cases are not at {folder}; set CASES to run these tests")
    return folder


def test_every_case_has_a_test(cases: Path):
    known = {*BUILT, *LOADED}
    assert {folder.name for folder in cases.iterdir() if (folder / "raw").is_dir()} == known


# Built and published


@dataclass(frozen=True)
class Built:
    """What a run printed, its status, and its snapshot."""

    printed: str
    status: int
    snapshot: Path

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.snapshot), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def rejected(self, dataset: str) -> int:
        ((rejected,),) = self.query(f"select sum(rejected) from marts.ops_batches where dataset = '{dataset}'")
        return int(rejected)


HOMES = (
    ("insurance_five_decimals", "promotions_ring_of_30", "conversions_broker_iso_timestamp", "xlsx_time_cells"),
    ("insurance_count_over_99998", "promotions_ring_of_31", "conversions_click_before_1970"),
    ("insurance_year_typo", "promotions_code_blanks_and_case", "conversions_no_ip_country"),
    ("insurance_first_january_row", "parquet_float_ids", "conversions_partner_from_file_name"),
)
"""Cases of different businesses, which are built together."""


@pytest.fixture(scope="module")
def built_cases(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Built]]:
    """Yield a function that returns the build with a case in it; each home is built once."""
    done: dict[tuple[str, ...], Built] = {}
    folders: list[Path] = []

    def build(case: str) -> Built:
        (together,) = [home for home in HOMES if case in home]
        if together not in done:
            folder = tmp_path_factory.mktemp("cases")
            folders.append(folder)
            for name in together:
                shutil.copytree(cases / name / "raw", folder / "raw", dirs_exist_ok=True, copy_function=shutil.copyfile)
            quintet = Quintet(folder / "raw", folder / "home")
            process = quintet.start()
            printed = process.finish()
            done[together] = Built(printed, process.returncode or 0, folder / "home" / "serving" / "current.duckdb")
        return done[together]

    yield build
    for folder in folders:
        shutil.rmtree(folder)


def five_decimals(built: Built) -> None:
    ((premium,),) = built.query("select sum(earned_premium) from marts.fct_agency_performance")
    assert float(premium) == pytest.approx(2000.00, abs=0.0051)


def count_over_99998(built: Built) -> None:
    ((rows,),) = built.query("select count(*) from marts.fct_agency_performance")
    assert rows + built.rejected("agency_performance") == 2
    assert rows >= 1


def year_typo(built: Built) -> None:
    ((agencies,),) = built.query("select count(distinct agency_id) from marts.fct_premium_forecast where year = 2015")
    assert agencies == 3 or "2041" in built.printed


def first_january_row(built: Built) -> None:
    with duckdb.connect(str(built.snapshot), read_only=True) as connection:
        report = b"".join(write_csv(connection.cursor(), Filters())).decode("utf-8-sig")
    policies = {row["agency_id"]: row["policies_at_end"] for row in csv.DictReader(io.StringIO(report))}
    assert (policies["2"], policies["3"]) == ("10", "10")


def ring(size: int) -> Callable[[Built], None]:
    def expect(built: Built) -> None:
        assert built.query("select count(*) from marts.fct_abuse_scores where decision = 'block'") == [(size,)]

    return expect


def code_blanks_and_case(built: Built) -> None:
    ((unknown,),) = built.query("select count(*) from marts.fct_promo_usages where not is_code_known")
    assert unknown == 0 or "unknown code" in built.printed


def float_ids(built: Built) -> None:
    assert built.query("select count(*), bool_and(is_user_known) from marts.fct_promo_usages") == [(60, True)]


def iso_timestamp(built: Built) -> None:
    assert built.query("select count(*), min(broker_at) from marts.fct_broker_rows") == [
        (40, dt.datetime(2024, 3, 2, 14, 14, 30))
    ]
    assert built.rejected("broker_rows") == 0


def click_before_1970(built: Built) -> None:
    matches = "select count(*) from marts.fct_conversion_matches where conversion_id = 1 and tier = 'matched'"
    assert built.query(matches) == [(0,)]
    ((conversions,),) = built.query("select count(*) from marts.fct_conversions")
    assert conversions + built.rejected("conversions") == 21


def no_ip_country(built: Built) -> None:
    ((matched,),) = built.query("select count(*) from marts.fct_conversion_matches where tier = 'matched'")
    assert matched <= 3


def partner_from_file_name(built: Built) -> None:
    assert built.query("select count(*), count(distinct partner) from marts.fct_broker_rows") == [(41, 1)]


def time_cells(built: Built) -> None:
    ((first, second, rejected),) = built.query(
        "select min(minute_at), min(minute_at) filter (minute(minute_at) = 1), 0 from marts.fct_payment_minutes"
    )
    assert (second - first, rejected) == (dt.timedelta(minutes=1), built.rejected("transactions"))


BUILT: dict[str, Callable[[Built], None]] = {
    "insurance_five_decimals": five_decimals,
    "insurance_count_over_99998": count_over_99998,
    "insurance_year_typo": year_typo,
    "insurance_first_january_row": first_january_row,
    "promotions_ring_of_30": ring(30),
    "promotions_ring_of_31": ring(31),
    "promotions_code_blanks_and_case": code_blanks_and_case,
    "parquet_float_ids": float_ids,
    "conversions_broker_iso_timestamp": iso_timestamp,
    "conversions_click_before_1970": click_before_1970,
    "conversions_no_ip_country": no_ip_country,
    "conversions_partner_from_file_name": partner_from_file_name,
    "xlsx_time_cells": time_cells,
}


@pytest.mark.parametrize("case", BUILT)
def test_a_case_is_built_as_expected(built_cases: Callable[[str], Built], case: str):
    built = built_cases(case)

    assert built.status == 0, built.printed
    BUILT[case](built)


# Loaded


@dataclass(frozen=True)
class Loaded:
    """A warehouse with the files of a case."""

    connection: duckdb.DuckDBPyConnection

    def query(self, sql: str) -> list[tuple]:
        return self.connection.execute(sql).fetchall()

    def reasons(self) -> list[str]:
        return [reason for (reason,) in self.query("select reason from ops.rejected_rows order by dataset, source_row")]


def excel_ids(loaded: Loaded) -> None:
    assert loaded.query("select count(*) from raw.conversions") == [(0,)]
    assert len(loaded.reasons()) == 60
    assert all("shortened by a spreadsheet" in reason for reason in loaded.reasons())


def german_numbers(loaded: Loaded) -> None:
    assert loaded.query("select count(*) from raw.promo_codes where min_purchase_amount = '1.250'") == [(0,)]
    assert "decimals with a comma" in loaded.reasons()[0]


def not_available(loaded: Loaded) -> None:
    frame = normalise(loaded.connection.execute("select * from raw.agency_performance order by _source_row").df())
    assert loaded.reasons() == []
    assert frame["written_premium"].tolist() == [1000.0, 1000.0]
    assert frame["reported_retention_ratio"].isna().tolist() == [True, False]


def sep_line(loaded: Loaded) -> None:
    assert loaded.query("select promo_code, discount_value from raw.promo_codes") == [("A", "10")]


def formula_without_value(loaded: Loaded) -> None:
    assert loaded.query("select count(*) from raw.broker_rows where important_score is null") == [(0,)]
    assert len(loaded.reasons()) == 4
    assert all("recalculate it and save it again" in reason for reason in loaded.reasons())


def percent(loaded: Loaded) -> None:
    assert loaded.query("select count(*) from raw.promo_codes where promo_code = 'A' and discount_value != '10'") == [
        (0,)
    ]
    assert [("not '10%'" in reason) for reason in loaded.reasons()] == [True, True]


LOADED: dict[str, Callable[[Loaded], None]] = {
    "conversions_excel_ids": excel_ids,
    "german_numbers": german_numbers,
    "not_available_in_optional_ratio": not_available,
    "sep_line": sep_line,
    "xlsx_formula_without_value": formula_without_value,
    "xlsx_percent": percent,
}


@pytest.mark.parametrize("case", LOADED)
def test_a_case_is_loaded_as_expected(cases: Path, case: str):
    with duckdb.connect() as connection:
        connection.execute("set global TimeZone = 'UTC'")
        connection.execute("attach ':memory:' as published; create schema published.ml")
        prepare(connection, DATASETS.values())
        for dataset in DATASETS.values():
            files = list_inbox(cases / case / "raw", dataset.name)
            load_files(connection, dataset, files, dt.datetime(2024, 6, 1), lambda _: None)
        LOADED[case](Loaded(connection))
