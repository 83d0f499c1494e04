"""`quintet clean`: remove what a run builds again; what nothing can build again is only removed on request."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from cli.daemon_lock import is_daemon_alive
from cli.home import PROJECT, HomeError
from quintet.embedded import object_store, postgres

KEPT = {
    "online": "API keys, decisions, labels, silences, incidents, cases and features",
    "models": "trained models and which of them are active",
    "objects": "the change log",
    "postgres": "the embedded database",
    "failures.jsonl": "failed runs",
}
"""What `quintet clean` keeps: nothing builds it again. An entry with the suffix `.lock` belongs to the one without."""

_DBT = ("target", "logs")
_YES = "delete"


def clean(home: Path, raw: Path, everything: bool, ask: Callable[[str], str], is_terminal: bool) -> int:
    """Remove the entries of the home; return 0, or 2 if the user did not confirm.

    everything: also what is in KEPT, after asking. The inboxes always stay. Raises HomeError while servers use it.
    """
    _check_unused(home)
    entries = [entry for entry in sorted(home.iterdir()) if not _holds(entry, raw)] if home.is_dir() else []
    kept = [entry for entry in entries if _kept_name(entry) in KEPT]
    if everything and kept:
        listed = "\n".join(f"  {entry}: {KEPT[_kept_name(entry)]}" for entry in kept if entry.suffix != ".lock")
        print(f"this also deletes, for good:\n{listed}")
        if not is_terminal:
            print("not deleted: confirm it in a terminal, or delete these yourself", file=sys.stderr)
            return 2
        if ask(f"type {_YES} to delete them: ").strip() != _YES:
            print("nothing was deleted", file=sys.stderr)
            return 2
        kept = []
    for entry in entries:
        if entry not in kept:
            _remove(entry)
    for name in _DBT:
        _remove(PROJECT / "dbt_project" / name)
    shown = [entry for entry in kept if entry.suffix != ".lock"]
    print(f"removed what `quintet run` builds again from {home}")
    if shown:
        print("kept, because nothing can build it again:")
        for entry in shown:
            print(f"  {entry}: {KEPT[_kept_name(entry)]}")
        print("to delete these too: quintet clean --everything")
    return 0


def _check_unused(home: Path) -> None:
    servers = (postgres.running_url(home / "postgres"), object_store.running_url(home / "objects"))
    has_daemon = (home / "dagster").is_dir() and is_daemon_alive(home / "dagster")
    if has_daemon or any(servers):
        raise HomeError(f"{home} is in use. Stop `quintet up`, `quintet dev` or `quintet stream` first.")


def _kept_name(entry: Path) -> str:
    return entry.name.removesuffix(".lock")


def _holds(entry: Path, raw: Path) -> bool:
    """Return whether the inboxes are in this entry, or are it."""
    return raw.resolve().is_relative_to(entry.resolve())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
