"""A run's configuration changes no resource, and no file is unpickled."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest

from resources.fixed import fixed

LIFE: list[str] = []


class _Tool(dg.ConfigurableResource):
    executable: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[_Tool, None, None]:  # noqa: ARG002
        LIFE.append("begins")
        yield self
        LIFE.append("ends")


def _job(resources: dict[str, Any], seen: list[str]) -> dg.JobDefinition:
    @dg.op
    def use(tool: _Tool, plain: dg.ResourceParam[str]) -> None:
        seen.append(f"{tool.executable} {plain}")

    @dg.job(resource_defs=resources)
    def using() -> None:
        use()

    return using


_OTHER = {"resources": {"tool": {"config": {"executable": "/tmp/evil"}}}}


def test_a_fixed_resource_lives_as_long_as_a_run_and_takes_no_configuration() -> None:
    LIFE.clear()
    seen: list[str] = []
    job = _job(fixed({"tool": _Tool(executable="dbt"), "plain": "text"}), seen)
    assert job.execute_in_process().success
    assert (seen, LIFE) == (["dbt text"], ["begins", "ends"])
    with pytest.raises(dg.DagsterInvalidConfigError):
        job.execute_in_process(run_config=_OTHER)
    for name in ("plain", "io_manager"):
        with pytest.raises(dg.DagsterInvalidConfigError):
            job.execute_in_process(run_config={"resources": {name: {"config": {"base_dir": "/tmp"}}}})


def test_without_it_the_configuration_decides_what_is_executed() -> None:
    seen: list[str] = []
    plain = dg.ResourceDefinition.hardcoded_resource("text")
    job = _job({"tool": _Tool(executable="dbt"), "plain": plain}, seen)
    assert job.execute_in_process(run_config=_OTHER).success
    assert seen == ["/tmp/evil text"]


def test_a_definition_that_is_configurable_in_another_way_is_refused() -> None:
    with pytest.raises(TypeError, match="tool: give the resource itself"):
        fixed({"tool": dg.ResourceDefinition(lambda _: None, config_schema={"executable": str})})


def test_values_between_steps_are_refused() -> None:
    @dg.op
    def give() -> int:
        return 1

    @dg.job(resource_defs=fixed({}))
    def passing() -> None:
        give()

    assert not passing.execute_in_process(raise_on_error=False).success
