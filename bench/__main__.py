"""List the benchmarks, run one, or run all: `python -m bench [NAME|all|install] [options]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.comparators import COMPARATORS, DEBIAN, comparator
from bench.listing import benches, run_bench
from bench.measure import FAILED, HOLDS, PROJECT, MissingError, options
from bench.report import REPORT, run_all, write_report
from bench.tidy import Stopped, signals_raised, tidied

_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run the requested command and return the exit status."""
    found = benches()
    name, given = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name in ("", "-h", "--help"):
        _list()
        return HOLDS
    if name not in (*found, "all", "install"):
        print(f"there is no benchmark {name}; choose one of {', '.join(found)}, or all", file=sys.stderr)
        return _USAGE
    try:
        with signals_raised():
            if name == "install":
                return _install()
            return _all(given) if name == "all" else run_bench(name, given)
    except Stopped as stopped:
        print(f"{name}: stopped by {stopped}", file=sys.stderr)
        return 128 + stopped.number


def _list() -> None:
    table = Table(title="python -m bench NAME [--quick]; python -m bench all [--quick]", title_justify="left")
    for heading in ("name", "measures", "usually takes"):
        table.add_column(heading)
    for bench in benches().values():
        table.add_row(bench.name, bench.summary, bench.usually)
    Console().print(table)


def _all(arguments: Sequence[str]) -> int:
    """Run all benchmarks and write the report; return 1 if one failed or missed a limit."""
    parser = options("all", f"Run all benchmarks and write {REPORT.relative_to(PROJECT)}.")
    quick = ["--quick"] if parser.parse_args(arguments).quick else []
    with tidied():
        outcomes = run_all(benches().values(), quick)
    write_report(outcomes, quick)
    failed = [outcome.bench.name for outcome in outcomes if outcome.is_failed]
    print(f"{REPORT.relative_to(PROJECT)}: {len(outcomes)} benchmarks, failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def _install() -> int:
    """Install every comparator; one that cannot be installed keeps no other from it."""
    status = HOLDS
    for name in (*COMPARATORS, *DEBIAN):
        try:
            comparator(name)
        except MissingError as error:
            print(error, file=sys.stderr)
            status = FAILED
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
