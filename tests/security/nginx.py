"""nginx with the configuration that is shipped, on free ports and with a certificate of its own."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from quintet.embedded.processes import free_port
from tests.machine import require_program
from tests.security.certificates import Authority
from tests.waiting import LONG_SECONDS, wait_until

_SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Proxy:
    """A running nginx: its address over TLS and without, and what trusts its certificate."""

    port: int
    plain_port: int
    context: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """Return a client that follows no redirects."""
        return httpx.Client(base_url=self.url, verify=self.context, timeout=LONG_SECONDS)


@contextmanager
def running_nginx(folder: Path, authority: Authority, port: int, pages_port: int, dagster_port: int) -> Iterator[Proxy]:
    """Run nginx on a port until the block ends."""
    program = require_program("nginx")
    plain = free_port()
    text = _SHIPPED.read_text("utf-8")
    for shipped, own in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "127.0.0.1:8000": f"127.0.0.1:{pages_port}",
        "127.0.0.1:3000": f"127.0.0.1:{dagster_port}",
        "/etc/ssl/certs/quintet.pem": str(authority.certificate),
        "/etc/ssl/private/quintet.key": str(authority.key),
    }.items():
        assert shipped in text
        text = text.replace(shipped, own)
    (folder / "quintet.conf").write_text(text, "utf-8")
    paths = "\n".join(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}\ninclude {folder}/quintet.conf;\n}}\n",
        "utf-8",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-c", f"{folder}/nginx.conf"], stderr=log)
    try:
        proxy = Proxy(port, plain, ssl.create_default_context(cafile=authority.ca))
        wait_until(lambda: _answers(proxy, process), lambda: (folder / "log").read_text("utf-8"))
        yield proxy
    finally:
        process.terminate()
        process.wait(LONG_SECONDS)


def _answers(proxy: Proxy, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "nginx has ended; its log says why"
    with suppress(httpx.TransportError), proxy.client() as client:
        return client.get("/").status_code == 404
    return False
