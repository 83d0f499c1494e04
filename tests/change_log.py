"""Read the change log as one sequence of changes."""

from __future__ import annotations

from quintet.change_log.change import Change, Position
from quintet.change_log.log import Epoch, ObjectStore, covering, read_stretch, stretches


def logged_changes(store: ObjectStore, epoch: Epoch, after: Position | None = None) -> list[Change]:
    """Return the changes of an epoch from `after` on, each once and in order."""
    return [
        change
        for stretch, begin in covering(stretches(store, epoch.name), after or epoch.start)
        for change in read_stretch(store, stretch)
        if change.position >= begin
    ]
