"""Whether datacontract-cli accepts the contracts of `quintet contracts`, and how long it takes for each."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.comparators import comparator
from bench.measure import Line, options, print_lines
from quintet.contracts import write_contracts

USUALLY = "10 s"


def main(arguments: Sequence[str]) -> int:
    """Check each contract with the standard's own tool; return the exit status."""
    options("contracts", __doc__).parse_args(arguments)
    program = comparator("datacontract") / "datacontract"
    with tempfile.TemporaryDirectory() as folder:
        lines = [_line(program, file) for file in write_contracts(Path(folder))]
    return print_lines("contracts against the Open Data Contract Standard", lines)


def _line(program: Path, file: Path) -> Line:
    began = time.perf_counter()
    checked = subprocess.run([program, "lint", file], check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if checked.returncode != 0:
        print(checked.stdout)
    is_valid = checked.returncode == 0
    verdict = f"valid, {seconds:.1f} s" if is_valid else f"not valid, {seconds:.1f} s"
    return Line(file.name, verdict, "valid", is_valid, is_exact=True)
