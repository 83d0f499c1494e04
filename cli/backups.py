"""`quintet backup` and `quintet restore`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cli.audits import note
from quintet.backup.create import back_up
from quintet.backup.restore import restore
from quintet.domains import MIGRATIONS
from quintet.settings import load_settings


def backup(to: Path) -> int:
    """Write a backup of the home and print its place and what to do next."""
    settings = load_settings()
    made = back_up(settings, to, dt.datetime.now(dt.UTC), print)
    note(settings, "backup", str(made.path))
    for left in made.left_out:
        print(f"not in the backup: {left}")
    print(f"{made.files:,} files, {made.bytes / 1e6:,.1f} MB in {made.path}")
    print(f"It holds keys and decisions: keep it private, on another disk. To restore it: quintet restore {made.path}")
    return 0


def restore_backup(source: Path) -> int:
    """Restore the home from a backup and print what to do next."""
    settings = load_settings()
    done = restore(settings, source, {name: len(of) for name, of in MIGRATIONS.items()}, dt.datetime.now(dt.UTC), print)
    note(settings, "restore", f"{source} of {done.made_at}")
    print(f"{done.files:,} files of {done.made_at} are in {settings.home}")
    if done.aside is not None:
        print(f"the former home is in {done.aside}; delete it when nothing in it is needed")
    if done.policy is not None:
        print(f"the policy was another one; to use it: QUINTET_LENDING_POLICY={done.policy}")
    if done.object_store is not None:
        print(f"the change log was in {done.object_store}; set QUINTET_OBJECT_STORE_URL to it")
    print("next: quintet run, then start the service; if a stream refuses to start: quintet stream --new-snapshot")
    return 0
