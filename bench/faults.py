"""The tests that draw at random, with many seeds: splits, orders and re-sends, kills, and two runs at once.

`make bench NAME=faults` takes about an hour; the suite runs the same tests with one seed. Loan decisions are killed 50
times in a row under 200 applications a second.
"""

from __future__ import annotations

import sys

import pytest

_SEEDS = 20
_DECISION_KILLS = 50
_DECISIONS = "tests/faults/test_decision_kill.py"


def main() -> int:
    """Run them; 0 if all pass."""
    common = ["-v", "--no-cov"]
    decisions = pytest.main([*common, f"--decision-kills={_DECISION_KILLS}", _DECISIONS])
    others = ["tests/integration/test_incremental.py", "tests/faults", f"--ignore={_DECISIONS}"]
    return decisions or pytest.main([*common, f"--seeds={_SEEDS}", *others])


if __name__ == "__main__":
    sys.exit(main())
