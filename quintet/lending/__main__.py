"""`quintet models what-if`: decide past applications with another policy file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from quintet.lending.models import active_model, registry_of
from quintet.lending.policy import PolicyError, read_policy
from quintet.lending.scoring import ModelFileError
from quintet.lending.settings import LendingSettings
from quintet.lending.tables import TRAINING_SET
from quintet.lending.what_if import WhatIf, compare, score_applications
from quintet.ml.model_registry import ModelRegistry, RegistryError
from quintet.settings import Settings, SettingsError, load_settings
from quintet.warehouse.snapshot import NoSnapshotError, current_snapshot, open_snapshot


class CommandError(RuntimeError):
    """The command failed; the message says why and what to do."""


_FAULTS = (CommandError, RegistryError, ModelFileError, PolicyError, SettingsError, NoSnapshotError, OSError)


def main(arguments: Sequence[str]) -> int:
    """Print the tables; return 0, or 2 if that failed."""
    parser = argparse.ArgumentParser(prog="python -m quintet.lending", description=__doc__)
    parser.add_argument("policy", type=Path, help="the policy file")
    given = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False)
    try:
        settings = load_settings()
        for table in _changes(_what_if(settings, registry_of(settings.models), given.policy)):
            console.print(table)
    except _FAULTS as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def _what_if(settings: Settings, registry: ModelRegistry, path: Path) -> WhatIf:
    before, after = read_policy(settings.of(LendingSettings).lending_policy), read_policy(path)
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
