"""Recognise the changes of forgotten persons, which the stream does not write and `quintet forget` removes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from quintet.change_log.change import Change, TableName
from quintet.forgotten import Forgotten
from quintet.replicated import Replicated
from quintet.settings import Settings
from quintet.state.forgotten import keep_forgotten, read_forgotten
from quintet.state.store import StateStore


class PersonFilter:
    """Recognises changes of rows of forgotten persons, also of rows that belong to such a row.

    tables, kind: as `Replicated.persons` and `person_kind`. learned: called with kind and digest of a row that turns
    out to be a forgotten person's; later changes of it, or of rows below it, may not name the person.
    """

    def __init__(
        self,
        tables: Mapping[TableName, tuple[str, TableName | None]],
        kind: str,
        forgotten: Forgotten,
        learned: Callable[[str, str], None],
    ) -> None:
        self._tables, self._kind, self._forgotten, self._learned = tables, kind, forgotten, learned

    def holds(self, change: Change) -> bool:
        """Return whether a change is of a row of a forgotten person."""
        if change.name not in self._tables or not self._forgotten.persons:
            return False
        column, of = self._tables[change.name]
        owner, own = self._kind if of is None else str(of), str(change.name)
        is_root = of is None and column == "id"
        for row in (change.row, change.old):
            if row is None:
                continue
            if self._forgotten.has(owner, row.get(column)):
                if not is_root:
                    self._learn(own, row.get("id"))
                return True
            if not is_root and self._forgotten.has(own, row.get("id")):
                return True
        return False

    def _learn(self, kind: str, row_id: object) -> None:
        if row_id is None or self._forgotten.has(kind, row_id):
            return
        digest = self._forgotten.digest(kind, row_id)
        self._forgotten.persons.setdefault(kind, set()).add(digest)
        self._learned(kind, digest)


def person_filter(settings: Settings, domain: Replicated) -> Callable[[Change], bool]:
    """Return whether a change is of a forgotten person of a home; what it learns is stored."""

    def keep(kind: str, digest: str) -> None:
        store = StateStore(settings.state)
        try:
            keep_forgotten(store, [(kind, digest)], dt.datetime.now(dt.UTC))
        finally:
            store.close()

    return PersonFilter(domain.persons, domain.person_kind, read_forgotten(settings.state), keep).holds
