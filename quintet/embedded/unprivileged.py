"""Run a program as an unprivileged account, with `setpriv` of util-linux.

If a folder of its path is closed to others (such as `/root`), the program keeps one capability of root:
CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE if the machine withholds that one. Otherwise it keeps none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
"""The capabilities of root that open any folder, by their number in Linux, the weaker one first."""


class NoWayError(RuntimeError):
    """This machine has no way to run a program as an account that reaches its paths; the message says how to fix it."""


def command(program: Sequence[str], account: str | None, paths: Iterable[Path]) -> list[str]:
    """Return the command that runs `program` as `account` with access to `paths`; None: as the current account.

    Raises NoWayError if a path is closed to the account and the machine withholds the capabilities that open it, or if
    it has no `setpriv`.
    """
    if account is None:
        return list(program)
    closed = [folder for path in paths for folder in closed_folders(path, account)]
    capability = _capability() if closed else None
    if closed and capability is None:
        raise NoWayError(
            f"the account {account} may not enter {closed[0]}. Run Quintet as a normal user, move it and QUINTET_HOME "
            f"to folders that others may enter, or allow it with: chmod o+x {closed[0]}"
        )
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoWayError(f"setpriv is missing, which runs a program as {account}: install util-linux")
    who = pwd.getpwnam(account)
    kept = [] if capability is None else [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
    switch = [setpriv, f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", *kept, "--"]
    return [*switch, "/usr/bin/env", "HOME=/", *program]


def closed_folders(path: Path, account: str) -> list[Path]:
    """Return the folders above `path`, from the root down, that `account` may not pass."""
    who = pwd.getpwnam(account)
    return [folder for folder in reversed(path.resolve().parents) if not _may_pass(folder.stat(), who)]


def _may_pass(folder: os.stat_result, who: pwd.struct_passwd) -> bool:
    if folder.st_uid == who.pw_uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == who.pw_gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def _capability() -> str | None:
    """Return the name of the first capability that the machine does not withhold; None if it withholds both."""
    status = Path("/proc/self/status").read_text("ascii")
    allowed = int(next(line for line in status.splitlines() if line.startswith("CapBnd:")).split()[1], 16)
    return next((name for name, number in _CAPABILITIES.items() if allowed >> number & 1), None)
