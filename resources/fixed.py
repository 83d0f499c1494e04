"""Resources that a run's configuration cannot change.

Whoever may start a run may give it any configuration, through the UI or its API. What a resource executes, reads and
writes is therefore decided by the code and the settings alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

NOTHING: dict[str, Any] = {}
"""The configuration that a fixed resource accepts."""


def fixed(resources: Mapping[str, Any]) -> dict[str, dg.ResourceDefinition]:
    """Return the resources as definitions without configuration, with an IO manager that refuses to read and write.

    Dagster's own default would unpickle any file that a run's configuration names.
    """
    values = dg.IOManagerDefinition(lambda _: NoIOManager(), config_schema=NOTHING)
    return {"io_manager": values} | {name: _fixed(name, resource) for name, resource in resources.items()}


class NoIOManager(dg.IOManager):
    """Refuses values between assets: they pass data through the warehouse and files."""

    def load_input(self, context: dg.InputContext) -> Any:
        """Raise TypeError."""
        raise TypeError(f"{context.name}: assets here pass no values; declare the dependency with `deps`")

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Raise TypeError for a value."""
        if obj is not None:
            raise TypeError(f"{context.name}: assets here return no values; return a MaterializeResult")


def _fixed(name: str, resource: Any) -> dg.ResourceDefinition:
    if isinstance(resource, dg.ResourceDefinition):
        raise TypeError(f"{name}: give the resource itself, so that no run's configuration can change it")
    if not isinstance(resource, dg.ConfigurableResource):
        return dg.ResourceDefinition(lambda _: resource, config_schema=NOTHING)

    def make(context: dg.InitResourceContext) -> Iterator[Any]:
        with resource.yield_for_execution(context) as made:
            yield made

    return dg.ResourceDefinition(make, config_schema=NOTHING)
