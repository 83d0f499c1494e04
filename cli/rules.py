"""`quintet rules`: test, save, drop and list the rules of a business, and change their lists, from files."""

from __future__ import annotations

import datetime as dt
import getpass
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from cli.audits import note
from quintet.domains import DOMAINS, open_state_store
from quintet.rules.backtest import Backtest
from quintet.rules.evaluate import Evaluator
from quintet.rules.figures import RuleGrammar
from quintet.rules.rule_set import RuleSet
from quintet.rules.saving import Author, ConfirmationError, change_list, drop_shadow, readable, rules_now, save
from quintet.rules.store import EntryChange, changes_of, entry_counts, stored_lists
from quintet.settings import Settings, load_settings
from quintet.state.store import StateStore
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot

MODULES = {domain.name: domain.rules for domain in DOMAINS if domain.rules}


class CommandError(ValueError):
    """The command failed; the message says why and what to do."""


def main(action: str, business: str, **given: Any) -> int:
    """Run one command; return 0, or 2 after printing why it failed."""
    try:
        settings = load_settings()
        if business not in MODULES:
            raise CommandError(f"{business} has no rules; there are {', '.join(MODULES)}")
        module = importlib.import_module(MODULES[business])
        with closing(open_state_store(settings.state)) as store:
            print(_COMMANDS[action](settings, store, module, **given))
        if action not in ("list", "test"):
            note(settings, f"rules.{action}", " ".join([business, *(str(each) for each in given.values() if each)]))
    except (ValueError, LookupError, OSError) as fault:
        print(fault.args[0] if isinstance(fault, LookupError) else fault, file=sys.stderr)
        return 2
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8; save it as UTF-8") from None


def _author(reason: str | None = None) -> Author:
    return Author(getpass.getuser(), dt.datetime.now(dt.UTC), reason)


def _tested(settings: Settings, store: StateStore, module: Any, path: Path) -> tuple[RuleSet, Backtest | None]:
    """Return the rules of a file, and what they change; no backtest where nothing is published."""
    grammar: RuleGrammar = module.GRAMMAR
    try:
        rules = readable(store, grammar, _read(path))
    except ValueError as error:
        raise CommandError(f"{path}: {error}") from None
    now = rules_now(store, grammar).active
    active = RuleSet.from_text(now.content, grammar) if now is not None else None
    try:
        with open_snapshot(current_snapshot(settings.serving)) as cursor:
            found = module.backtest_of(
                cursor,
                None if active is None else _evaluator(store, grammar, active),
                _evaluator(store, grammar, rules),
                dt.datetime.now(dt.UTC).timestamp(),
            )
    except NoSnapshotError:
        return rules, None
    return rules, found


def _evaluator(store: StateStore, grammar: RuleGrammar, rules: RuleSet) -> Evaluator:
    return Evaluator(rules, grammar, stored_lists(store, grammar.domain, rules))


def _test(settings: Settings, store: StateStore, module: Any, path: Path) -> str:
    rules, found = _tested(settings, store, module, path)
    if found is None:
        return f"{path}: version {rules.version} is valid; there is nothing to test it on"
    table = Table("change", "all", "confirmed", "honest", "not labelled", title=f"version {rules.version}")
    for move in found.moves:
        counts = (move.subjects, move.confirmed, move.honest, move.unlabelled)
        table.add_row(f"{move.before} to {move.after}", *(f"{count:,}" for count in counts))
    Console(highlight=False, markup=False).print(table)
    return (
        f"the rules block {found.blocked:,} of {found.subjects:,} {module.GRAMMAR.subject}s "
        f"({found.blocked_share:.1%}); saved {found.saved:,.2f}, withheld from honest ones {found.forgone:,.2f}"
    )


def _save(
    settings: Settings,
    store: StateStore,
    module: Any,
    path: Path,
    mode: Literal["activate", "shadow"],
    reason: str | None,
    confirmed: bool,
) -> str:
    rules, found = _tested(settings, store, module, path)
    try:
        save(store, module.GRAMMAR, rules, mode, _author(reason), found, confirmed)
    except ConfirmationError as error:
        raise CommandError(f"{error} with --confirm") from None
    state = "is active" if mode == "activate" else "runs in shadow"
    return f"version {rules.version} {state}; a running service uses it within seconds"


def _drop(_: Settings, store: StateStore, module: Any) -> str:
    dropped = drop_shadow(store, module.GRAMMAR, _author())
    return "no rules run in shadow" if dropped is None else f"version {dropped.version} no longer runs in shadow"


def _list(_: Settings, store: StateStore, module: Any) -> str:
    table = Table("changed (UTC)", "version", "change", "by", "why")
    for change in changes_of(store, module.GRAMMAR.domain):
        at = f"{change.changed_at:%Y-%m-%d %H:%M}"
        table.add_row(at, change.version, change.action, change.changed_by, change.note or "")
    Console(highlight=False, markup=False).print(table)
    counts = entry_counts(store, module.GRAMMAR.domain, dt.datetime.now(dt.UTC))
    return "".join(f"list {name}: {count:,} entries\n" for name, count in counts.items()).rstrip()


def _entries(
    _: Settings, store: StateStore, module: Any, name: str, path: Path, expires: dt.datetime | None, remove: bool
) -> str:
    changes = (EntryChange(entry, expires, not remove) for entry in _lines(path))
    try:
        written = change_list(store, module.GRAMMAR, name, changes, _author())
    except ValueError as error:
        raise CommandError(f"{path}: {error}. No entry was changed.") from None
    return f"list {name}: {written:,} entries {'removed' if remove else 'added'}"


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        yield from (line.strip() for line in lines if line.strip())


_COMMANDS: Mapping[str, Callable[..., str]] = {
    "test": _test,
    "save": _save,
    "drop": _drop,
    "list": _list,
    "entries": _entries,
}
