"""Object stores in tests."""

from __future__ import annotations

import obstore

from quintet.change_log.log import ObjectStore


def keys(store: ObjectStore, prefix: str) -> list[str]:
    """Return the last parts of the names of all objects below a prefix, in order."""
    return sorted(one["path"].rpartition("/")[2] for some in obstore.list(store, prefix) for one in some)
