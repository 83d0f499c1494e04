"""Certificates of servers for tests, signed by an authority that is made for them."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.machine import require_program


@dataclass(frozen=True)
class Authority:
    """A self-made certificate authority, and a server's certificate that it has signed."""

    ca: Path
    certificate: Path
    key: Path

    @property
    def context(self) -> ssl.SSLContext:
        """What the server uses."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_authority(folder: Path, name: str) -> Authority:
    """Return an authority; name: of the server, such as `IP:127.0.0.1`."""
    program = require_program("openssl")

    def openssl(*arguments: str) -> None:
        subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)

    made = ("-newkey", "rsa:2048", "-nodes", "-sha256")
    openssl("req", "-x509", *made, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *made, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text(f"subjectAltName={name}", "utf-8")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return Authority(folder / "ca.pem", folder / "server.pem", folder / "server.key")
