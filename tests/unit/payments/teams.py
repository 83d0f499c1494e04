"""A fake of the Workflows webhook of Microsoft Teams, and of any receiver of posts.

It refuses what Teams refuses: another envelope, a card that violates the schema of Adaptive Cards 1.4 (the elements in
use here, with their properties), and more than 28 kB.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jsonschema

_TEXT_BLOCK = {
    "type": "object",
    "properties": {
        "type": {"const": "TextBlock"},
        "text": {"type": "string", "minLength": 1},
        "color": {"enum": ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]},
        "isSubtle": {"type": "boolean"},
        "size": {"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
        "weight": {"enum": ["Default", "Lighter", "Bolder"]},
        "wrap": {"type": "boolean"},
        "spacing": {"enum": ["Default", "None", "Small", "Medium", "Large", "ExtraLarge", "Padding"]},
        "separator": {"type": "boolean"},
    },
    "required": ["type", "text"],
    "additionalProperties": False,
}
_FACT = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "value": {"type": "string"}},
    "required": ["title", "value"],
    "additionalProperties": False,
}
_FACT_SET = {
    "type": "object",
    "properties": {
        "type": {"const": "FactSet"},
        "facts": {"type": "array", "items": _FACT, "minItems": 1},
        "separator": {"type": "boolean"},
    },
    "required": ["type", "facts"],
    "additionalProperties": False,
}
_OPEN_URL = {
    "type": "object",
    "properties": {
        "type": {"const": "Action.OpenUrl"},
        "title": {"type": "string"},
        "url": {"type": "string", "pattern": "^https?://"},
    },
    "required": ["type", "url"],
    "additionalProperties": False,
}
CARD = {
    "type": "object",
    "properties": {
        "$schema": {"const": "http://adaptivecards.io/schemas/adaptive-card.json"},
        "type": {"const": "AdaptiveCard"},
        "version": {"const": "1.4"},
        "body": {"type": "array", "minItems": 1, "items": {"anyOf": [_TEXT_BLOCK, _FACT_SET]}},
        "actions": {"type": "array", "items": _OPEN_URL},
    },
    "required": ["type", "version", "body"],
    "additionalProperties": False,
}
ENVELOPE = {
    "type": "object",
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "contentUrl": {"type": "null"},
                    "content": CARD,
                },
                "required": ["contentType", "content"],
            },
        },
    },
    "required": ["type", "attachments"],
}
MOST_BYTES = 28_000


class Receiver:
    """The received posts, and the answer to the next ones: `failing` if set, else 202 for a valid card."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self.schema = schema
        self.failing: int | None = None
        self.headers: dict[str, str] = {}
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.attempted_at: list[float] = []  # on the monotonic clock
        self.url = ""

    @property
    def attempts(self) -> int:
        """Return the number of posts."""
        return len(self.attempted_at)

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        """Return the status for a post."""
        self.attempted_at.append(time.monotonic())
        if self.failing:
            return self.failing
        if self.schema is not None:
            try:
                jsonschema.validate(json.loads(body), self.schema)
            except (ValueError, jsonschema.ValidationError):
                return 400
            if len(body) > MOST_BYTES:
                return 413
        self.taken.append((headers, body))
        return 202

    @property
    def bodies(self) -> list[Any]:
        """Return the accepted bodies."""
        return [json.loads(body) for _, body in self.taken]


@contextmanager
def receiving(schema: Mapping[str, Any] | None = ENVELOPE) -> Iterator[Receiver]:
    """Run a receiver on this machine while the body runs."""
    receiver = Receiver(schema)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(receiver.answer({name.lower(): value for name, value in self.headers.items()}, body))
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/workflows/secret-in-the-path"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
