"""Run a program as an unprivileged account: `python -m quintet.embedded.unprivileged ACCOUNT CAPABILITY PROGRAM …`.

If a folder of its path is closed to others (such as `/root`), the program keeps one capability of root:
CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE if the machine withholds that one. Otherwise it keeps none.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


class NoWayError(RuntimeError):
    """An account cannot reach a path, and this machine has no way to permit it; the message says how to fix it."""


def command(program: Sequence[str], account: str | None, paths: Iterable[Path]) -> list[str]:
    """Return the command that runs `program` as `account` with access to `paths`; None: as the current account.

    Raises NoWayError if a path is closed to the account and the machine withholds the capabilities that open it.
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
    kept = "none" if capability is None else str(capability)
    return [sys.executable, "-m", "quintet.embedded.unprivileged", account, kept, *program]


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


def _capability() -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    allowed = (
        number for number in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if libc.prctl(_PR_CAPBSET_READ, number) == 1
    )
    return next(allowed, None)


def _become(account: str, capability: int | None) -> None:
    """Switch from root to `account` for good, keeping only `capability`."""
    who = pwd.getpwnam(account)
    libc = ctypes.CDLL(None, use_errno=True)
    if capability is not None:
        _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
    if capability is not None:
        mask = 1 << capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; their high halves
        _check(libc.capset(header, sets))
        _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _become(sys.argv[1], None if sys.argv[2] == "none" else int(sys.argv[2]))
    os.environ["HOME"] = "/"
    os.execv(sys.argv[3], sys.argv[3:])
