"""The file of a backup: a tar of plain files with a description first and a manifest of hashes last.

backup.json       format and versions, readable before anything is extracted
home/…            the files of the home
manifest.json     size and SHA-256 of each file; without it the file is incomplete
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

FORMAT = 1
"""The version of the layout; a newer one is refused."""

HEAD, MANIFEST, HOME = "backup.json", "manifest.json", "home/"

_PRIVATE = 0o600
_BLOCK_BYTES = 1 << 20
_MOST_BYTES_OF_JSON = 256_000_000
_USUAL_NAME = re.compile(r"[^\x00-\x1f\x7f\\]+")


class BackupError(RuntimeError):
    """A backup cannot be written or restored; the message says why and what to do."""


class BackupWriter:
    """Adds files to a backup, and writes the manifest at the end."""

    def __init__(self, tar: tarfile.TarFile, head: Mapping[str, Any]) -> None:
        self._tar = tar
        self.files: dict[str, dict[str, Any]] = {}
        self._add_json(HEAD, head)

    def add(self, path: Path, name: str) -> bool:
        """Add a file under its path in the home; return False if it is gone meanwhile."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return False
        with source:
            member = _member(HOME + name, os.fstat(source.fileno()).st_size)
            hashed = _Hashed(source)
            try:
                self._tar.addfile(member, hashed)
            except OSError as error:
                if error.errno is None:  # tarfile's own: the file has become shorter
                    raise BackupError(f"{path} was cut short while it was copied. Run the backup again.") from error
                raise
        self.files[name] = {"bytes": member.size, "sha256": hashed.digest.hexdigest()}
        return True

    def close(self, more: Mapping[str, Any]) -> None:
        """Write the manifest."""
        self._add_json(MANIFEST, {"files": self.files, **more})

    def _add_json(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=1, sort_keys=True).encode()
        self._tar.addfile(_member(name, len(text)), io.BytesIO(text))


@contextmanager
def new_backup(path: Path, head: Mapping[str, Any]) -> Iterator[BackupWriter]:
    """Write a backup under a temporary name, and rename it to `path` when the body ends without an error.

    Raises BackupError if there is a file of this name: a backup is never overwritten.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield BackupWriter(tar, head)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)  # unlike a rename, it overwrites nothing
        except FileExistsError:
            raise BackupError(f"{path} exists already; a backup is never overwritten. Give another name.") from None
    finally:
        partial.unlink(missing_ok=True)


def extract(source: IO[bytes], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Extract the files of a backup into `folder`, compare them with the manifest; return description and manifest.

    Raises BackupError for a file that is damaged, incomplete, or no backup, and for a member that is no plain file
    of the home. What was extracted until then is not to be used.
    """
    found: dict[str, dict[str, Any]] = {}
    head: dict[str, Any] | None = None
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                if not member.isfile() or manifest is not None:
                    raise BackupError(f"it holds {member.name!r}, which is no file of a backup")
                if head is None:
                    head = _description(tar, member)
                elif member.name == MANIFEST:
                    manifest = _json(tar, member)
                else:
                    name = safe_name(member.name)
                    if name in found:
                        raise BackupError(f"it holds {name} twice")
                    found[name] = _write(tar, member, folder / name)
    except tarfile.TarError as error:
        raise BackupError(f"it is damaged or cut short ({error})") from None
    except ValueError as error:  # JSON, or a number of the tar's header
        raise BackupError(f"it is damaged ({error})") from None
    if head is None or manifest is None:
        raise BackupError("it is cut short: the manifest at its end is missing")
    _compare(found, manifest)
    return head, manifest


def safe_name(member: str) -> str:
    """Return the path of a member in the home. Raises BackupError if it leads out of the home."""
    name = member.removeprefix(HOME)
    path = PurePosixPath(name)
    is_inside = member.startswith(HOME) and not path.is_absolute() and ".." not in path.parts and str(path) == name
    if not is_inside or not path.parts or not _USUAL_NAME.fullmatch(name):
        raise BackupError(f"it holds {member!r}, which leads out of the home")
    return name


def _description(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    if member.name != HEAD:
        raise BackupError(f"it is no backup of Quintet: it begins with {member.name!r}")
    head = _json(tar, member)
    if not isinstance(head.get("format"), int) or head["format"] > FORMAT:
        raise BackupError(f"a newer release wrote it (format {head.get('format')}, this release reads {FORMAT})")
    return head


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    file = tar.extractfile(member)
    if file is None or member.size > _MOST_BYTES_OF_JSON:
        raise BackupError(f"{member.name} is unusable")
    content = json.loads(file.read())
    if not isinstance(content, dict):
        raise BackupError(f"{member.name} is unusable")
    return content


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> dict[str, Any]:
    source = tar.extractfile(member)
    assert source is not None, "a plain file has content"
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashed, size = _Hashed(source), 0
    with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
        while block := hashed.read(_BLOCK_BYTES):
            file.write(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": hashed.digest.hexdigest()}


def _compare(found: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise BackupError("its manifest lists no files")
    if strangers := sorted(found.keys() - listed.keys()):
        raise BackupError(f"it holds {strangers[0]}, which its manifest does not list")
    if lost := sorted(listed.keys() - found.keys()):
        raise BackupError(f"{lost[0]} is missing in it")
    if damaged := sorted(name for name, facts in found.items() if facts != listed[name]):
        raise BackupError(f"{damaged[0]} in it is damaged: its hash is not the one of the manifest")


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, _PRIVATE
    return member


class _Hashed:
    """Reads a file and hashes what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block
