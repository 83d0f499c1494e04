"""The commands that an operator needs: back up, restore, forget a person, read the audit log, serve an assistant."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.command import run_command
from cli.faults import without_traceback
from cli.home import enter_project
from quintet.private_files import write_for_owner_only


def add_operations(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for name, command, example in (
        ("backup", _backup, "backup /backups/quintet-2026-11-30.tar"),
        ("restore", _restore, "restore /backups/quintet-2026-11-30.tar"),
        ("forget", _forget, "forget --user 1001"),
        ("audit", _audit, "audit --last 100"),
        ("contracts", _contracts, "contracts --to contracts"),
        ("mcp", _mcp, "mcp --key-file ana.key"),
    ):
        app.command(name, epilog=f"Example: quintet {example}")(command)


def _backup(to: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write; it must not exist.")]) -> None:
    """Back up the home to one file; everything may go on meanwhile."""
    path = to.absolute()  # before the folder changes

    def work(_: Path) -> int:
        from cli import backups as module  # noqa: PLC0415

        return module.backup(path)

    run_command(work, "stopped; no backup was written")


def _restore(source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A file of `quintet backup`.")]) -> None:
    """Restore the home from a backup; the present home is moved aside."""
    path = source.absolute()

    def work() -> int:
        from cli import backups as module  # noqa: PLC0415

        return module.restore_backup(path)

    write_for_owner_only()
    enter_project(os.environ)
    sys.exit(without_traceback(work))  # it prepares no home: what is there is moved aside


def _forget(
    user: Annotated[str | None, typer.Option(metavar="ID", help="A user of promotions.")] = None,
    client: Annotated[str | None, typer.Option(metavar="ID", help="A client of lending.")] = None,
    recipient: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Who gets reports by e-mail.")] = None,
) -> None:
    """Erase a person everywhere, for good; stop everything else first."""

    def work(_: Path) -> int:
        from cli import forgetting as module  # noqa: PLC0415

        return module.main(user, client, recipient)

    run_command(work, "stopped; run it again to complete it")


def _audit(last: Annotated[int, typer.Option(min=1, help="How many of the last entries to show.")] = 50) -> None:
    """Show who read or changed what, and check that no entry was changed or cut."""

    def work(_: Path) -> int:
        from cli import audits as module  # noqa: PLC0415

        return module.show(last)

    run_command(work, "stopped")


def _mcp(
    key_file: Annotated[Path, typer.Option(help="File with the key of the caller; its scopes say what can be asked.")],
    url: Annotated[str | None, typer.Option(help="The service; by default on this machine, QUINTET_PORT.")] = None,
) -> None:
    """Offer the routes that read to an assistant: tools of the Model Context Protocol, over stdin and stdout."""
    file = key_file.absolute()
    enter_project(os.environ)

    def work() -> int:
        from cli import assistant as module  # noqa: PLC0415
        from quintet.settings import load_settings  # noqa: PLC0415

        settings = load_settings()
        return module.main(url or settings.local_url(settings.port), file)

    sys.exit(without_traceback(work))


def _contracts(to: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("contracts")) -> None:
    """Write the contracts of the published tables as Open Data Contracts, one file for each business."""
    folder = to.absolute()
    enter_project(os.environ)

    def work() -> int:
        from quintet.contracts import write_contracts  # noqa: PLC0415

        for file in write_contracts(folder):
            print(f"wrote {file}")
        return 0

    sys.exit(without_traceback(work))
