"""Install the locked packages and the project into a virtual environment: `python3 cli/install.py .venv`.

Runs before anything is installed, with only the standard library. uv, itself from the package index, installs the
hashed lock file; if uv fails, pip does. The file `installed` in the environment marks it as complete.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1]
_INPUTS = ("requirements.lock", "requirements-build.lock", "pyproject.toml", "cli/install.py")
_OLDEST = (3, 11)
_PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")

# pip's options, from its files and PIP_ variables, and the uv variable with the same meaning. Both separate several
# values by blanks.
_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}


class InstallError(RuntimeError):
    """The packages cannot be installed; the text says why and what to do."""


def main(environment: Path) -> int:
    """Install into the folder unless it is complete; return 0, or 1 after printing one message."""
    python = environment / "bin" / "python"
    stamp, digest = environment / "installed", _digest()
    if stamp.is_file() and stamp.read_text("utf-8") == digest and os.access(python, os.X_OK):
        return 0
    began = time.monotonic()
    print(f"installing into {environment} (once)", flush=True)
    try:
        stamp.unlink(missing_ok=True)
        _make_environment(environment, python)
        _install(python)
        _name_project_relatively(environment)
        _warm(python)
        stamp.write_text(digest, "utf-8")
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{environment} cannot be written: {error}. Make room or grant access, and run again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run again to install the rest", file=sys.stderr)
        return 130
    print(f"installed in {time.monotonic() - began:.0f} s", flush=True)
    return 0


def uv_settings(pip_config: str) -> dict[str, str]:
    """Translate the output of `pip config list` into uv's variables; later lines win, as variables do over files."""
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does; the hashes identify the right file
    for line in pip_config.splitlines():
        found = re.fullmatch(r"(?:global|install|:env:)\.([\w-]+)='(.*)'", line.strip())
        if found and found[1] in _UV_NAMES:
            settings[_UV_NAMES[found[1]]] = ast.literal_eval(f"'{found[2]}'").strip().replace("\n", " ")
    return settings


def _digest() -> str:
    """Return a hash over the files that decide what is installed, and the version of Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {_PROJECT}".encode("utf-8", "surrogateescape"))
    for name in _INPUTS:
        digest.update((_PROJECT / name).read_bytes())
    return digest.hexdigest()


def _make_environment(environment: Path, python: Path) -> None:
    if sys.version_info < _OLDEST:
        raise InstallError(
            f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}, and Quintet needs "
            f"{_OLDEST[0]}.{_OLDEST[1]} or later; name one: make install PYTHON=python3.12"
        )
    if python.exists() and _version_of(python) == sys.version_info[:2]:
        return
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallError(
            f"{sys.executable} lacks the module {missing[0]}; install it (on Debian and Ubuntu the package "
            f"python3-venv), or name another Python: make install PYTHON=python3.12"
        )
    if environment.exists():
        shutil.rmtree(environment)  # incomplete, or made with another Python
    _run([sys.executable, "-m", "venv", str(environment)], "the virtual environment cannot be made")


def _version_of(python: Path) -> tuple[int, int] | None:
    """Return the version of an environment's Python; None if it or its pip does not run."""
    program = "import sys, pip; print(*sys.version_info[:2])"
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, check=False)
    major, _, minor = done.stdout.strip().partition(" ")
    return (int(major), int(minor)) if done.returncode == 0 else None


def _install(python: Path) -> None:
    lock = ["--no-deps", "--require-hashes", "-r", str(_PROJECT / "requirements.lock")]
    project = ["--no-deps", "--no-build-isolation", "--editable", str(_PROJECT)]
    try:
        build_lock = ["--no-deps", "--require-hashes", "-r", str(_PROJECT / "requirements-build.lock")]
        _run([str(python), *_PIP, "install", *build_lock], "uv cannot be installed")
        config = subprocess.run(
            [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
        ).stdout
        settings = {name: value for name, value in uv_settings(config).items() if name not in os.environ}
        uv = [str(python.parent / "uv"), "pip", "install", "--quiet", "--no-config", "--python", str(python)]
        _run([*uv, *lock], "uv cannot install the lock", settings)
        _run([*uv, *project], "uv cannot install the project", settings)
    except InstallError as error:
        print(f"{error}\ninstalling with pip instead (two minutes)", file=sys.stderr, flush=True)
        hint = "the packages cannot be installed; pip reads its own settings (pip config list), check them"
        _run([str(python), *_PIP, "install", *lock], hint)
        _run([str(python), *_PIP, "install", *project], hint)


def _name_project_relatively(environment: Path) -> None:
    """Write the project's folder into the environment as a relative path.

    Python reads these files in the locale's encoding and cannot start if that lacks a character of the path.
    """
    for file in environment.glob("lib/python*/site-packages/*.pth"):
        if set(file.read_bytes().split(b"\n")) - {b""} == {os.fsencode(_PROJECT)}:
            file.write_text(os.path.relpath(_PROJECT, file.parent.resolve()) + "\n", "utf-8")


def _warm(python: Path) -> None:
    """Compile what a run imports, if Python may not write bytecode itself; otherwise the first run does it.

    This takes seconds; compiling every installed package would take a minute.
    """
    if not sys.flags.dont_write_bytecode:
        return
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for modules in (
        "cli.dagster_dev, cli.dagster_ui, dagster_dbt, dagster_duckdb",
        "dbt.cli.main, dbt.adapters.duckdb",
        "quintet.web.app",
    ):
        subprocess.run([str(python), "-c", f"import {modules}"], env=environment, cwd=_PROJECT, check=False)


def _run(command: list[str], failure: str, settings: dict[str, str] | None = None) -> None:
    """Run a command; raise InstallError with its output if it fails."""
    done = subprocess.run(
        command, env=os.environ | (settings or {}), capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise InstallError(f"{(done.stdout + done.stderr).strip()}\n{failure}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
