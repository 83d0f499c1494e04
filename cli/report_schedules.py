"""`quintet reports`: the scheduled reports of a home, and the end of one."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import closing

from rich.console import Console
from rich.table import Table

from cli.audits import note
from quintet.domains import open_state_store
from quintet.insurance.report_schedules import end_schedule, schedules
from quintet.settings import load_settings


def list_schedules() -> int:
    """Print the active schedules, the next one due first."""
    table = Table("id", "report", "format", "to", "when", "next (UTC)", "by")
    with closing(open_state_store(load_settings().state)) as store:
        for one in schedules(store):
            wanted = one.request
            table.add_row(
                *(str(one.schedule_id), wanted.report, wanted.format, wanted.recipient, str(wanted.timing)),
                *(f"{one.next_at:%Y-%m-%d %H:%M}", one.created_by),
            )
    Console(highlight=False, markup=False).print(table)
    return 0


def end(schedule_id: int) -> int:
    """End a schedule; return 2 if it is not active."""
    settings = load_settings()
    with closing(open_state_store(settings.state)) as store:
        if not end_schedule(store, schedule_id, dt.datetime.now(dt.UTC), "ended by the command"):
            print(f"there is no active schedule {schedule_id}; `quintet reports list` shows them", file=sys.stderr)
            return 2
    note(settings, "reports.end", f"schedule_id={schedule_id}")
    print(f"schedule {schedule_id} has ended")
    return 0
