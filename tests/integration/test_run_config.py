"""A run's configuration has no field that names a program, a file, a folder or an address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._config import ConfigType, ConfigTypeKind

from definitions import build_defs, build_resources
from quintet.settings import load_settings

HARMLESS = {
    "ops.*.config.accept_changed_columns": "Bool",
    "ops.*.config.accept_losses": "Bool",  # publishes what the warehouse has; snapshots before it are kept
    "ops.*.config.retrain": "Bool",
    "ops.*.config": "Any",  # of an op that declares no configuration, and so gets none
    "ops.*": "Any",  # a name that is no op; ignored
    "resources.*": "Any",  # a name that is no resource; ignored
    "execution.config.marker_to_close": "String",  # written to the event log
    "execution.config.step_dependency_config.require_upstream_step_success": "Bool",
    "loggers.console.config.log_level": "String",
    "loggers.console.config.name": "String",
}
"""What may be configured, and its type. Whoever adds a field here must be sure that nobody can harm with it."""


def _fields(kind: ConfigType, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path and the type of each value that the configuration accepts."""
    given: Any = kind
    if kind.kind in (ConfigTypeKind.STRICT_SHAPE, ConfigTypeKind.PERMISSIVE_SHAPE, ConfigTypeKind.SELECTOR):
        if kind.kind is ConfigTypeKind.PERMISSIVE_SHAPE:
            yield (*path, "*"), "Any"
        for name, field in given.fields.items():
            yield from _fields(field.config_type, (*path, name))
    elif kind.kind in (ConfigTypeKind.ARRAY, ConfigTypeKind.NONEABLE):
        yield from _fields(given.inner_type, path)
    elif kind.kind is ConfigTypeKind.MAP:
        yield from _fields(given.inner_type, (*path, "*"))
    elif kind.kind is ConfigTypeKind.SCALAR_UNION:
        yield path, given.scalar_type.key
    else:
        yield path, kind.key


def _configurable(definitions: dg.Definitions) -> dict[str, str]:
    found = {}
    for job in definitions.get_repository_def().get_all_jobs():
        for path, kind in _fields(job.run_config_schema.config_type):
            named = ("ops", "*", *path[2:]) if path[0] == "ops" and len(path) > 1 else path
            found[".".join(named)] = kind
    return found


def test_only_known_and_harmless_fields_are_configurable() -> None:
    found = _configurable(build_defs())
    assert {name: kind for name, kind in found.items() if HARMLESS.get(name) != kind} == {}
    assert "ops.*.config.retrain" in found  # the walk reaches the fields


def test_a_run_that_names_another_program_is_refused() -> None:
    job = build_defs().get_repository_def().get_job("everything")
    for name, field in (("dbt", "dbt_executable"), ("warehouse", "database"), ("io_manager", "base_dir")):
        with pytest.raises(dg.DagsterInvalidConfigError, match=field):
            dg.validate_run_config(job, {"resources": {name: {"config": {field: "/tmp/other"}}}})


@pytest.mark.parametrize("name", ["dbt", "warehouse", "inboxes"])
def test_a_configurable_resource_would_be_found(name: str) -> None:
    resource = build_resources(load_settings())[name]

    @dg.asset(required_resource_keys={name})
    def using() -> None: ...

    found = _configurable(dg.Definitions(assets=[using], resources={name: resource}))
    assert any(field.startswith(f"resources.{name}.config.") for field in found)
