"""Keep the priority of the product's runs in the suite; otherwise they would wait for all tests that compute.

Python imports this module when it starts, because `Quintet` in `tests/conftest.py` puts its folder on PYTHONPATH.
"""

from __future__ import annotations

import os
from typing import Any


def _keep_priority(*_: Any) -> None:
    """Do nothing. `tests/unit/cli/test_supervisor.py` tests that a run lowers its priority."""


if hasattr(os, "sched_setscheduler"):
    os.sched_setscheduler = _keep_priority
