"""Signed page tokens: the key to continue a list after."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from quintet.web.problems import ProblemError

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 1_000

_SIGNATURE_BYTES = 16


class PageTokens:
    """Makes and reads tokens, signed with a secret: one of another list or a forged one is refused."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, query: Mapping[str, Any], last_key: Sequence[Any] | None) -> str | None:
        """Return the token of the page after the row with `last_key`; None for no further page.

        query: what defines the list: route, filters, grouping. The key's values must fit into JSON.
        """
        if last_key is None:
            return None
        body = json.dumps(list(last_key), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(query, body) + body).decode().rstrip("=")

    def read(self, query: Mapping[str, Any], token: str | None) -> tuple[Any, ...] | None:
        """Return the key to continue after; None without a token. Raises ProblemError 422 for a wrong token."""
        if token is None:
            return None
        try:
            signed = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:
            signed = b""
        signature, body = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(query, body)):
            raise ProblemError(422, "page_token does not belong to this query; omit it to start with the first page")
        return tuple(json.loads(body))

    def _sign(self, query: Mapping[str, Any], body: bytes) -> bytes:
        message = json.dumps(query, sort_keys=True, default=str).encode() + b"\0" + body
        return hmac.digest(self._secret, message, hashlib.sha256)[:_SIGNATURE_BYTES]
