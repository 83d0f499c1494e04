"""Find the change log: the bucket of the settings, or the folder of the embedded store."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from obstore.store import LocalStore

from quintet.change_log.lake import covered
from quintet.change_log.log import Epoch, ObjectStore, epochs, open_store
from quintet.embedded.object_store import BUCKET, running_url
from quintet.settings import Settings


def find_log(settings: Settings) -> ObjectStore | None:
    """Return the store of the log; None if the settings name no bucket and there is no embedded store."""
    if settings.object_store_url is not None:
        return open_store(settings.object_store_url.get_secret_value(), seconds=60)
    url = running_url(settings.embedded_objects)
    if url is not None:
        return open_store(url, seconds=60)
    objects = _objects(settings)
    return LocalStore(objects) if objects.is_dir() else None


def open_log(settings: Settings) -> ObjectStore:
    """Return the store of the log for writing; without a bucket or a running server, the embedded store's folder."""
    found = find_log(settings)
    return LocalStore(_objects(settings), mkdir=True) if found is None else found


def _objects(settings: Settings) -> Path:
    return settings.embedded_objects / "buckets" / BUCKET


def latest_log(settings: Settings) -> tuple[ObjectStore, Epoch] | None:
    """Return the store of the log with its latest epoch; None if there is no epoch yet."""
    log = find_log(settings)
    known = epochs(log) if log is not None else []
    return (log, known[-1]) if log is not None and known else None


def last_day(settings: Settings) -> dt.date | None:
    """Return the last day of the dump that the book is from; None without a dump or if changes were streamed since."""
    found = latest_log(settings)
    if found is None or found[1].last_day is None or covered(*found) > found[1].snapshot_end:
        return None
    return dt.date.fromisoformat(found[1].last_day)
