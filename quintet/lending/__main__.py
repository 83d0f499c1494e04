"""`quintet models`: list, activate and roll back scoring models, and try a policy on past applications."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from quintet.lending.models import active_model, registry_of, state_of
from quintet.lending.policy import PolicyError, read_policy
from quintet.lending.scoring import ModelFileError
from quintet.lending.tables import TRAINING_SET
from quintet.lending.what_if import WhatIf, compare, score_applications
from quintet.ml.model_registry import ModelRegistry, RegistryError
from quintet.settings import Settings, SettingsError, load_settings
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot


class CommandError(RuntimeError):
    """The command failed; the message says why and what to do."""


_FAULTS = (CommandError, RegistryError, ModelFileError, PolicyError, SettingsError, NoSnapshotError, OSError)


def main(arguments: Sequence[str]) -> int:
    """Run one command; return 0, or 2 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m quintet.lending", description="Scoring models and policies.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the models of the registry, with the active one and the challenger")
    commands.add_parser("rollback", help="activate the previous model again")
    use = commands.add_parser("use", help="activate a model of the registry")
    use.add_argument("version", help="as `list` shows it")
    challenge = commands.add_parser("challenge", help="run a model in shadow beside the active one")
    challenge.add_argument("version", help="as `list` shows it, or none")
    what_if = commands.add_parser("what-if", help="decide past applications with another policy file")
    what_if.add_argument("policy", type=Path, help="the file")
    given = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        settings = load_settings()
        registry = registry_of(settings.models)
        if given.command == "list":
            console.print(_models(registry))
        elif given.command == "rollback":
            print(f"{registry.roll_back().version} is active again; the service loads it within seconds")
        elif given.command == "use":
            _check(registry, given.version)
            registry.use(given.version)
            print(f"{given.version} is active; the service loads it within seconds")
        elif given.command == "challenge":
            version = None if given.version == "none" else given.version
            if version is not None:
                _check(registry, version)
            registry.challenge(version)
            print(f"{given.version} is in shadow; its decisions are logged and change nothing")
        else:
            for table in _changes(_what_if(settings, registry, given.policy)):
                console.print(table)
    except _FAULTS as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _check(registry: ModelRegistry, version: str) -> None:
    """Raise CommandError for an unknown version; the registry itself refuses one that it cannot read."""
    known = [kept.version for kept in registry.versions()]
    if version not in known:
        raise CommandError(f"there is no model {version}; the registry has {', '.join(known) or 'none yet'}")


def _models(registry: ModelRegistry) -> Table:
    table = Table("model", "state", "trained (UTC)", "ended loans", "why")
    for row in state_of(registry).to_dict("records"):
        table.add_row(row["version"], row["state"], row["trained_at"], f"{row['ended_loans']:,}", row["why"])
    return table


def _what_if(settings: Settings, registry: ModelRegistry, path: Path) -> WhatIf:
    before, after = read_policy(settings.lending_policy), read_policy(path)
    model = active_model(registry)
    if model is None:
        raise CommandError("no scoring model is active yet; `make run SELECT=lending` trains one")
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        try:
            applications = snapshot.execute(f"from {TRAINING_SET} order by application_id").df()
        except duckdb.CatalogException:
            raise CommandError("no training set is published yet; `make run SELECT=lending` builds one") from None
    was, now = (score_applications(applications, model, policy) for policy in (before, after))
    return compare(was, was["decision"].to_numpy(), now["decision"].to_numpy())


def _changes(found: WhatIf) -> tuple[Table, Table]:
    policies = Table("policy", "approved", "referred", "rejected", "lent", "expected loss", "realised defaults")
    for row in found.policies.to_dict("records"):
        policies.add_row(
            row["policy"], *(f"{row[name]:,}" for name in ("approvals", "referrals", "rejections")),
            f"{row['amount']:,.0f}", f"{row['expected_loss']:,.0f}", _defaults(row),
        )  # fmt: skip
    swaps = Table("approvals that", "applications", "lent", "expected loss", "realised defaults")
    words = {"in": "are new", "out": "are no longer", "stays": "stay"}
    for row in found.swaps.to_dict("records"):
        swaps.add_row(
            words[row["swap"]], f"{row['applications']:,}", f"{row['amount']:,.0f}", f"{row['expected_loss']:,.0f}",
            _defaults(row),
        )  # fmt: skip
    return policies, swaps


def _defaults(row: dict) -> str:
    if not row["known_outcomes"]:
        return "none known"
    low, high = row["default_share_low"], row["default_share_high"]
    return f"{row['default_share']:.1%} ({low:.1%} to {high:.1%}) of {row['known_outcomes']:,}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
