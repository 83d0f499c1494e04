"""Import dagster-dbt as if dbt-core were not installed, and with a log that says what is new.

Otherwise it imports dbt-core, which takes 1.5 s, to evaluate selections of models and to open an adapter. Neither is
needed: `assets/marts.py` selects by the manifest, and dbt runs in separate processes.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DBT_CORE = "dbt.version"
"""The module that dagster-dbt imports to find out whether dbt-core is installed."""


@contextmanager
def _without_dbt_core() -> Iterator[None]:
    """Make dbt-core look as if it were not installed while the body imports."""
    present = sys.modules.get(_DBT_CORE)
    sys.modules[_DBT_CORE] = None  # type: ignore[assignment]  # the import system's mark for a module that must not be found
    try:
        yield
    finally:
        del sys.modules[_DBT_CORE]
        if present is not None:
            sys.modules[_DBT_CORE] = present


if "dagster_dbt.utils" in sys.modules:  # `dg` imports it for its components, with dbt-core
    for _name in ("dagster_dbt.utils", "dagster_dbt.core.resource"):
        vars(sys.modules[_name])["DBT_PYTHON_VERSION"] = None

with _without_dbt_core():
    from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, dbt_assets
    from dagster_dbt.core import dbt_cli_event


def is_news(record: logging.LogRecord) -> bool:
    """Return whether a log record of dagster-dbt says more than that a test is of no model.

    Tests of what Python steps write are no checks of a model. Their results are observations of the tables, which
    dagster-dbt warns about each time; a test that fails ends the step in any case.
    """
    return not str(record.msg).startswith("Logging an `AssetObservation` instead of")


dbt_cli_event.logger.addFilter(is_news)

__all__ = ["DagsterDbtTranslator", "DbtCliInvocation", "DbtCliResource", "dbt_assets"]
