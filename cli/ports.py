"""Ports that must be free before a command starts something behind them."""

from __future__ import annotations

import socket


class PortError(RuntimeError):
    """A port is in use; the text says which, what wants it, and what to do."""


def need_free(port: int, what: str, instead: str) -> None:
    """Raise PortError where something listens on the port of 127.0.0.1; `instead` says how to choose another one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise PortError(
                f"port {port} needs rights that this user lacks; choose one above 1023: {instead}"
            ) from None
        except OSError:
            raise PortError(
                f"port {port}, wanted for {what}, is in use. End the program that listens there, or choose another "
                f"port: {instead}"
            ) from None
