"""The asset checks that domains declare: one step for each domain, after its tables are built."""

import importlib
from collections.abc import Callable, Iterator

import dagster as dg
import duckdb

from assets.facts import check_result
from quintet.domain import DataCheck, Domain
from quintet.domains import DOMAINS
from quintet.ingest.checks import CheckOutcome
from resources.warehouse import POOL, Warehouse


def build_checks(domain: Domain) -> dg.AssetChecksDefinition:
    """Return the step that makes the checks of a domain, or the selected ones."""
    declared = {(_key(check), check.name): check for check in domain.checks}

    @dg.multi_asset_check(
        name=f"{domain.name}_checks",
        specs=[
            dg.AssetCheckSpec(check.name, asset=_key(check), description=check.description) for check in domain.checks
        ],
        can_subset=True,
        pool=POOL,
        op_tags={"dagster/priority": "-1"},  # publishing does not wait: dbt's tests have stopped what is broken
    )
    def checks(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        with warehouse.get_connection() as connection:
            for key in sorted(context.selected_asset_check_keys):
                check = declared[key.asset_key, key.name]
                outcome = function_of(check)(connection)
                severity = dg.AssetCheckSeverity.ERROR if check.is_error else dg.AssetCheckSeverity.WARN
                yield check_result(key.name, key.asset_key, outcome)._replace(severity=severity)

    return checks


def function_of(check: DataCheck) -> Callable[[duckdb.DuckDBPyConnection], CheckOutcome]:
    """Import and return the function of a check."""
    module, _, name = check.function.rpartition(".")
    function: Callable[[duckdb.DuckDBPyConnection], CheckOutcome] = getattr(importlib.import_module(module), name)
    return function


def _key(check: DataCheck) -> dg.AssetKey:
    return dg.AssetKey(check.table.split("."))


CHECKS = [build_checks(domain) for domain in DOMAINS if domain.checks]
