"""dagster-dbt, imported as it is where dbt-core is not installed.

It would import dbt-core, which takes a second and a half, to evaluate selections of models and to open an adapter.
Neither happens here: `assets/marts.py` selects by the manifest, and dbt runs in processes of its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DBT_CORE = "dbt.version"
"""What dagster-dbt imports first, to see whether dbt-core is there."""


@contextmanager
def _without_dbt_core() -> Iterator[None]:
    """Let dbt-core seem not to be installed while the body imports."""
    present = sys.modules.get(_DBT_CORE)
    sys.modules[_DBT_CORE] = None  # type: ignore[assignment]  # as the import system marks what must not be found
    try:
        yield
    finally:
        del sys.modules[_DBT_CORE]
        if present is not None:
            sys.modules[_DBT_CORE] = present


if "dagster_dbt" in sys.modules and _DBT_CORE in sys.modules:
    raise ImportError('dagster_dbt was imported with dbt-core, where `select=""` selects nothing: import it from here')

with _without_dbt_core():
    from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, dbt_assets

__all__ = ["DagsterDbtTranslator", "DbtCliInvocation", "DbtCliResource", "dbt_assets"]
