"""The persons who were forgotten: known by a keyed hash only, so that no copy of their data is loaded again."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

REASON = "the person was forgotten"
"""The reason of a quarantined row whose text is not stored."""

_BLOCK = 64  # of SHA-256


@dataclass(frozen=True)
class Forgotten:
    """The forgotten persons. key: of the hashes. persons: digests by kind, such as `user`."""

    key: bytes = b""
    persons: dict[str, set[str]] = field(default_factory=dict)

    def digest(self, kind: str, person: object) -> str:
        """Return the keyed hash of a person's id (HMAC-SHA256)."""
        return hmac.new(self.key, f"{kind}:{person}".encode(), hashlib.sha256).hexdigest()

    def has(self, kind: str, person: object) -> bool:
        """Return whether a person was forgotten."""
        known = self.persons.get(kind)
        return bool(known and person is not None and self.digest(kind, person) in known)

    def pads(self) -> tuple[bytes, bytes]:
        """Return the inner and the outer pad of the HMAC, for engines that have only SHA-256."""
        padded = self.key.ljust(_BLOCK, b"\0")
        return bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)


NOBODY = Forgotten()
