"""Writes what `make coverage` has measured into `docs/runs.md`: `python -m docs.coverage_figures COVERAGE JUNIT`.

COVERAGE: the JSON of coverage.py. JUNIT: the XML of the same run, which says how many tests it is of.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

PAGE = Path(__file__).with_name("runs.md")
BEGIN, END = "<!-- coverage -->", "<!-- end of coverage -->"
_COUNTS = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def render(measured: Mapping[str, Any], junit: str, day: dt.date) -> str:
    """Return the figures as Markdown: lines and branches of each package, the least covered first.

    Raises ValueError if a test failed: the figures of a broken suite are not published.
    """
    [suite] = ElementTree.fromstring(junit).iter("testsuite")
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    if failed := int(suite.attrib["failures"]) + int(suite.attrib["errors"]):
        raise ValueError(f"{failed} of {tests} tests failed; fix them, and run `make coverage` again")
    packages: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for path, file in measured["files"].items():
        for name in _COUNTS:
            packages[_package(path)][name] += file["summary"][name]
    total = {name: sum(package[name] for package in packages.values()) for name in _COUNTS}
    rows = sorted(
        packages.items(), key=lambda row: (row[1]["covered_lines"] / max(row[1]["num_statements"], 1), row[0])
    )
    return "\n".join(
        [
            f"Measured on {day} by `make coverage`, {tests - skipped:,} tests passed and {skipped:,} skipped: "
            f"**{_share(total, 'lines')} of {total['num_statements']:,} lines** and "
            f"{_share(total, 'branches')} of {total['num_branches']:,} branches. Only what ran in the processes of "
            "pytest counts: a program that a test starts adds nothing, so that the figures are at least this high.",
            "",
            "| package | lines | covered | branches | covered |",
            "|---|--:|--:|--:|--:|",
            *(
                f"| `{name}` | {package['num_statements']:,} | {_share(package, 'lines')} | "
                f"{package['num_branches']:,} | {_share(package, 'branches')} |"
                for name, package in rows
            ),
        ]
    )


def written(page: str, figures: str) -> str:
    """Return the page with the figures between its marks. Raises ValueError if it has no marks."""
    changed, count = re.subn(
        f"({re.escape(BEGIN)}).*?({re.escape(END)})",
        lambda found: f"{found[1]}\n{figures}\n{found[2]}",
        page,
        flags=re.S,
    )
    if count != 1:
        raise ValueError(f"the page needs one place for the figures, between {BEGIN} and {END}")
    return changed


def _package(path: str) -> str:
    """Return the package of a file: two folders of `quintet`, else the first one, else the file."""
    parts = Path(path).parts
    return "/".join(parts[:2]) if parts[0] == "quintet" and len(parts) > 2 else parts[0]


def _share(counts: Mapping[str, int], what: str) -> str:
    covered, of = (counts[name] for name in (_COUNTS[:2] if what == "lines" else _COUNTS[2:]))
    return f"{covered / of:.1%}" if of else "none"


if __name__ == "__main__":
    coverage_file, junit_file = map(Path, sys.argv[1:])
    figures = render(json.loads(coverage_file.read_text("utf-8")), junit_file.read_text("utf-8"), dt.date.today())
    PAGE.write_text(written(PAGE.read_text("utf-8"), figures), "utf-8")
