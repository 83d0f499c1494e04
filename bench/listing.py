"""Find the benchmarks of this folder: every module with a function `main` is one."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from bench.measure import FAILED, PROJECT, SKIPPED, BenchError, MissingError
from bench.tidy import tidied

_FOLDER = Path(__file__).parent
_LINES_OF_OUTPUT = 8


@dataclass(frozen=True)
class Bench:
    """A benchmark: its name, a summary in one line, and its usual duration."""

    name: str
    summary: str
    usually: str


def benches(folder: Path = _FOLDER) -> dict[str, Bench]:
    """Return the benchmarks in a folder by name, read from the source so that a broken one is listed too.

    The summary is the first line of the module's docstring, the time its constant `USUALLY`.
    """
    found = {}
    for path in sorted(folder.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            found[path.stem] = Bench(path.stem, summary, _usually(tree))
    return found


def _usually(tree: ast.Module) -> str:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="USUALLY")], value=ast.Constant(value=str(time))):
                return time
    return "unknown"


def run_bench(name: str, options: Sequence[str]) -> int:
    """Run a benchmark in this process with its options and return its exit status.

    A failure is printed as a message, and nothing that it started or wrote is left behind.
    """
    former, sys.argv = sys.argv, [f"python -m bench {name}", *options]
    try:
        with tidied():
            main = importlib.import_module(f"bench.{name}").main
            takes_options = bool(inspect.signature(main).parameters)
            return int(main(options) if takes_options else main())
    except MissingError as error:
        print(f"{name}: skipped: {error}", flush=True)
        return FAILED if os.environ.get("CI") == "true" else SKIPPED
    except Exception as error:  # the outermost level: any fault becomes a message
        print(f"{name}: failed: {_in_words(error)}", flush=True)
        return FAILED
    finally:
        sys.argv = former


def _in_words(error: Exception) -> str:
    """Return what failed and where, with the last lines of a command's output."""
    if isinstance(error, BenchError):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == _FOLDER]
    where = f" ({Path(frames[-1].filename).relative_to(PROJECT)}:{frames[-1].lineno})" if frames else ""
    output = str(error.output or "") if isinstance(error, CalledProcessError) else ""
    last = "".join(f"\n  {line}" for line in output.strip().splitlines()[-_LINES_OF_OUTPUT:])
    return f"{type(error).__name__}: {error}{where}{last}"
