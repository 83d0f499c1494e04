"""What a key is bound to: the agencies or partners whose rows are all that it sees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_VALUES = 1_000
_LONGEST_VALUE = 200


class UnusableBindingError(ValueError):
    """A key cannot be bound to these values; the message says why and what to do."""


@dataclass(frozen=True)
class Binding:
    """What a key is bound to. parts: by kind, such as `agency`, the values whose rows it sees."""

    parts: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, values: Mapping[str, Sequence[str]]) -> Binding | None:
        """Return the binding to these values by kind; None without any. Raises UnusableBindingError."""
        parts = []
        for kind, given in sorted(values.items()):
            kept = tuple(sorted({value.strip() for value in given}))
            if any(not value or not value.isprintable() or len(value) > _LONGEST_VALUE for value in kept):
                raise UnusableBindingError(
                    f"{kind}: each value is one line of 1 to {_LONGEST_VALUE} printable characters, none is empty"
                )
            if len(kept) > MOST_VALUES:
                raise UnusableBindingError(
                    f"{kind}: {len(kept):,} values, of at most {MOST_VALUES:,}; make several keys"
                )
            if kept:
                parts.append((kind, kept))
        return cls(tuple(parts)) if parts else None

    @classmethod
    def from_text(cls, text: str | None) -> Binding | None:
        """Return the binding that `to_text` wrote; None for null."""
        return None if text is None else cls(tuple((kind, tuple(values)) for kind, values in json.loads(text)))

    def to_text(self) -> str:
        """Return the binding as JSON, as the state store has it."""
        return json.dumps(self.parts)

    def __str__(self) -> str:
        """Return the binding in words, such as `agency 3, 470`."""
        return "; ".join(f"{kind} {', '.join(values)}" for kind, values in self.parts)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its values."""
        return frozenset(kind for kind, _ in self.parts)

    @property
    def digest(self) -> str:
        """A short hash, which answers and caches of this part alone carry."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()[:16]
