"""`quintet keys`: create, list and revoke keys of the API."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress

from rich.console import Console
from rich.table import Table

from cli.audits import note
from quintet.domains import ROW_POLICIES, SCOPES
from quintet.row_policy import check_binding, unknown_values
from quintet.settings import Settings, SettingsError, load_settings
from quintet.state.binding import Binding, UnusableBindingError
from quintet.state.keys import UnusableKeyError, check_scopes, create_key, list_keys, revoke_key
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status: 0, or 2 after printing why it failed."""
    parser = argparse.ArgumentParser(prog="keys", description="Manage the keys of the API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="create a key and show it once")
    create.add_argument("--name", required=True, help="owner of the key")
    create.add_argument("--scopes", required=True, help=f"scopes, separated by commas: {', '.join(SCOPES)}")
    for kind in ROW_POLICIES:
        create.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            metavar="VALUES",
            help=f"show the rows of these values of {kind} alone; separated by commas, or repeated",
        )
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
            binding = _binding(given)
            if binding is not None:
                check_binding(binding, set(scopes), ROW_POLICIES)
                _warn_of_unknown(settings, binding)
            key, text = create_key(store, given.name, scopes, now, os.urandom, binding)
            bound = f" bound to {binding}" if binding else ""
            note(settings, "keys.create", f"{key.key_id} {' '.join(sorted(key.scopes))}{bound}")
            print(
                f"{text}\n\nThis is the key of {key.name} ({key.key_id}){bound}. It is shown this once; keep it safe."
            )
        elif given.command == "list":
            Console(highlight=False, markup=False).print(_table(store))
        else:
            key = revoke_key(store, given.key_id, now)
            note(settings, "keys.revoke", key.key_id)
            print(f"the key of {key.name} ({key.key_id}) is revoked")
    except (UnusableKeyError, UnusableBindingError, SettingsError) as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _binding(given: argparse.Namespace) -> Binding | None:
    values = {kind: [part for text in getattr(given, kind) for part in text.split(",")] for kind in ROW_POLICIES}
    return Binding.of(values)


def _warn_of_unknown(settings: Settings, binding: Binding) -> None:
    """Print the values that the current snapshot does not have: the key shows nothing of them until it has."""
    with suppress(NoSnapshotError), closing(open_snapshot(current_snapshot(settings.serving))) as snapshot:
        for kind, values in unknown_values(snapshot, binding, ROW_POLICIES).items():
            print(
                f"{kind}: the current snapshot has no {', '.join(values)}; the key shows nothing of it until it has. "
                "Check the spelling.",
                file=sys.stderr,
            )


def _table(store: StateStore) -> Table:
    table = Table("id", "name", "scopes", "bound to", "made (UTC)", "revoked (UTC)")
    for key in list_keys(store):
        times = [f"{at:%Y-%m-%d %H:%M}" if at else "" for at in (key.created_at, key.revoked_at)]
        bound = str(key.binding) if key.binding else ""
        table.add_row(key.key_id, key.name, " ".join(sorted(key.scopes)), bound, *times)
    return table
