"""`quintet keys`: create, list and revoke keys of the API."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cli.audits import note
from quintet.domains import SCOPES
from quintet.settings import SettingsError, load_settings
from quintet.state.keys import UnusableKeyError, check_scopes, create_key, list_keys, revoke_key
from quintet.state.store import StateStore


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status: 0, or 2 after printing why it failed."""
    parser = argparse.ArgumentParser(prog="keys", description="Manage the keys of the API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="create a key and show it once")
    create.add_argument("--name", required=True, help="owner of the key")
    create.add_argument("--scopes", required=True, help=f"scopes, separated by commas: {', '.join(SCOPES)}")
    commands.add_parser("list", help="show all keys, without their secrets")
    revoke = commands.add_parser("revoke", help="revoke a key for good")
    revoke.add_argument("key_id", help="the id that `list` shows")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings()
        store, now = StateStore(settings.state), dt.datetime.now(dt.UTC)
        if given.command == "create":
            scopes = given.scopes.split(",")
            check_scopes(scopes, SCOPES)
            key, text = create_key(store, given.name, scopes, now, os.urandom)
            note(settings, "keys.create", f"{key.key_id} {' '.join(sorted(key.scopes))}")
            print(f"{text}\n\nThis is the key of {key.name} ({key.key_id}). It is shown this once; keep it safe.")
        elif given.command == "list":
            Console(highlight=False, markup=False).print(_table(store))
        else:
            key = revoke_key(store, given.key_id, now)
            note(settings, "keys.revoke", key.key_id)
            print(f"the key of {key.name} ({key.key_id}) is revoked")
    except (UnusableKeyError, SettingsError) as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _table(store: StateStore) -> Table:
    table = Table("id", "name", "scopes", "made (UTC)", "revoked (UTC)")
    for key in list_keys(store):
        times = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.revoked_at)]
        table.add_row(key.key_id, key.name, " ".join(sorted(key.scopes)), *times)
    return table
