"""`quintet image`: build the container image, with docker or podman, or without an engine and without a registry.

Without an engine, buildah builds it over a Debian that debootstrap makes from the mirror that this machine uses; both
need Debian and root. The packages are then downloaded here first, with pip's own settings, so that the build itself
needs no package index.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.home import PROJECT

ENGINES = ("docker", "podman")
_SUITE = "bookworm"
_BASE = f"localhost/debian:{_SUITE}"
_LOCKS = ("requirements-build.lock", "requirements-run.lock")
_WHEELS = "/wheels"  # in the build


class ImageError(RuntimeError):
    """The image cannot be built; the text says why and what to do."""


def image(tag: str, folder: Path) -> int:
    """Build the image and return 0. folder: for what a build without an engine downloads and stores.

    Raises ImageError if a program is missing or fails; its output is on the terminal.
    """
    engine = next((name for name in ENGINES if _is_running(name)), None)
    if engine:
        _run([engine, "build", "--tag", tag, str(PROJECT)])
        print(f"built {tag}; start everything with: {engine} compose up")
        return 0
    missing = [name for name in ("buildah", "debootstrap") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        raise ImageError(
            f"no image can be built here: there is no {' or '.join(ENGINES)}. Install one; or on Debian, as root: "
            "apt-get install buildah debootstrap"
        )
    buildah = buildah_in(folder)
    _make_base(buildah, folder)
    wheels = _download_wheels(folder)
    _run([*buildah, *build_arguments(tag, wheels)])
    print(f"built {tag}; mount it with: {' '.join(buildah)} unshare, or push it with: {' '.join(buildah)} push {tag}")
    return 0


def buildah_in(folder: Path) -> list[str]:
    """Return the command of buildah with its images in a folder."""
    return ["buildah", "--root", str(folder / "images"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]


def build_arguments(tag: str, wheels: Path) -> list[str]:
    """Return buildah's arguments to build the image offline, over the base that was made here."""
    arguments = {
        "BASE": _BASE,
        "PIP_FIND_LINKS": _WHEELS,
        "PIP_NO_INDEX": "1",
        "UV_FIND_LINKS": _WHEELS,
        "UV_OFFLINE": "1",
    }
    given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    # format docker: the other one has no health check
    return [
        *("bud", "--layers", "--isolation", "chroot", "--format", "docker"),
        *("--volume", f"{wheels}:{_WHEELS}:ro", *given, "--tag", tag, str(PROJECT)),
    ]


def _is_running(engine: str) -> bool:
    """Return whether the program is installed and reaches its service."""
    return (
        bool(shutil.which(engine))
        and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0
    )


def _make_base(buildah: Sequence[str], folder: Path) -> None:
    """Make the base image unless it is there."""
    if subprocess.run([*buildah, "inspect", _BASE], capture_output=True, check=False).returncode == 0:
        return
    root = folder / "debian"
    shutil.rmtree(root, ignore_errors=True)
    _run(["debootstrap", "--variant=minbase", _SUITE, str(root), _mirror()])
    container = _run([*buildah, "from", "scratch"], is_quiet=True)
    _run([*buildah, "add", "--quiet", container, str(root), "/"])
    _run([*buildah, "commit", "--quiet", "--rm", container, _BASE])
    shutil.rmtree(root)


def _mirror() -> str:
    """Return the first Debian mirror of this machine's package manager."""
    found = _run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"], is_quiet=True)
    for line in found.splitlines():
        site, _, release = line.partition(" ")
        if release == _SUITE or site.rstrip("/").endswith("/debian"):
            return site
    raise ImageError(f"apt names no mirror of Debian {_SUITE}; see: apt-get indextargets")


def _download_wheels(folder: Path) -> Path:
    """Download the locked packages, and those that build the wheel; return their folder."""
    wheels, tools = folder / "wheels", folder / "tools"
    if not (tools / "bin" / "pip").exists():
        _run([sys.executable, "-m", "venv", str(tools)])
    pip = [
        str(tools / "bin" / "pip"),
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(wheels),
    ]
    for lock in _LOCKS:
        _run([*pip, "--require-hashes", "--requirement", str(PROJECT / lock)])
    return wheels


def _run(command: Sequence[str], is_quiet: bool = False) -> str:
    """Run a program; return its output if it is quiet. Raises ImageError if it fails."""
    print(f"image | {' '.join(command)}", flush=True) if not is_quiet else None
    done = subprocess.run(command, stdout=subprocess.PIPE if is_quiet else None, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{command[0]} ended with status {done.returncode}; its messages are above")
    return done.stdout.strip() if is_quiet else ""
