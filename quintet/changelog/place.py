"""Where the change log is: the bucket of the settings, or the folder of the embedded store.

Belongs here: finding it. Starting a server does not: where none runs, the embedded store's objects are files.
"""

from __future__ import annotations

from quintet.changelog.log import Epoch, Store, epochs, open_store
from quintet.embedded.object_store import BUCKET, running_url
from quintet.settings import Settings


def find_log(settings: Settings) -> Store | None:
    """The store of the log; None where no bucket is named and there was never an embedded one."""
    if settings.object_store_url is not None:
        return open_store(settings.object_store_url.get_secret_value(), seconds=60)
    folder = settings.embedded_objects
    url = running_url(folder)
    if url is not None:
        return open_store(url, seconds=60)
    objects = folder / "buckets" / BUCKET
    return open_store(f"file://{objects}") if objects.is_dir() else None


def latest_log(settings: Settings) -> tuple[Store, Epoch] | None:
    """The store of the log with its latest epoch; None where no stream has written yet."""
    log = find_log(settings)
    known = epochs(log) if log is not None else []
    return (log, known[-1]) if log is not None and known else None
