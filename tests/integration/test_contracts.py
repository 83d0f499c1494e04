"""The contracts that `quintet contracts` writes hold for the tables that a run publishes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from quintet.contracts import write_contracts
from quintet.domains import DOMAIN_NAMES
from quintet.warehouse.snapshot import current_snapshot, open_snapshot


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    files = write_contracts(tmp_path_factory.mktemp("contracts") / "new" / "folder")
    return {file.name.removesuffix(".odcs.yaml"): yaml.safe_load(file.read_text("utf-8")) for file in files}


def _broken(snapshot: duckdb.DuckDBPyConnection, contract: dict[str, Any]) -> list[str]:
    """Return the broken parts of a contract: columns, types, missing values, keys, references, allowed values."""
    faults = []
    for table in contract["schema"]:
        name, properties = table["name"], table["properties"]
        found = snapshot.execute(
            "select column_name, lower(data_type) from information_schema.columns "
            "where table_schema = 'marts' and table_name = ?",
            [name],
        ).fetchall()
        declared = [(one["name"], one["physicalType"]) for one in properties]
        faults += [f"{name}: {one}" for one in sorted(set(declared) ^ set(found))]
        if faults:
            continue
        key = [f'"{one["name"]}"' for one in properties if one.get("primaryKey")]
        if key:
            counted = f"select count(*), count(distinct ({', '.join(key)},)) from marts.{name}"
            [(rows, distinct)] = snapshot.execute(counted).fetchall()
            faults += [f"{name}: the key is not unique"] if rows != distinct else []
        for one in properties:
            column = f'"{one["name"]}"'
            checks = [f"{column} is null"] if one.get("required") else []
            allowed = [rule["arguments"]["validValues"] for rule in one.get("quality", ())]
            checks += [f"{column} not in {tuple(values)!r}".replace(",)", ")") for values in allowed]
            for reference in one.get("relationships", ()):
                other, field = reference["to"].split(".")
                checks.append(f'{column} not in (select "{field}" from marts.{other})')
            for check in checks:
                [(broken,)] = snapshot.execute(f"select count(*) from marts.{name} where {check}").fetchall()
                faults += [f"{name}: {broken} rows where {check}"] if broken else []
    return faults


def test_there_is_a_contract_for_each_business_and_for_operations(written: dict[str, dict[str, Any]]) -> None:
    assert set(written) == {*DOMAIN_NAMES, "ops"}
    tables = {table["name"] for contract in written.values() for table in contract["schema"]}
    assert {"dim_agency", "fct_conversion_matches", "fct_abuse_scores", "fct_payment_minutes", "ops_batches"} <= tables


def test_every_contract_holds_for_the_published_tables(built_home: Path, written: dict[str, dict[str, Any]]) -> None:
    with open_snapshot(current_snapshot(built_home / "serving")) as snapshot:
        assert [fault for contract in written.values() for fault in _broken(snapshot, contract)] == []


@pytest.mark.parametrize("change", ["type", "column", "required", "key"])
def test_a_contract_that_does_not_hold_is_found(
    built_home: Path, written: dict[str, dict[str, Any]], change: str
) -> None:
    contract = deepcopy(written["insurance"])
    [table] = [table for table in contract["schema"] if table["name"] == "fct_agency_performance"]
    contract["schema"] = [table]
    columns = {one["name"]: one for one in table["properties"]}
    if change == "type":
        columns["months"]["physicalType"] = "varchar"
    elif change == "column":
        columns["months"]["name"] = "month"
    elif change == "required":
        columns["prev_written_premium"]["required"] = True
    else:
        del columns["year"]["primaryKey"]
    with open_snapshot(current_snapshot(built_home / "serving")) as snapshot:
        assert _broken(snapshot, contract) != []
