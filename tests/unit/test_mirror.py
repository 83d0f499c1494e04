"""Every module that holds logic has a unit file at the mirrored place, or a unit file of that folder imports it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import pytest

_LOGIC = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.comprehension, ast.BoolOp, ast.Compare)
_MOST_UNTESTED = 10
"""A module with fewer branches, loops and comparisons only declares or connects."""

_FOLDERS = ("quintet", "resources", "sensors", "cli")

_STREAM, _BOOK = "tests/integration/test_stream.py", "tests/integration/test_loan_book.py"

_REPORTS = "tests/integration/test_reports.py"

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "quintet/web/": "tests/web/test_pages.py",  # pages and routes: requests to a running service
        "quintet/replication/__main__.py": _STREAM,  # these need a PostgreSQL that streams
        "quintet/replication/run.py": _STREAM,
        "quintet/replication/flow.py": _STREAM,
        "quintet/replication/guard.py": _STREAM,
        "quintet/replication/catch_up.py": _BOOK,  # these restore a dump on a server
        "quintet/lending/loan_book.py": _BOOK,
        "quintet/lending/sandbox.py": _BOOK,
        "quintet/lending/replicated.py": _BOOK,
        "quintet/lending/reproduce.py": "tests/web/test_lending_decisions.py",  # reads the log of a service
        "quintet/erasure/": "tests/integration/test_forget.py",  # these rewrite a home that was built
        "quintet/insurance/review_": _REPORTS,  # these read all tables of a published snapshot
        "quintet/lending/review_report.py": _REPORTS,
        "quintet/payments/days_report.py": _REPORTS,
        "quintet/promotions/model_comparison.py": "tests/unit/cli/test_models.py",  # a command over a snapshot
        "quintet/samples/promotions_people.py": "tests/unit/samples/test_promotions.py",  # a part of that generator
        "quintet/conversions/chart_parts.py": "tests/unit/conversions/test_charts.py",  # parts of those charts
        "resources/run_dbt.py": "tests/unit/resources/test_dbt.py",  # the process that dbt runs in
        "cli/materialise.py": "tests/integration/test_materialise.py",  # these start and stop processes
        "cli/dead_runs.py": "tests/integration/test_materialise.py",
        "cli/up.py": "tests/integration/test_up.py",
    }
)
"""By module or folder with a reason: what only a whole process can test, and the test that starts it."""


@cache
def branches(module: Path) -> int:
    """Return how many branches, loops and comparisons a module has."""
    return sum(isinstance(node, _LOGIC) for node in ast.walk(ast.parse(module.read_text("utf-8"))))


def mirrored(module: Path) -> Path:
    """Return the unit file of a module, both from the root of the project."""
    place = module.relative_to("quintet") if module.parts[0] == "quintet" else module
    return Path("tests", "unit", place.parent, f"test_{place.stem.strip('_')}.py")


@cache
def imported_by(test: Path) -> frozenset[str]:
    """Return the names of the modules that a file may import at its top."""
    names: set[str] = set()
    for node in ast.parse(test.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def without_unit_file(project: Path) -> dict[str, int]:
    """Return the modules with logic that neither a mirrored unit file nor another of its folder tests."""
    found = {}
    for path in sorted(file for folder in _FOLDERS for file in (project / folder).rglob("*.py")):
        module, count = path.relative_to(project), branches(path)
        unit = project / mirrored(module)
        if count < _MOST_UNTESTED or unit.exists():
            continue
        name = ".".join(module.with_suffix("").parts)
        if not any(name in imported_by(test) for test in unit.parent.glob("test_*.py")):
            found[module.as_posix()] = count
    return found


def test_modules_with_logic_have_a_unit_file(project: Path) -> None:
    assert [name for name in without_unit_file(project) if not name.startswith(tuple(ELSEWHERE))] == []


def test_no_exception_is_out_of_date(project: Path) -> None:
    found = tuple(without_unit_file(project))
    assert [name for name in ELSEWHERE if not any(each.startswith(name) for each in found)] == []
    assert [test for test in ELSEWHERE.values() if not (project / test).is_file()] == []


@pytest.mark.parametrize(
    ("test", "content", "is_found"),
    [
        ("tests/unit/shop/test_till.py", "", True),
        ("tests/unit/shop/test_shop.py", "from quintet.shop.till import pay", True),
        ("tests/unit/shop/test_shop.py", "from quintet.shop import till", True),
        ("tests/unit/shop/test_shop.py", "from quintet.shop import window", False),
        ("tests/unit/other/test_till.py", "from quintet.shop.till import pay", False),
    ],
)
def test_a_planted_module_is_found_unless_a_test_of_its_folder_imports_it(
    tmp_path: Path, test: str, content: str, is_found: bool
) -> None:
    for name, text in {"quintet/shop/till.py": "x = [n for n in range(3) if n]\n" * 10, test: content}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert ("quintet/shop/till.py" not in without_unit_file(tmp_path)) == is_found
