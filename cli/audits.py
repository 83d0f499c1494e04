"""`quintet audit`, and the entries of the other commands in the audit log."""

from __future__ import annotations

import datetime as dt
import getpass
import sys
from contextlib import closing

from rich.console import Console
from rich.table import Table

from quintet.domains import open_state_store
from quintet.settings import Settings, load_settings
from quintet.state.audit import Entry, last_entries, problem_of_chain, record, utc_text


def note(settings: Settings, action: str, subject: str, outcome: str = "done") -> None:
    """Record what a command did, in the name of the account that runs it."""
    with closing(open_state_store(settings.state)) as store:
        at = utc_text(dt.datetime.now(dt.UTC))
        record(store, Entry(at, getpass.getuser(), "command", action, subject, outcome))


def show(last: int) -> int:
    """Print the last entries; return 1 if the log was changed or cut."""
    with closing(open_state_store(load_settings().state)) as store:
        table = Table("at (UTC)", "who", "key", "action", "about", "outcome")
        for entry in last_entries(store, last):
            table.add_row(
                entry.recorded_at[:19], entry.actor, entry.actor_id, entry.action, entry.subject, entry.outcome
            )
        Console(highlight=False, markup=False).print(table)
        problem = problem_of_chain(store)
    if problem is not None:
        print(f"the audit log is not whole: {problem}. Compare it with a backup and marts.ops_audit.", file=sys.stderr)
        return 1
    return 0
