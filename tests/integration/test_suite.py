"""The suite's own rules: every machine collects the same tests, and no test imports another or cannot fail."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from tests.command import Python
from tests.machine import INSTALL, require_program

_TESTS = Path(__file__).parents[1]
_COLLECT_TWICE = """
import os, sys
import pytest

class Count:
    def pytest_collection_finish(self, session):
        self.tests = sorted(item.nodeid for item in session.items)

found = []
for path in sys.argv[1:]:
    os.environ["PATH"] = path
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    count = Count()
    status = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], [count])
    assert status == 0, f"collecting ended with {status}"
    found.append(count.tests)
print(len(found[0]), found[0] == found[1])
"""


def _imported(tree: ast.AST) -> list[str]:
    """Return the modules that a module imports, at its top or anywhere in it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = f"tests.{node.module}" if node.level else str(node.module)
            found += [module, *(f"{module}.{name.name}" for name in node.names)]
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names]
    return found


def _faults(source: str) -> list[str]:
    """Return violations in a test module: it imports a test module, looks for programs or skips, asserts nothing,
    wait for a short time only.
    """
    tree = ast.parse(source)
    imported = sorted({name for name in _imported(tree) if _is_test_module(name)})
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = sorted({ast.unparse(function) for function in called} & {"shutil.which", "pytest.importorskip"})
    given = {word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords}
    return imported + asked + sorted(given & {"allow_module_level"}) + _always_true(tree) + _short_limits(tree)


def _short_limits(tree: ast.AST) -> list[str]:
    """Return waits with a limit in seconds, which a busy machine may exceed; `tests/waiting.py` has the limit."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="wait" | "join" | "result"), args=[ast.Constant(value=int() | float())]
            ):
                found.append(ast.unparse(node))
            case ast.keyword(arg="timeout", value=ast.Constant(value=int() | float())):
                found.append(ast.unparse(node))
            case ast.BinOp(left=ast.Call(func=ast.Attribute(attr="monotonic" | "perf_counter")), op=ast.Add()):
                found += [] if ast.unparse(node.right) == "LONG_SECONDS" else [ast.unparse(node)]
    return found


def _always_true(tree: ast.AST) -> list[str]:
    """Return assertions that cannot fail: of a constant, or of a value compared with itself."""
    found = []
    for statement in (node for node in ast.walk(tree) if isinstance(node, ast.Assert)):
        test = statement.test
        is_constant = isinstance(test, ast.Constant | ast.Tuple | ast.List)
        is_of_itself = (
            isinstance(test, ast.Compare)
            and isinstance(test.ops[0], ast.LtE | ast.GtE)
            and ast.dump(test.left) == ast.dump(test.comparators[0])
        )
        found += [ast.unparse(statement)] if is_constant or is_of_itself else []
    return found


def _is_test_module(name: str) -> bool:
    folder, *rest = name.split(".")
    return folder == "tests" and any(part.startswith("test_") for part in rest)


def test_no_module_of_the_tests_breaks_the_rules() -> None:
    modules = [path for path in _TESTS.rglob("*.py") if path != _TESTS / "machine.py"]
    assert len(modules) > 200
    found = {str(path.relative_to(_TESTS)): _faults(path.read_text("utf-8")) for path in modules}
    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("from tests.web.test_browser import Visit", "tests.web.test_browser"),
        ("from tests.web import test_browser", "tests.web.test_browser"),
        ("from .test_browser import Visit", "tests.test_browser"),
        ("import tests.web.test_browser", "tests.web.test_browser"),
        ("def f():\n    from tests.web.test_browser import Visit", "tests.web.test_browser"),
        ("shutil.which('chromium')", "shutil.which"),
        ("pytest.importorskip('playwright')", "pytest.importorskip"),
        ("pytest.skip('no chromium', allow_module_level=True)", "allow_module_level"),
        ("assert clock.now() <= clock.now()", "assert clock.now() <= clock.now()"),
        ("assert (price, 'has no price')", "assert (price, 'has no price')"),
        ("process.wait(30)", "process.wait(30)"),
        ("process.communicate(timeout=30)", "timeout=30"),
        ("until = time.monotonic() + 20", "time.monotonic() + 20"),
    ],
)
def test_a_planted_fault_is_found(line: str, fault: str) -> None:
    assert fault in _faults(line)


def test_helpers_may_be_imported() -> None:
    assert _faults("from tests.web.browser import Visit\nfrom tests.conftest import Quintet") == []


def test_a_machine_without_the_optional_programs_collects_the_same_tests(tmp_path: Path) -> None:
    """Compare `--collect-only` with an empty PATH and with all programs on it."""
    without, with_all = tmp_path / "without", tmp_path / "with"
    without.mkdir()
    with_all.mkdir()
    for name in INSTALL:
        (with_all / name).symlink_to("/bin/true")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = Python(["-c", _COLLECT_TWICE, str(without), str(with_all)], environment)
    printed = process.finish()
    assert process.returncode == 0, printed
    [(count, are_the_same)] = re.findall(r"^(\d+) (True|False)$", printed, re.MULTILINE)
    assert are_the_same == "True"
    assert int(count) > 3_000


def test_a_program_that_is_there_is_given(tmp_path: Path) -> None:
    (tmp_path / "chromium").symlink_to("/bin/true")
    assert require_program("chromium", {"PATH": str(tmp_path)}) == str(tmp_path / "chromium")


def test_a_program_that_is_missing_skips_with_its_reason_and_fails_where_all_have_to_be(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="chromium is not installed: apt-get install chromium"):
        require_program("chromium", {"PATH": str(tmp_path)})
    with pytest.raises(pytest.fail.Exception, match="skips no test"):
        require_program("chromium", {"PATH": str(tmp_path), "CI": "true"})
