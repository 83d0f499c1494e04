"""`quintet models`: list the scoring models, go back to the one before, and try a policy on past applications."""

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
    """The command cannot be done; the text says why, and the mend."""


_FAULTS = (CommandError, RegistryError, ModelFileError, PolicyError, SettingsError, NoSnapshotError, OSError)


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 if it did what it was asked, 2 where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m quintet.lending", description="Scoring models and policies.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show all kept models, which is in force and which is in shadow")
    commands.add_parser("rollback", help="put the model in force again that was before this one")
    use = commands.add_parser("use", help="put a kept model in force")
    use.add_argument("version", help="as `list` shows it")
    challenge = commands.add_parser("challenge", help="try a kept model in shadow beside the one in force")
    challenge.add_argument("version", help="as `list` shows it, or none")
    what_if = commands.add_parser("what-if", help="replay past applications under another policy file")
    what_if.add_argument("policy", type=Path, help="the file")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        settings = load_settings()
        registry = registry_of(settings.models)
        if given.command == "list":
            console.print(_models(registry))
        elif given.command == "rollback":
            print(f"{registry.roll_back().version} is in force again; the service takes it within seconds")
        elif given.command == "use":
            _check(registry, given.version)
            registry.use(given.version)
            print(f"{given.version} is in force; the service takes it within seconds")
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
    """Raises CommandError for a version that is not kept; one that cannot be read is refused by the registry."""
    known = [kept.version for kept in registry.versions()]
    if version not in known:
        raise CommandError(f"there is no model {version}; there are {', '.join(known) or 'none yet'}")


def _models(registry: ModelRegistry) -> Table:
    table = Table("model", "state", "learnt (UTC)", "ended loans", "why")
    for row in state_of(registry).to_dict("records"):
        table.add_row(row["version"], row["state"], row["trained_at"], f"{row['ended_loans']:,}", row["why"])
    return table


def _what_if(settings: Settings, registry: ModelRegistry, path: Path) -> WhatIf:
    before, after = read_policy(settings.lending_policy), read_policy(path)
    model = active_model(registry)
    if model is None:
        raise CommandError("no scoring model is in force yet; `make run SELECT=lending` learns one")
    with open_snapshot(current_snapshot(settings.serving)) as snapshot:
        try:
            applications = snapshot.execute(f"from {TRAINING_SET} order by application_id").df()
        except duckdb.CatalogException:
            raise CommandError("no training set is published yet; `make run SELECT=lending` makes one") from None
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
