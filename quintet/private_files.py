"""Keep what Quintet writes to its owner: files 0600, folders 0700."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_for_owner_only() -> None:
    """Make the files and folders that this process and its children create readable by their owner only."""
    os.umask(_OTHERS)


def close_to_others(home: Path, left_out: Collection[Path] = ()) -> list[Path]:
    """Close the home to other accounts, and, if it was open, everything in it; return what could not be closed.

    An open home is one of a release without this rule, or made by hand. left_out: folders that stay as they are, such
    as the inboxes, into which others may drop files.
    """
    was_open = home.stat().st_mode & _OTHERS
    refused = [path for path in [home] if not _close(path)]
    if was_open:
        skipped = {path.resolve() for path in left_out}
        refused += [path for path in _below(home, skipped) if not _close(path)]
    return refused


def _close(path: Path) -> bool:
    """Take the rights of others away; return False if this account may not."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:  # a temporary file of another process
        return True
    except PermissionError:
        return False
    return True


def _below(folder: Path, skipped: Collection[Path]) -> Iterator[Path]:
    """Yield everything below a folder, its folders first; follow no links."""
    try:
        entries = list(os.scandir(folder))
    except (PermissionError, FileNotFoundError):
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink() or path.resolve() in skipped:
            continue
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _below(path, skipped)
