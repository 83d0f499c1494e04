"""The tests that draw at random, with many seeds: splits, orders and re-sends, kills, and two runs at once.

`make bench NAME=faults` takes about an hour; the suite runs the same tests with one seed.
"""

from __future__ import annotations

import sys

import pytest

_SEEDS = 20


def main() -> int:
    """Run them; 0 if all pass."""
    return pytest.main(["-v", "--no-cov", f"--seeds={_SEEDS}", "tests/integration/test_incremental.py", "tests/faults"])


if __name__ == "__main__":
    sys.exit(main())
