"""The private interfaces of libraries that the product uses are listed here, exist, and are no others.

docs/decisions/private-interfaces.md has the reason for each.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

OWN = ("assets", "bench", "cli", "definitions", "docs", "quintet", "resources", "sensors", "tests")

MODULES = {
    "dagster._cli.api": {"execute_run_command": ("main",)},
    "dagster._cli.proxy_server_manager": {"ProxyServerManager": ("get_code_server_specs", "__enter__", "__exit__")},
    "dagster._core.instance.ref": {"InstanceRef": ("from_dir",)},
    "dagster._core.launcher": {"LaunchRunContext": ("dagster_run",)},
    "dagster._core.origin": {"JobPythonOrigin": ()},
    "dagster._core.storage.event_log": {
        "SqliteEventLogStorage": (
            *("_connect", "_initdb", "conn_string_for_shard", "path_for_shard", "has_table", "dispose"),
            *("store_event", "_event_to_row", "free_concurrency_slots_for_run", "from_config_value"),
        ),
        "SqlEventLogStorage": ("store_event", "_event_to_row"),
    },
    "dagster._core.storage.runs": {"SqliteRunStorage": ("from_local", "from_config_value")},
    "dagster._core.storage.schedules": {"SqliteScheduleStorage": ("from_local", "from_config_value")},
    "dagster._core.remote_representation.external": {"RemoteSensor": ("tags",)},
    "dagster._core.scheduler.instigation": {"InstigatorState": ()},
    "dagster._core.workspace.context": {"WorkspaceProcessContext": ("__enter__", "__exit__")},
    "dagster._core.workspace.load_target": {"WorkspaceFileTarget": ()},
    "dagster._daemon": {"sensor": ("MIN_INTERVAL_LOOP_TIME", "get_elapsed", "is_under_min_interval")},
    "dagster._daemon.cli": {"cli": ()},
    "dagster._grpc.types": {"ExecuteRunArgs": ("get_command_args",)},
    "dagster._serdes": {"ConfigurableClassData": ()},
    "dbt.adapters.duckdb.connections": {"DuckDBConnectionManager": ("_ENV",)},
    "dbt.adapters.factory": {"load_plugin": ()},
    "dbt.cli.main": {"dbtRunner": ("invoke",)},
    "dbt.contracts.graph.manifest": {"Manifest": ("from_msgpack", "build_flat_graph")},
    "dbt.parser.manifest": {"extended_mashumuro_decoder": ()},
    "dbt.task.build": {},
}
"""By module: the names that are imported from it, each with the attributes that are used or overridden."""

OVERRIDDEN = {"resources.dagster_dbt": {"DbtCliResource": ("_cli_version", "_initialize_dbt_core_adapter", "cli")}}
"""Public classes with private members that are overridden."""

ATTRIBUTES = {"_predictors", "_baseline_prediction", "_ENV"}
"""Private attributes of the objects of other libraries."""

_NAMED_TUPLE = {"_asdict", "_fields", "_replace"}


def sources(project: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in ("assets", "cli", "quintet", "resources", "sensors"):
        for path in sorted((project / folder).rglob("*.py")):
            yield path.relative_to(project).as_posix(), ast.parse(path.read_text("utf-8"))
    yield "definitions.py", ast.parse((project / "definitions.py").read_text("utf-8"))


def is_private(module: str) -> bool:
    top, *rest = module.split(".")
    return top not in OWN and (top == "dbt" or any(part.startswith("_") and part != "__main__" for part in rest))


def private_imports(tree: ast.Module) -> set[str]:
    """Return the private modules of libraries that a module imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and is_private(node.module):
            found.add(node.module)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if is_private(alias.name)}
    return found


def own_members(tree: ast.Module) -> set[str]:
    """Return the names that a module gives to functions, classes, fields and attributes."""
    nodes = list(ast.walk(tree))
    fields = (node.target for node in nodes if isinstance(node, ast.AnnAssign))
    return {
        *(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)),
        *(target.id for target in fields if isinstance(target, ast.Name)),
        *(
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ),
    }


def private_attributes(tree: ast.Module, own: set[str]) -> set[str]:
    """Return the private attributes that a module uses of objects of libraries. own: members of our own classes."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own | _NAMED_TUPLE
        and not (isinstance(node.value, ast.Name) and node.value.id in ("os", "sys"))
    }


def test_no_private_module_is_used_but_the_listed_ones(project: Path) -> None:
    used = set().union(*(private_imports(tree) for _, tree in sources(project)))
    assert used == set(MODULES)


def test_no_private_attribute_is_used_but_the_listed_ones(project: Path) -> None:
    own = set().union(*(own_members(tree) for _, tree in sources(project)))
    used = {(name, attribute) for name, tree in sources(project) for attribute in private_attributes(tree, own)}
    assert {attribute for _, attribute in used} == ATTRIBUTES - own, sorted(used)


@pytest.mark.parametrize("module", sorted(MODULES | OVERRIDDEN))
def test_what_is_used_is_there(module: str) -> None:
    imported = importlib.import_module(module)
    for name, attributes in (MODULES | OVERRIDDEN)[module].items():
        found = getattr(imported, name)
        assert [attribute for attribute in attributes if not hasattr(found, attribute)] == []


def test_a_member_that_is_gone_would_be_noticed() -> None:
    storage = importlib.import_module("dagster._core.storage.event_log").SqliteEventLogStorage
    assert not hasattr(storage, "_connect_of_another_release")


def test_a_private_use_would_be_noticed() -> None:
    tree = ast.parse("from dagster._core.x import y\nimport dbt.flags\nimport assets._own\nz = y()._inside\nself._a")
    assert private_imports(tree) == {"dagster._core.x", "dbt.flags"}
    assert private_attributes(tree, {"_a"}) == {"_inside"}


def test_every_private_module_has_its_reason(project: Path) -> None:
    page = (project / "docs" / "decisions" / "private-interfaces.md").read_text("utf-8")
    missing = [name for name in [*MODULES, *ATTRIBUTES] if f"`{name}`" not in page]
    assert missing == []
