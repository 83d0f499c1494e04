"""Run `dagster dev` with low priority, after ending the runs of a dead daemon: `python -m cli.dagster_dev PORT`.

`cli.services` starts it and holds the home's daemon lock.
"""

from __future__ import annotations

import runpy
import sys
from contextlib import closing

from cli.dead_runs import release_dead_runs
from cli.home import PROJECT
from cli.supervisor import step_back
from quintet.settings import load_settings
from resources.event_log import open_instance
from resources.warm_dbt import WarmDbt, warehouse_variables


def main(port: str) -> None:
    """Run `dagster dev` until it is interrupted."""
    step_back()
    with open_instance() as instance:
        release_dead_runs(instance)
    workspace = str(PROJECT / "workspace.yaml")
    project, settings = PROJECT / "dbt_project", load_settings()
    variables = warehouse_variables(project, settings.warehouse, settings.memory_limit, settings.threads)
    with closing(WarmDbt(project, variables)):  # one for all runs, which find its address in their environment
        sys.argv = ["dagster", "dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", port]
        runpy.run_module("dagster", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
