"""Long fault tests: splits, orders and re-sends, kills, two runs at once, a store that is down.

Random tests with many seeds, 100 kills of stream, S3 server and PostgreSQL, ten minutes without the S3 server, 50
kills under loan decisions at 200 applications a second, and 50 kills in ten minutes of three services, two streams,
nginx, PostgreSQL and S3 that are sent applications, sign-ups and minute counts. The suite runs the same tests, each
short.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import CalledProcessError
from xml.etree import ElementTree

from bench.measure import BenchError, Line, options, print_lines, run

USUALLY = "1 hour"

_REPLICAS = "tests/faults/test_replica_kill.py"
_FULL = (
    ("50 kills under loan decisions", ("--decision-kills=50", "tests/faults/test_decision_kill.py")),
    ("50 kills of a system of several services", ("--replica-kills=50", "--replica-seconds=600", _REPLICAS)),
    ("600 s of faults under payments", ("--payment-seconds=600", "tests/faults/test_payment_faults.py")),
    ("100 kills under the stream", ("--kills=100", "tests/faults/test_stream_kill.py")),
    ("600 s without an object store", ("--outage-seconds=600", "tests/faults/test_stream_outage.py")),
    ("splits, orders, re-sends, 20 seeds", ("--seeds=20", "tests/integration/test_incremental.py")),
    ("kills of the loader, two at once", ("tests/faults/test_load_kill.py",)),
)
_OTHER_SERVER = ("tests/integration/test_completeness.py", "tests/integration/test_poison_rows.py")
_COMPARISON = "tests/faults/test_stream_kill.py::test_the_comparison_finds_a_change_that_is_missing"
_QUICK = (("the comparison that the stream's kills are judged by", (_COMPARISON,)),)


def main(arguments: Sequence[str]) -> int:
    """Run the tests, print, and return the exit status."""
    parser = options("faults", __doc__)
    parser.add_argument("--postgres", help="URL of a superuser of another PostgreSQL, to try lost changes on as well")
    parser.add_argument("--rate", type=float, default=200, help="applications a second at several services")
    parser.add_argument("--longest", type=float, default=5, help="most seconds that one of their answers may take")
    given = parser.parse_args(arguments)
    chosen = [*(_QUICK if given.quick else _FULL)]
    limits = (f"--replica-rate={given.rate:g}", f"--replica-longest={given.longest:g}")
    chosen = [(what, (*limits, *tests) if _REPLICAS in tests else tests) for what, tests in chosen]
    if given.postgres:
        chosen.append(("lost changes, another PostgreSQL", (f"--replica-server={given.postgres}", *_OTHER_SERVER)))
    lines = [_line(what, tests) for what, tests in chosen]
    return print_lines("Faults", lines)


def _line(what: str, tests: Sequence[str]) -> Line:
    """Run tests in a separate process. Raises BenchError if none was run."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        began = time.perf_counter()
        try:
            given = ["-q", "--no-cov", "-p", "no:cacheprovider", f"--basetemp={folder}/tests", f"--junitxml={results}"]
            run([sys.executable, "-m", "pytest", *given, *tests])
        except CalledProcessError as error:
            print(error.output, end="")  # the output of failed tests
        seconds = time.perf_counter() - began
        cases = list(ElementTree.parse(results).iter("testcase")) if results.is_file() else []
    if not cases:
        raise BenchError(f"no test was run by: pytest {' '.join(tests)}")
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    passed = len(cases) - len(failed) - sum(case.find("skipped") is not None for case in cases)
    return Line(
        what, f"{passed} tests pass, {len(failed)} fail, {seconds:.0f} s", "none fails", not failed, is_exact=True
    )
