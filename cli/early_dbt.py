"""Start dbt for a run before the run's own modules are imported: both take seconds, and there is a core for each."""

from __future__ import annotations

from cli.guard import name_group
from cli.home import PROJECT
from cli.supervisor import step_back
from quintet.settings import load_settings
from resources.warm_dbt import WarmDbt, warehouse_variables


def start_dbt() -> WarmDbt:
    """Return a warm dbt that runs only when the processor is idle; it also parses the project if needed."""
    settings, project = load_settings(), PROJECT / "dbt_project"
    variables = warehouse_variables(project, settings.warehouse, settings.memory_limit, settings.threads)
    warm = WarmDbt(project, variables)
    if warm.process is not None:
        step_back(warm.process)
        name_group(warm.process)
    return warm
