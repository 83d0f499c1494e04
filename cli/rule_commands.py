"""The arguments of `quintet rules`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.command import run_command

rules_app = typer.Typer(help="Rules and lists of promotions and payments.", no_args_is_help=True)

RulesOf = Annotated[str, typer.Argument(metavar="BUSINESS", help="promotions or payments.")]
RulesFile = Annotated[Path, typer.Argument(metavar="FILE", help="Rules as TOML.")]


@rules_app.command("list", epilog="Example: quintet rules list promotions")
def list_rules(business: RulesOf) -> None:
    """Show every version, and how many entries each list has."""
    _rules("list", business)


@rules_app.command("test", epilog="Example: quintet rules test promotions rules.toml")
def test_rules(business: RulesOf, file: RulesFile) -> None:
    """Show what the rules would change for the published accounts; nothing is saved."""
    _rules("test", business, path=file.absolute())


@rules_app.command("save", epilog="Example: quintet rules save promotions rules.toml --shadow")
def save_rules(
    business: RulesOf,
    file: RulesFile,
    shadow: Annotated[bool, typer.Option("--shadow", help="Run them in shadow; they decide nothing.")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Although they block more than 5%.")] = False,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
) -> None:
    """Test and save rules; they decide at once."""
    mode = "shadow" if shadow else "activate"
    _rules("save", business, path=file.absolute(), mode=mode, reason=note, confirmed=confirm)


@rules_app.command("drop", epilog="Example: quintet rules drop promotions")
def drop_rules(business: RulesOf) -> None:
    """End the rules in shadow."""
    _rules("drop", business)


@rules_app.command("entries", epilog="Example: quintet rules entries promotions disposable domains.txt")
def change_entries(
    business: RulesOf,
    name: Annotated[str, typer.Argument(metavar="LIST", help="A list that the rules declare.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One entry a line.")],
    expires: Annotated[datetime | None, typer.Option(help="When the entries end, UTC.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them.")] = False,
) -> None:
    """Add the entries of a file to a list, or remove them: all or none."""
    at = expires.replace(tzinfo=UTC) if expires is not None else None
    _rules("entries", business, name=name, path=file.absolute(), expires=at, remove=remove)


def _rules(action: str, business: str, **given: object) -> None:
    def work(_: Path) -> int:
        from cli import rules as module  # noqa: PLC0415

        return module.main(action, business, **given)

    run_command(work, "stopped")
