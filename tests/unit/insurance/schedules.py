"""A report by e-mail that somebody asks for."""

from __future__ import annotations

from typing import Any

from quintet.insurance.report_schedules import Wanted
from quintet.insurance.schedule_times import Timing

DAILY = Timing("day", 1, "07:30", "UTC")


def wanted(**changed: Any) -> Wanted:
    values = {"report": "premium", "filters": {"state": ["OH"]}, "format": "xlsx", "recipient": "ana@example.org"}
    return Wanted(**{**values, "as_link": False, "timing": DAILY, **changed})
