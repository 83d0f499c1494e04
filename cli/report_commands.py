"""The arguments of `quintet reports`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.command import run_command

reports_app = typer.Typer(help="Reports that are sent by e-mail on a schedule.", no_args_is_help=True)


@reports_app.command("list", epilog="Example: quintet reports list")
def list_reports() -> None:
    """Show the active schedules: who gets what when."""
    from cli import report_schedules  # noqa: PLC0415

    run_command(lambda _: report_schedules.list_schedules(), "nothing was changed")


@reports_app.command("end", epilog="Example: quintet reports end 3")
def end_report(schedule_id: Annotated[int, typer.Argument(metavar="ID", help="As `reports list` shows it.")]) -> None:
    """End a schedule: nothing is sent any more."""
    from cli import report_schedules  # noqa: PLC0415

    run_command(lambda _: report_schedules.end(schedule_id), "the schedule may still be active")
