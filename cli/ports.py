"""Check that ports are free before a command starts a server on them."""

from __future__ import annotations

import errno
import socket


class PortError(RuntimeError):
    """A port is in use; the text names the port, the service that needs it, and what to do."""


def need_free(address: str, port: int, what: str, instead: str) -> None:
    """Raise PortError if a program listens on this port of the address; `instead` says how to choose another port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            raise PortError(
                f"port {port} needs rights that this user lacks; choose one above 1023: {instead}"
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise PortError(f"this machine has no address {address}; correct QUINTET_HOST") from None
            raise PortError(
                f"port {port}, needed for {what}, is in use. Stop the program that listens there, or choose another "
                f"port: {instead}"
            ) from None
