"""The tests of faults for long: splits, orders and re-sends, kills, two runs at once, a store that is away.

`make bench NAME=faults` takes about an hour: what draws at random with many seeds, 100 kills over stream, S3 server and
PostgreSQL, ten minutes without the S3 server, and 50 kills under loan decisions at 200 applications a second. The suite
runs the same tests, each as short as it tells anything.
"""

from __future__ import annotations

import sys

import pytest

_LOADS = ["--seeds=20", "tests/integration/test_incremental.py", "tests/faults/test_load_kill.py"]
_DECISIONS = ["--decision-kills=50", "tests/faults/test_decision_kill.py"]
_STREAM = [
    "--kills=100",
    "--outage-seconds=600",
    "tests/faults/test_stream_kill.py",
    "tests/faults/test_stream_outage.py",
]


def main() -> int:
    """Run them; 0 if all pass. What was done to the stream is printed at the end."""
    codes = [pytest.main(["-v", "--no-cov", "-rP", *tests]) for tests in (_DECISIONS, _STREAM, _LOADS)]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
