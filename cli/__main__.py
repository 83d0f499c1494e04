"""The command `quintet`. Each command imports what it needs when it runs, to keep `--help` and short runs fast."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.command import run_command
from cli.faults import without_traceback
from cli.home import enter_project
from cli.loading import loading
from cli.operations import add_operations
from cli.report_commands import reports_app
from cli.rule_commands import rules_app

app = typer.Typer(
    name="quintet",
    help="Five businesses in one DuckDB warehouse. Start with: quintet run",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys_app = typer.Typer(help="Keys of the API.", no_args_is_help=True)
models_app = typer.Typer(help="The trained models of all businesses, and policies of lending.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
app.add_typer(models_app, name="models")
app.add_typer(reports_app, name="reports")
app.add_typer(rules_app, name="rules")
add_operations(app)

_PORT = 3000


class Engine(StrEnum):
    """What runs the heavy steps."""

    DUCKDB = "duckdb"
    SPARK = "spark"


DagsterPort = Annotated[int, typer.Option(min=1, max=65_535, help="Port of the Dagster UI.")]


@app.command(epilog="Example: quintet run --select conversions")
def run(
    select: Annotated[
        str | None, typer.Option(metavar="BUSINESS", help="One business, such as lending, with everything it needs.")
    ] = None,
    train: Annotated[
        str | None, typer.Option("--train", metavar="BUSINESS", help="Train the model of this business again.")
    ] = None,
    accept_losses: Annotated[
        bool,
        typer.Option("--accept-losses", help="Publish although tables, rows or files of the last snapshot are gone."),
    ] = False,
    engine: Annotated[
        Engine | None, typer.Option(help="What runs the heavy steps; by default what QUINTET_ENGINE names.")
    ] = None,
    brief: Annotated[bool, typer.Option("--brief", hidden=True)] = False,
) -> None:
    """Build what is not up to date, publish it, and print a summary."""
    if engine is not None:
        os.environ["QUINTET_ENGINE"] = engine  # the processes of the run read it too

    def work(_: Path) -> int:
        from cli.early_dbt import start_dbt  # noqa: PLC0415

        with closing(start_dbt()):
            with loading():
                from cli import run as module  # noqa: PLC0415

            return module.run(select, train, brief, accept_losses)

    run_command(work, "the run was stopped; nothing half-built was published. Run it again to continue.")


@app.command(epilog="Example: quintet dev --dagster-port 3001")
def dev(dagster_port: DagsterPort = _PORT) -> None:
    """Start Dagster's UI and daemon, with sensors and schedules on."""

    def work(home: Path) -> int:
        from cli import services  # noqa: PLC0415

        return services.dev(home, dagster_port)

    run_command(work, "stopped; unfinished runs are recorded as canceled or failed")


@app.command(epilog="Example: QUINTET_PORT=8080 quintet serve")
def serve() -> None:
    """Serve the API and the pages."""

    def work(_: Path) -> int:
        from cli.ports import need_free  # noqa: PLC0415
        from quintet.settings import load_settings  # noqa: PLC0415

        settings = load_settings()
        need_free(settings.host, settings.port, "the pages and the API", "set QUINTET_PORT")
        from quintet.web import __main__ as web  # noqa: PLC0415

        try:
            return web.main()
        except KeyboardInterrupt:  # the server has shut down cleanly and re-raises the signal
            return 0

    run_command(work, "stopped")


@app.command(epilog="Example: quintet image --tag quintet:1")
def image(
    tag: Annotated[str, typer.Option(help="Name of the image.")] = "quintet",
    folder: Annotated[Path, typer.Option(help="Folder of a build without docker and podman.")] = Path("data/image"),
) -> None:
    """Build the container image of this checkout, with docker or podman, or as root on Debian with buildah."""
    absolute = folder.absolute()
    enter_project(os.environ)

    def work() -> int:
        from cli import image as module  # noqa: PLC0415

        return module.image(tag, absolute)

    sys.exit(without_traceback(work))


@app.command(epilog="Example: quintet health stream")
def health(
    part: Annotated[str, typer.Argument(metavar="[PART]", help="serve, stream or dagster.")] = "serve",
    dagster_port: DagsterPort = _PORT,
) -> None:
    """Ask whether a part that runs on this machine answers; exit with 1 if not."""
    enter_project(os.environ)

    def work() -> int:
        from cli import health as module  # noqa: PLC0415

        if part not in list(module.Part):
            print(f"no part is called {part}; there are {', '.join(module.Part)}", file=sys.stderr)
            return 2
        return module.health(module.Part(part), dagster_port)

    sys.exit(without_traceback(work))


@app.command(epilog="Example: quintet up --simulate 20")
def up(
    simulate: Annotated[float | None, typer.Option(min=0.001, help="Simulate this many applications a second.")] = None,
    dagster_port: DagsterPort = _PORT,
) -> None:
    """Run everything together: PostgreSQL, S3 server, stream, Dagster, API and pages."""

    def work(home: Path) -> int:
        from cli import up as module  # noqa: PLC0415

        return module.up(home, dagster_port, simulate)

    run_command(work, "everything is stopped")


@app.command(epilog="Example: quintet stream --new-snapshot")
def stream(
    new_snapshot: Annotated[bool, typer.Option("--new-snapshot", help="Start over with all rows.")] = False,
    standby: Annotated[
        bool, typer.Option("--standby", help="While another stream reads the slot, wait, and take over from it.")
    ] = False,
) -> None:
    """Stream changes from PostgreSQL into the features and the object store."""

    def work(_: Path) -> int:
        from quintet.replication import __main__ as module  # noqa: PLC0415

        return module.main(["--new-snapshot"] * new_snapshot + ["--standby"] * standby)

    run_command(work, "the stream is stopped; the next start continues where it stopped")


@app.command(epilog="Example: quintet sample --scale 0.1 --seed 7 --to /tmp/inboxes")
def sample(
    scale: Annotated[float, typer.Option(help="1.0 is about the size of the public datasets.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed and scale write the same bytes.")] = 7,
    to: Annotated[Path, typer.Option(help="Folder of the inboxes.")] = Path("data/generated"),
) -> None:
    """Write generated inbox files of every dataset, and their truth in a folder beside them."""
    folder = to.absolute()

    def work(_: Path) -> int:
        from cli import sample as module  # noqa: PLC0415

        return module.main(["--scale", str(scale), "--seed", str(seed), "--to", str(folder)])

    run_command(work, "stopped; the files may be incomplete")


@app.command(epilog="Example: quintet send data/raw/transactions/transactions_1.csv --speed 60")
def send(
    file: Annotated[Path, typer.Argument(help="A CSV file of transactions, as for the inbox.")],
    speed: Annotated[float, typer.Option(min=0, help="Minutes of the file to send in a minute; 0: no pause.")] = 60.0,
    day: Annotated[str | None, typer.Option(help="Day of a file without dates; by default from its name.")] = None,
    url: Annotated[str | None, typer.Option(help="The service; by default on this machine, QUINTET_PORT.")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="File with a key with payments:write; by default QUINTET_ADMIN_KEY, or a new local key."),
    ] = None,
) -> None:
    """Send a file of transactions to a running service, minute by minute."""
    path = file.absolute()
    secret = str(key_file.absolute()) if key_file else None  # before the folder changes
    named = (("--day", day), ("--url", url), ("--key-file", secret))
    options = [word for name, value in named if value for word in (name, value)]

    def work(_: Path) -> int:
        from quintet.payments import __main__ as module  # noqa: PLC0415

        return module.main(["--file", str(path), "--speed", str(speed), *options])

    run_command(work, "stopped")


@app.command(epilog="Example: quintet simulate --rate 200 --seconds 60")
def simulate(
    rate: Annotated[float, typer.Option(help="Applications a second.")] = 20.0,
    seconds: Annotated[float, typer.Option(help="For how long; 0: until stopped.")] = 60.0,
) -> None:
    """Simulate a CRM that commits loan applications and requests decisions."""

    def work(_: Path) -> int:
        from quintet.samples import crm  # noqa: PLC0415

        return crm.main(["--rate", str(rate), "--seconds", str(seconds)])

    run_command(work, "stopped")


@app.command(epilog="Example: QUINTET_POSTGRES_URL=postgresql://me@host/db quintet fill")
def fill() -> None:
    """Fill the empty tables of QUINTET_POSTGRES_URL from the inboxes."""

    def work(_: Path) -> int:
        from quintet.promotions import postgres_extract as source  # noqa: PLC0415

        return source.main()

    run_command(work, "stopped")


@app.command(
    epilog="Example: quintet bench ingest --quick",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The benchmark, or all; without a name: list them.")] = None,
) -> None:
    """Run one benchmark beside its comparator; options after the name go to the benchmark (--quick: under 20 s)."""
    words = [*([name] if name else []), *context.args]

    def work(_: Path) -> int:
        import subprocess  # noqa: PLC0415

        return subprocess.run([sys.executable, "-m", "bench", *words], check=False).returncode

    run_command(work, "stopped")


@app.command(epilog="Example: quintet clean")
def clean(
    everything: Annotated[
        bool, typer.Option("--everything", help="Also keys, decisions, labels, models and databases, after asking.")
    ] = False,
) -> None:
    """Remove what a run builds again, and keep what nothing can build again."""
    enter_project(os.environ)

    def work() -> int:
        from cli import clean as module  # noqa: PLC0415

        home, raw = Path(os.environ["QUINTET_HOME"]), Path(os.environ["QUINTET_RAW"])
        status = module.clean(home, raw, everything, input, sys.stdin.isatty())
        if (home / "online").is_dir():  # the audit log is still there
            from cli.audits import note  # noqa: PLC0415
            from quintet.settings import load_settings  # noqa: PLC0415

            note(load_settings(), "clean", str(home), "done" if status == 0 else "refused")
        return status

    sys.exit(without_traceback(work))


@keys_app.command("list", epilog="Example: quintet keys list")
def list_keys() -> None:
    """Show all keys, without their secrets."""
    _keys(["list"])


@keys_app.command("create", epilog="Example: quintet keys create --name Ana --scopes insurance:read,promotions:read")
def create_key(
    name: Annotated[str, typer.Option(help="Owner of the key.")],
    scopes: Annotated[str, typer.Option(help="Scopes, separated by commas; admin for everything.")],
    agency: Annotated[list[str] | None, typer.Option(help="Show the rows of these agencies alone.")] = None,
    partner: Annotated[list[str] | None, typer.Option(help="Show the rows of these partners alone.")] = None,
) -> None:
    """Create a key and show it once."""
    bound = [f"--{kind}={one}" for kind, given in (("agency", agency), ("partner", partner)) for one in given or ()]
    _keys(["create", "--name", name, "--scopes", scopes, *bound])


@keys_app.command("revoke", epilog="Example: quintet keys revoke 1a2b3c4d")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]) -> None:
    """Revoke a key for good."""
    _keys(["revoke", key_id])


Business = Annotated[str, typer.Argument(metavar="BUSINESS", help="conversions, promotions or lending.")]
Version = Annotated[str, typer.Argument(help="As `models list` shows it.")]


@models_app.command("list", epilog="Example: quintet models list lending")
def list_models(
    business: Annotated[str | None, typer.Argument(metavar="[BUSINESS]", help="One business; by default all.")] = None,
) -> None:
    """Show all models: which is active, which is the challenger, and the promotion gate's verdict on each."""
    _models("list", business)


@models_app.command("train", epilog="Example: quintet models train promotions")
def train_model(business: Business) -> None:
    """Train the model of a business again; it becomes active if it passes the promotion gate."""
    run(train=business)


@models_app.command(epilog="Example: quintet models activate lending scorecard-1a2b3c4d5e6f")
def activate(business: Business, version: Version) -> None:
    """Make a version active."""
    _models("activate", business, version)


@models_app.command(epilog="Example: quintet models rollback conversions")
def rollback(business: Business) -> None:
    """Make the version that was active before active again."""
    _models("rollback", business)


@models_app.command(epilog="Example: quintet models challenge lending none")
def challenge(
    business: Business, version: Annotated[str, typer.Argument(help="As `models list` shows it, or none.")]
) -> None:
    """Compare a version with the active one; in lending it decides in shadow beside it."""
    _models("challenge", business, version)


@models_app.command(epilog="Example: quintet models compare promotions")
def compare(
    business: Business,
    version: Annotated[
        str | None, typer.Argument(help="By default the challenger, else the version that was active before.")
    ] = None,
) -> None:
    """Show how a version differs from the active one."""
    _models("compare", business, version)


@models_app.command("what-if", epilog="Example: quintet models what-if policy/lending.toml")
def what_if(policy: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")]) -> None:
    """Show how another policy would have decided past applications."""
    path = str(policy.absolute())

    def work(_: Path) -> int:
        from quintet.lending import __main__ as module  # noqa: PLC0415

        return module.main([path])

    run_command(work, "stopped")


def main() -> None:
    """Run the command line."""
    app(prog_name="quintet")


def _keys(arguments: list[str]) -> None:
    def work(_: Path) -> int:
        from cli import keys as module  # noqa: PLC0415

        return module.main(arguments)

    run_command(work, "stopped")


def _models(action: str, *arguments: str | None) -> None:
    def work(_: Path) -> int:
        from cli import models as module  # noqa: PLC0415

        return module.main(action, *arguments)

    run_command(work, "stopped")


if __name__ == "__main__":
    main()
