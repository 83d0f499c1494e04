"""A row that passes its contract never fails later: one run over the samples and over every extreme that passes.

The extremes come from the contracts themselves. A contract that becomes wider lets more of them through, and this run
fails if a cast, a check or a test behind it does not accept them.
"""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from quintet.domains import DATASETS
from quintet.ingest.contract import Dataset, fold_header
from quintet.ingest.inbox import list_inbox
from quintet.ingest.raw_tables import prepare
from quintet.insurance.contract import AGENCY_PERFORMANCE
from quintet.insurance.normalise import SCHEMA, normalise
from quintet.warehouse.sql import quote_identifier
from tests.conftest import Quintet

EXTREMES = (
    *("0", "-0", "1", "-1", "2", "12", "100", "1.0", "5.", ".5", ".0", "0.125", "1000.00245", "-1e-7", "1e-300"),
    *("99997", "99998", "99999", "100000", "150000", "2147483647", "2147483648", "-2147483649", "4294967296"),
    *("946684800", "4102444799", "999999999", "1000000000", "1000000001", "-1000000000"),
    *("100000000000", "-100000000000", "100000000001", "99999999999999.9999", "1e15", "-1e15", "1e18", "1e38", "1e300"),
    *(
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "1899",
        "1900",
        "2199",
        "2200",
        "9999",
        "0001",
    ),
    *(
        "0001-01-01",
        "1899-12-31",
        "1900-01-01",
        "1900-01-01 00:00:00",
        "1969-12-31 23:59:59",
        "1970-01-01",
        "1999-12-31",
    ),
    *("2038-01-19 03:14:08", "2199-12-31 23:59:59.999999", "2200-01-01", "2024-02-29T12:00:00+14:00"),
    *(
        "00h 00",
        "23h 59",
        "23:59:00",
        "00h",
        "23h",
        "true",
        "F",
        "yes",
        "NA",
        "N/A",
        "nan",
        "null",
        "-",
        "#N/A",
        "#REF!",
    ),
    *(
        " ",
        "\t",
        "a\tb",
        "a\nb",
        "\x01",
        "\x7f",
        "\u202e",
        "\u00a0",
        "𝕏",
        "'",
        '"',
        "\\",
        "{}",
        "%",
        "x" * 20_000,
        "é" * 300,
    ),
)
"""Texts at and beyond the edges of every kind of column."""


KEYS: dict[str, tuple[str, Callable[[int], str]]] = {
    "agency_performance": ("agency_id", lambda number: str(900_000 + number)),
    "promo_users": ("user_id", lambda number: f"extreme{number}"),
    "promo_codes": ("promo_code", lambda number: f"EXTREME{number}"),
    "promo_usages": ("user_id", lambda number: f"extreme{number}"),
    "conversions": ("id", lambda number: str(900_000_000 + number)),
    "broker_rows": ("timestamp", lambda number: str(1_700_000_000 + number)),
    "page_categories": ("measurement_category", lambda number: f"x{number}"),
    "transactions": (
        "timestamp",
        lambda number: f"2024-03-{number // 1440 + 1:02} {number // 60 % 24:02}:{number % 60:02}",
    ),
    "checkout_sales": ("time", lambda number: f"{number % 24:02}h"),
}
"""By dataset the column that tells its rows apart, with its value: of equal keys only one row would go on."""

ROWS_PER_FILE = {"checkout_sales": 24}
"""A file of checkout sales has one row for each hour."""


def passing_rows(dataset: Dataset, sample: dict[str, str]) -> pd.DataFrame:
    """Return copies of a sample row, each with one cell replaced by an extreme, that pass the contract."""
    key, value = KEYS[dataset.name]
    pairs = [(name, cell) for name in dataset.columns for cell in EXTREMES]
    empty = dict.fromkeys(dataset.columns, "")
    rows = [empty | sample | {key: value(number), name: cell} for number, (name, cell) in enumerate(pairs)]
    with duckdb.connect() as connection:
        connection.execute("set global TimeZone = 'UTC'")
        connection.execute("attach ':memory:' as published; create schema published.ml")
        prepare(connection, [dataset])
        connection.register("rows", pd.DataFrame(rows, dtype="str"))
        nulls = ", ".join(f"nullif({name}, '') as {name}" for name in map(quote_identifier, dataset.columns))
        kept = connection.execute(
            f"select * from (select {nulls} from rows) where not ({dataset.broken_sql(dataset.columns)})"
        ).fetchall()
    return pd.DataFrame(kept, columns=list(dataset.columns))


def sample_row(dataset: Dataset, folder: Path) -> dict[str, str]:
    """Return the first row of the dataset's sample that passes the contract, by the contract's names."""
    file = list_inbox(folder, dataset.name)[0]
    with (gzip.open if file.name.endswith(".gz") else open)(file.path, "rt", encoding="utf-8-sig") as lines:  # type: ignore[operator]
        text = lines.read(200_000)
    delimiter = csv.Sniffer().sniff(text.split("\n", 1)[0], ",;\t|").delimiter
    header, *rows = list(csv.reader(text.splitlines(), delimiter=delimiter))[:3]
    names = [dataset.aliases.get(fold_header(name)) for name in header]
    return {name: cell for name, cell in zip(names, rows[0], strict=True) if name is not None}


@pytest.fixture(scope="module")
def extreme(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quintet]:
    """Yield a home whose inboxes have the samples and, in a later file, every extreme that passes."""
    folder = tmp_path_factory.mktemp("extreme")
    shutil.copytree(project / "data" / "raw", folder / "raw", ignore=shutil.ignore_patterns("loan_book"))
    for dataset in DATASETS.values():
        rows = passing_rows(dataset, sample_row(dataset, folder / "raw"))
        assert len(rows) > 30
        size = ROWS_PER_FILE.get(dataset.name, len(rows))
        for number, start in enumerate(range(0, len(rows), size)):
            path = folder / "raw" / dataset.name / f"extremes{number}_2024-03-09.csv"
            rows[start : start + size].to_csv(path, index=False)
    yield Quintet(folder / "raw", folder / "home")
    shutil.rmtree(folder)


def test_whatever_passes_its_contract_is_built_and_published(extreme: Quintet):
    extreme.run()

    with duckdb.connect(str(extreme.snapshot), read_only=True) as snapshot:
        loaded = snapshot.execute(
            "select dataset, rows, rejected from marts.ops_batches where file like 'extremes%' order by 1"
        ).fetchall()
    assert {dataset for dataset, _, _ in loaded} == set(DATASETS)
    assert [(dataset, rejected) for dataset, _, rejected in loaded if rejected] == []


def test_insurance_rows_that_pass_the_contract_pass_the_check_of_their_types(project: Path):
    rows = passing_rows(AGENCY_PERFORMANCE, sample_row(AGENCY_PERFORMANCE, project / "data" / "raw"))
    provenance = {"_batch_id": "0123456789abcdef", "_source_file": "a.csv", "_source_row": range(1, len(rows) + 1)}

    typed = SCHEMA.validate(normalise(rows.assign(**provenance)), lazy=True)

    assert len(typed) == len(rows)
