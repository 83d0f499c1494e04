"""Post messages to a webhook."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from quintet.http_client import http_client

_SECONDS = 5.0
_REFUSED = {400, 413, 415, 422}


class DeliveryError(Exception):
    """The channel did not accept the message; the text contains no address.

    is_refused: the message itself is at fault, so a retry will hardly help. wait: the delay that the channel asked for.
    """

    def __init__(self, text: str, *, is_refused: bool = False, wait: dt.timedelta | None = None) -> None:
        super().__init__(text)
        self.is_refused, self.wait = is_refused, wait


@dataclass(frozen=True)
class Delivery:
    """A message to deliver. key: equal at each attempt, for the receiver to recognise duplicates."""

    key: str
    body: Mapping[str, Any]
    at: dt.datetime


Send = Callable[[Delivery], None]
"""Sends a message to a channel; raises DeliveryError if the channel did not accept it."""


def to_webhook(url: str, secret: str, delivery: Delivery) -> None:
    """Post the message as JSON, signed: see `signature`."""
    text = json.dumps({"key": delivery.key, **delivery.body}, sort_keys=True).encode()
    stamp = str(int(delivery.at.timestamp()))
    headers = {"Idempotency-Key": delivery.key, "X-Quintet-Timestamp": stamp}
    if secret:
        headers["X-Quintet-Signature"] = signature(secret, stamp, text)
    post(url, text, headers)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return `sha256=` and the HMAC of the timestamp, a dot, and the body, for the receiver to verify."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@cache
def _client() -> httpx.Client:
    """Return the client; it follows no redirect, which would send the secret of an address elsewhere."""
    # Messages are rare: the receiver would have closed a connection that is kept.
    return http_client(timeout=_SECONDS, limits=httpx.Limits(max_keepalive_connections=0))


def post(url: str, body: bytes | None, headers: Mapping[str, str]) -> None:
    """Send JSON (GET without a body); any 2xx is success. Raises DeliveryError, which contains no address."""
    if urlsplit(url).scheme.lower() not in {"http", "https"}:
        raise DeliveryError("could not be reached: the address is neither http nor https")
    try:
        with _client().stream(
            "GET" if body is None else "POST",
            url,
            content=body,
            headers={"Content-Type": "application/json", **headers},
        ) as answer:
            status, wait = answer.status_code, answer.headers.get("Retry-After", "")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise DeliveryError(f"could not be reached: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise DeliveryError(
            f"answered {status}",
            is_refused=status in _REFUSED,
            wait=dt.timedelta(seconds=min(int(wait), 3600)) if wait.isdigit() else None,
        )
