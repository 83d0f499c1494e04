"""Serve Dagster's UI behind the guard: `python -m cli.dagster_ui PORT WORKSPACE`. `cli.dagster_dev` starts it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from cli.ui_guard import PublicAddress, UiGuard
from cli.ui_token import read_token
from quintet.settings import load_settings
from resources.event_log import open_instance

_POLL_MILLISECONDS = 2000
_SECONDS_TO_FINISH = 1


def main(port: int, workspace: Path) -> None:
    """Serve until interrupted."""
    settings = load_settings()
    public = PublicAddress.of(settings.dagster_url) if settings.dagster_url else None
    with open_instance() as instance:
        token = read_token(Path(instance.root_directory))
        target = WorkspaceFileTarget([str(workspace)])
        with (
            suppress(KeyboardInterrupt),  # the server has shut down and raises the signal again
            WorkspaceProcessContext(instance, workspace_load_target=target, version=__version__) as process,
        ):
            app = create_app_from_workspace_process_context(process, public.path if public else "", _POLL_MILLISECONDS)
            uvicorn.run(
                UiGuard(app, token, port, public),
                host=settings.host,
                port=port,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_SECONDS_TO_FINISH,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
