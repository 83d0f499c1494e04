"""The list of benchmarks, and the outermost level of running one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bench.listing
from bench.listing import benches, run_bench
from bench.measure import FAILED, HOLDS, SKIPPED


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of benchmarks instead of the project's own."""
    monkeypatch.setattr(bench, "__path__", [str(tmp_path)])
    monkeypatch.setattr(bench.listing, "_FOLDER", tmp_path)
    monkeypatch.setattr(bench.listing, "PROJECT", tmp_path)
    return tmp_path


def add(folder: Path, name: str, body: str) -> None:
    lines = ['"""What it measures.', "", "More of it.", '"""', "", 'USUALLY = "2 minutes"', "", *body.splitlines()]
    (folder / f"{name}.py").write_text("\n".join(lines) + "\n", "utf-8")


def test_a_module_with_a_main_is_listed_by_itself(tmp_path: Path) -> None:
    add(tmp_path, "one", "def main(arguments):\n    return 0")
    add(tmp_path, "helper", "def help_out():\n    return 0")
    add(tmp_path, "broken", "import no_such_module\n\ndef main():\n    return 0")
    found = benches(tmp_path)
    assert list(found) == ["broken", "one"]
    assert found["one"].summary == "What it measures."
    assert found["one"].usually == "2 minutes"


def test_every_bench_of_the_project_has_a_summary() -> None:
    assert {name for name, one in benches().items() if not one.summary.endswith(".")} == set()


def test_main_may_take_its_options_or_read_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, "bench_taking", "def main(arguments):\n    print(list(arguments))\n    return 0")
    add(folder, "bench_reading", "import sys\n\ndef main():\n    print(sys.argv[1:])\n    return 1")
    assert run_bench("bench_taking", ["--quick"]) == HOLDS
    assert run_bench("bench_reading", ["--quick"]) == 1
    assert capsys.readouterr().out == "['--quick']\n['--quick']\n"


def test_a_failure_is_a_message_that_says_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(folder, "bench_failing", "def main():\n    return 1 / 0")
    assert run_bench("bench_failing", []) == FAILED
    printed = capsys.readouterr()
    assert printed.out == "bench_failing: failed: ZeroDivisionError: division by zero (bench_failing.py:9)\n"
    assert "Traceback" not in printed.out + printed.err


def test_a_failed_command_is_quoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(
        folder,
        "bench_command",
        "import sys\nfrom bench.measure import run\ndef main():\n    run([sys.executable, '-c', 'exit(\"no disk\")'])",
    )
    assert run_bench("bench_command", []) == FAILED
    assert "no disk" in capsys.readouterr().out


@pytest.mark.parametrize(("ci", "status"), [("", SKIPPED), ("true", FAILED)])
def test_what_is_missing_is_skipped_but_fails_in_ci(
    folder: Path, ci: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(
        folder,
        f"bench_missing{ci}",
        "from bench.measure import MissingError\n\ndef main():\n    raise MissingError('there is no chromium')",
    )
    monkeypatch.setenv("CI", ci)
    assert run_bench(f"bench_missing{ci}", []) == status
    assert capsys.readouterr().out == f"bench_missing{ci}: skipped: there is no chromium\n"


def test_the_command_lists_all_and_refuses_an_unknown_name_in_one_line(project: Path) -> None:
    listed, unknown = (
        subprocess.run(
            [sys.executable, "-m", "bench", *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        for arguments in ([], ["no_such_bench"])
    )
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in benches())
    assert unknown.returncode == 2
    (line,) = unknown.stderr.splitlines()
    assert all(name in line for name in ("no_such_bench", *benches(), "all"))
