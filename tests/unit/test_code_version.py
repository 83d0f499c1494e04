"""A code version changes with the code that a module depends on, and with nothing else."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest

from quintet.code_version import code_files, code_version, package_of

_FILES = {
    "quintet/__init__.py": "",
    "quintet/shop/__init__.py": "",
    "quintet/shop/prices.py": "from quintet.shop.rates import (\n    A,  # of the day\n    b,\n)\nimport numpy as np\n",
    "quintet/shop/rates.py": "def rate():\n    from quintet.tools import clock\n    return clock\n",
    "quintet/shop/rates.sql": "select 1",
    "quintet/shop/page.py": "from quintet.shop import prices\n",
    "quintet/tools/__init__.py": "",
    "quintet/tools/clock.py": "import datetime\n",
    "requirements.lock": "numpy==2.0 \\\n    --hash=sha256:00\nuvicorn==1.0 \\\n    --hash=sha256:11\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def version(project: Path) -> str:
    return code_version("quintet.shop.prices", project=project)


@pytest.mark.parametrize(
    "changed", ["quintet/shop/prices.py", "quintet/shop/rates.py", "quintet/shop/rates.sql", "quintet/tools/clock.py"]
)
def test_what_is_imported_anywhere_or_lies_beside_changes_the_version(shop: Path, tmp_path: Path, changed: str) -> None:
    before = version(shop)
    other = tmp_path / "other"
    for name, text in _FILES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text + ("\n# changed" if name == changed else ""), "utf-8")
    assert version(other) != before


def test_importers_of_a_module_do_not_change_its_version(shop: Path) -> None:
    before = version(shop)
    (shop / "quintet/shop/page.py").write_text("COLOUR = 'red'", "utf-8")
    (shop / "quintet/shop/unrelated.py").write_text("", "utf-8")
    assert version(shop) == before
    assert code_version("quintet.shop.page", project=shop) != before


def test_a_package_that_is_used_changes_the_version_and_no_other_one(shop: Path, tmp_path: Path) -> None:
    versions = set()
    for number, lock in enumerate(
        (_FILES["requirements.lock"], "numpy==2.1\nuvicorn==1.0\n", "numpy==2.0\nuvicorn==2\n")
    ):
        other = tmp_path / str(number)
        for name, text in {**_FILES, "requirements.lock": lock}.items():
            (other / name).parent.mkdir(parents=True, exist_ok=True)
            (other / name).write_text(text, "utf-8")
        versions.add(version(other))
    assert len(versions) == 2
    assert version(shop) in versions


def test_the_files_are_those_of_the_modules_and_of_the_packages_around_them(shop: Path) -> None:
    found = [file.relative_to(shop).as_posix() for file in code_files("quintet.shop.rates", project=shop)]
    assert found == sorted(
        [
            *("quintet/__init__.py", "quintet/shop/__init__.py", "quintet/shop/rates.py", "quintet/shop/rates.sql"),
            *("quintet/tools/__init__.py", "quintet/tools/clock.py"),
        ]
    )


def test_a_module_that_is_not_there_is_named(shop: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"shop\.missing|no module"):
        code_version("nothing.at.all", project=shop)


def test_the_imports_found_are_those_that_python_sees(project: Path) -> None:
    """The product finds imports by pattern, because parsing takes a second; this test compares it with the parser."""
    for module in (
        "quintet.lending.result_tables",
        "quintet.conversions.matching_run",
        "quintet.payments.alert_tables",
    ):
        files = {file.relative_to(project) for file in code_files(module, project=project)}
        for file in (file for file in files if file.suffix == ".py"):
            for node in ast.walk(ast.parse((project / file).read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "quintet":
                    path = Path(*str(node.module).split("."))
                    assert path.with_suffix(".py") in files or path / "__init__.py" in files, (file, node.module)


def test_a_package_that_is_imported_counts_with_all_its_modules(shop: Path, tmp_path: Path) -> None:
    (shop / "quintet/shop/registry.py").write_text("from quintet import tools as package\n", "utf-8")
    other = tmp_path / "other"
    shutil.copytree(shop / "quintet", other / "quintet")
    assert code_version("quintet.shop.registry", project=other) == code_version("quintet.shop.registry", project=shop)
    another = tmp_path / "another"
    shutil.copytree(shop / "quintet", another / "quintet")
    (another / "quintet/tools/found_by_name.py").write_text("", "utf-8")
    assert code_version("quintet.shop.registry", project=another) != code_version("quintet.shop.registry", project=shop)


def test_every_package_that_the_product_imports_has_a_version_in_the_lock_file(project: Path) -> None:
    lock = (project / "requirements.lock").read_text("utf-8")
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line and not line.startswith(" ")}
    imported = {
        name
        for path in (project / "quintet").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.split(".")[0] not in {*sys.stdlib_module_names, "quintet"}
    }
    assert {name for name in imported if package_of(name) not in locked} == set()
