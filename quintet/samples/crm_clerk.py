"""The client with which the simulated CRM requests decisions."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urlsplit

PATH = "/v1/lending/decisions"
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Answer:
    """The answer of the service: its status and its body."""

    status: int
    text: str


class Clerk:
    """A client of the service that keeps its connection open."""

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url).netloc
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, body: bytes) -> Answer | None:
        """Send a request and return the answer; None without one, or if its status asks for a retry."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._address, timeout=_ANSWER_SECONDS)
            self._connection.request("POST", PATH, body, self._headers)
            response = self._connection.getresponse()
            answer = Answer(response.status, response.read().decode())
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return None if answer.status in _TRY_AGAIN else answer

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
