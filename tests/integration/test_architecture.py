"""The import rules of the architecture hold, and the tool that checks them can fail."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_COPIED = ("quintet", "assets", "resources", "sensors", "pyproject.toml")


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages in `folder`, not on the installed ones."""
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    for name in _COPIED:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def test_imports_keep_the_rules(checkout: Path) -> None:
    result = _lint(checkout)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "broken_rule"),
    [
        ("quintet/insurance/contract.py", "import dagster", "The product never imports Dagster"),
        ("quintet/payments/contract.py", "import quintet.promotions.contract", "The five domains are independent"),
        ("quintet/ingest/inbox.py", "import quintet.domains", "Inside the product"),
        ("assets/facts.py", "import sensors.failures", "Orchestration imports the product"),
        ("quintet/replication/tables.py", "import quintet.lending.contract", "Replication names no business"),
    ],
)
def test_a_planted_violation_is_found(checkout: Path, module: str, line: str, broken_rule: str) -> None:
    path = checkout / module
    path.write_text(path.read_text("utf-8") + f"\n{line}\n", "utf-8")
    result = _lint(checkout)
    assert result.returncode != 0
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(broken_rule in row for row in broken), result.stdout


def test_every_module_has_a_docstring(project: Path) -> None:
    folders = ("quintet", "assets", "resources", "sensors", "bench")
    modules = [*project.glob("*.py"), *(path for folder in folders for path in (project / folder).rglob("*.py"))]
    without = [
        str(path.relative_to(project)) for path in modules if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert without == []
