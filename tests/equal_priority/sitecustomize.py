"""Let a run of the product share the processors with the suite: it would step back behind tests that compute.

Python imports this module when it starts, because `Quintet` in `tests/conftest.py` puts its folder on PYTHONPATH.
"""

from __future__ import annotations

import os
from typing import Any


def _keep_priority(*_: Any) -> None:
    """Do nothing. `tests/unit/cli/test_supervisor.py` tests that a run steps back."""


if hasattr(os, "sched_setscheduler"):
    os.sched_setscheduler = _keep_priority
