"""Share reports, models and policies through an object store, for services that have no disk in common with the build.

serving/files/<sha256>            the content of a file, never changed
serving/releases/<number>.json    the files of a release by name; the one with the highest number is current

A release is fetched whole or not at all: each file is verified before the first one is replaced.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import obstore

from quintet.change_log.log import ObjectStore, open_store
from quintet.domains import DOMAINS
from quintet.masking import masked
from quintet.pipeline import BUILDS_FILE
from quintet.settings import Settings
from quintet.shared_serving import (
    Following,
    SharedServingError,
    check_conditional_puts,
    download,
    last_number,
    sha256_of,
)

CONTENTS, RELEASES = "serving/files", "serving/releases"

_REPORTS = "reports/"
_SECONDS = 60.0
_KEPT = 3
_ARRIVING = ".arriving"
_FETCHED = "fetched.json"
"""The file in the folder of fetched files with the release that was fetched last."""

_NAME = re.compile(r"(?!\.)[\w.-]{1,100}(/(?!\.)[\w.-]{1,100}){0,5}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SharedFile:
    """A file of a release: size, SHA-256, and when it was written, in Unix seconds."""

    bytes: int
    sha256: str
    written_at: float


@dataclass(frozen=True)
class Release:
    """The files of a build by name. accept_losses: it lacks models or policies of the one before on purpose."""

    number: int
    files: Mapping[str, SharedFile]
    accept_losses: bool = False


def share_files(settings: Settings, accept_losses: bool = False) -> Release | None:
    """Share the files of the home with services elsewhere, if they have changed; None without a bucket in the settings.

    Raises SharedServingError if another machine has shared its files meanwhile, or the bucket does not answer or checks
    no conditions.
    """
    if settings.serving_url is None:
        return None
    store = open_store(settings.serving_url.get_secret_value(), _SECONDS)
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "share.lock").open("w") as lock:  # a run and `quintet models` may share at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return share(store, files_of(settings), accept_losses)
        except obstore.exceptions.BaseError as error:
            reason = masked(" ".join(str(error).split())[:300], [settings.serving_url.get_secret_value()])
            raise SharedServingError(
                f"the bucket of QUINTET_SERVING_URL cannot be written: {reason}. Services elsewhere keep what they "
                "have; correct it, and run again."
            ) from None


def files_of(settings: Settings) -> dict[str, Path]:
    """Return the files that a service reads and a build or a person writes, by the name that they are shared under."""
    found = {f"{_REPORTS}{path.name}": path for path in settings.reports.glob("*") if path.is_file()}
    found[BUILDS_FILE] = settings.home / BUILDS_FILE
    for domain in DOMAINS:
        found |= domain.shared_files(settings)
    return {name: path for name, path in sorted(found.items()) if _NAME.fullmatch(name) and path.is_file()}


def share(store: ObjectStore, files: Mapping[str, Path], accept_losses: bool = False) -> Release:
    """Upload the files, and make them the current release if they differ from it; return the current release."""
    number = last_number(store, RELEASES)
    try:
        last = _read(store, _key(number)) if number else None
    except SharedServingError:
        last = None  # it is damaged, and the next one replaces it
    described = {name: _described(path) for name, path in files.items()}
    stored = {one["path"]: one["size"] for some in obstore.list(store, CONTENTS) for one in some}
    missing = [name for name, file in described.items() if stored.get(_content(file.sha256)) != file.bytes]
    if last is not None and last.files == described and not missing:
        return last
    check_conditional_puts(store)
    for name in missing:
        obstore.put(store, _content(described[name].sha256), files[name])
    release = Release(number + 1, described, accept_losses)
    try:
        obstore.put(store, _key(release.number), json.dumps(asdict(release)).encode(), mode="create")
    except obstore.exceptions.AlreadyExistsError:
        raise SharedServingError(
            f"another machine has shared its files meanwhile, as release {release.number}, which is the current one. "
            "Run again, and let only one machine build."
        ) from None
    _remove_unused(store, release)
    return release


def latest(store: ObjectStore, after: int = 0) -> Release | None:
    """Return the current release; None if there is none with a number above `after`."""
    found = [one["path"] for some in obstore.list(store, RELEASES, offset=_key(after)) for one in some]
    return _read(store, max(found)) if found else None


class FileFollower(Following):
    """Fetches each new release into `folder`; the present files stay when it cannot."""

    what = "files"

    def __init__(self, store: ObjectStore, folder: Path, on_error: Callable[[Exception], None]) -> None:
        super().__init__(on_error)
        self._store, self._folder = store, folder
        self._release, self._refused = _fetched(folder), 0

    def fetch_new(self) -> bool:
        """Fetch the current release if it is a new one; return whether it was."""
        release = latest(self._store, max(self._refused, self._release.number if self._release else 0))
        if release is None:
            return False
        try:
            fetch(self._store, self._folder, release, self._release)
        except SharedServingError:
            self._refused = release.number
            raise
        self._release = release
        return True


def fetch(store: ObjectStore, folder: Path, release: Release, former: Release | None) -> None:
    """Replace the files in `folder` by those of a release.

    Raises SharedServingError for a release with a damaged file, or without a model or policy that the former one had,
    unless it was shared so; the present files stay.
    """
    _refuse_losses(release, former)
    arriving = folder / _ARRIVING
    shutil.rmtree(arriving, ignore_errors=True)  # of a fetch that was killed
    arriving.mkdir(parents=True)
    try:
        changed = {name: file for name, file in release.files.items() if not _is_there(folder / name, file)}
        for name, file in changed.items():
            _download(store, name, file, arriving / file.sha256)
        for name in sorted(changed, key=lambda name: (name.endswith("index.json"), name)):  # an index names other files
            _place(arriving / release.files[name].sha256, folder / name, release.files[name].written_at)
        for path in [path for path in folder.rglob("*") if path.is_file() and arriving not in path.parents]:
            if str(path.relative_to(folder)) not in {*release.files, _FETCHED}:
                path.unlink()
        note = arriving / _FETCHED
        note.write_text(json.dumps(asdict(release)), "utf-8")
        note.rename(folder / _FETCHED)
    finally:
        shutil.rmtree(arriving)


def _download(store: ObjectStore, name: str, file: SharedFile, to: Path) -> None:
    content = _content(file.sha256)
    if not to.exists() and not download(store, content, to, file.bytes, file.sha256):
        raise SharedServingError(
            f"{name} of the bucket is damaged: its size or hash is not the published one. The former files stay; "
            f"remove the object {content} and publish again: quintet run."
        )


def _described(path: Path) -> SharedFile:
    about = path.stat()
    return SharedFile(about.st_size, sha256_of(path), about.st_mtime)


def _read(store: ObjectStore, key: str) -> Release:
    try:
        release = _release_of(json.loads(bytes(obstore.get(store, key).bytes())))
        is_usable = _key(release.number) == key
    except (ValueError, TypeError, AttributeError, KeyError):
        is_usable = False
    if not is_usable:
        raise SharedServingError(f"{key} in the bucket is no list of files. Publish again: quintet run.")
    return release


def _release_of(given: Any) -> Release:
    """Return the release. Raises ValueError, TypeError, KeyError or AttributeError for one that is not usable."""
    files = {name: SharedFile(**file) for name, file in given["files"].items()}
    wrong = [name for name, file in files.items() if not (_NAME.fullmatch(name) and _SHA256.fullmatch(file.sha256))]
    if wrong or not all(file.bytes >= 0 and file.written_at >= 0 for file in files.values()):
        raise ValueError(f"{wrong} cannot be stored")
    return Release(int(given["number"]), files, bool(given["accept_losses"]))


def _fetched(folder: Path) -> Release | None:
    """Return the release of the present files; None if none was fetched, or one of its files is no longer there."""
    try:
        release = _release_of(json.loads((folder / _FETCHED).read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return release if all(_is_there(folder / name, file) for name, file in release.files.items()) else None


def _is_there(path: Path, file: SharedFile) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and sha256_of(path) == file.sha256


def _place(arrived: Path, path: Path, written_at: float) -> None:
    """Put a file in its place. Names of the same content share an arrived file, so it is linked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = arrived.with_suffix(".placed")
    beside.unlink(missing_ok=True)
    beside.hardlink_to(arrived)
    os.utime(beside, (written_at, written_at))
    beside.replace(path)


def _refuse_losses(release: Release, former: Release | None) -> None:
    if former is None or release.accept_losses:
        return
    lost = [name for name in former.files if name not in release.files and not name.startswith(_REPORTS)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise SharedServingError(
            f"release {release.number} of the bucket has lost {lost[0]}{more}. The former files stay; if the loss is "
            "meant, share it with: quintet run --accept-losses."
        )


def _remove_unused(store: ObjectStore, current: Release) -> None:
    found = sorted(one["path"] for some in obstore.list(store, RELEASES) for one in some)
    old = [key for key in found if key <= _key(current.number - _KEPT)]
    used = {sha256 for key in found if key not in old for sha256 in _contents(store, key)}
    for key in old:
        for sha256 in _contents(store, key) - used:
            obstore.delete(store, _content(sha256))
        obstore.delete(store, key)


def _contents(store: ObjectStore, key: str) -> set[str]:
    """Return the contents of a release; none of one that is damaged, which nobody can fetch."""
    try:
        return {file.sha256 for file in _read(store, key).files.values()}
    except SharedServingError:
        return set()


def _content(sha256: str) -> str:
    return f"{CONTENTS}/{sha256}"


def _key(number: int) -> str:
    return f"{RELEASES}/{number:012}.json"
