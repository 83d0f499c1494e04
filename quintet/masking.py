"""Mask secrets in a text before it is logged, stored, shown or sent."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote

MASK = "***"

_LEAST_CHARACTERS = 4
"""Shorter parts are no secrets, and masking them would make every text unreadable."""

_LEAST_PATH_CHARACTERS = 12
_NAME = re.compile(
    r"(ssl)?passw(or)?d|pwd|(\w+_)?secret(_\w+)?|(\w+_)?token|sig(nature)?|(\w+_)?(api|access)_?key(_?id)?",
    re.IGNORECASE,
)
_NAME_IN_SECRET = re.compile(rf"{_NAME.pattern}|pass|code|\w*key|credentials?", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'<>]+")
_PARAMETER = re.compile(r"\b(\w+)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&;,\"'<>]+)")
_BEARER = re.compile(r"\b(Bearer\s+)[^\s\"',]+", re.IGNORECASE)
_KEY = re.compile(r"\bqk_[0-9a-f]{8,}")


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the secrets, in whatever encoding, and without anything that looks like one.

    secrets: values of secret settings: passwords, keys, and URLs, whose passwords, parameters and long path segments
    are secret. Without them, users and passwords in URLs, parameters such as `password=`, bearer tokens and API keys
    are still masked.
    """
    for form in _forms(tuple(secrets)):
        text = text.replace(form, MASK)
    if "://" in text and "@" in text:
        text = _WORD.sub(_without_user, text)
    if "=" in text:
        text = _PARAMETER.sub(_without_value, text)
    if "bearer" in text.lower():
        text = _BEARER.sub(rf"\1{MASK}", text)
    return _KEY.sub(MASK, text)


def _without_user(word: re.Match[str]) -> str:
    """Mask user and password of a URL, up to the last @: a password may hold / and @."""
    scheme, found, rest = word[0].partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}://{MASK}@{place}" if found and at else word[0]


def _without_value(parameter: re.Match[str]) -> str:
    name, equals, _ = parameter.groups()
    return f"{name}{equals}{MASK}" if _NAME.fullmatch(name) else parameter[0]


@lru_cache(maxsize=16)
def _forms(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return every text to replace, the longest first."""
    parts = {part for secret in secrets for part in (secret.strip(), *_parts(secret.strip()))}
    return tuple(sorted({form for part in parts for form in _encodings(part)}, key=len, reverse=True))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret parts of a URL, of several URLs, or of a connection string of libpq."""
    for word in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", secret, flags=re.IGNORECASE):
        yield word
        if "://" in word:
            yield from _parts_of_url(word)
    for name, value in re.findall(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&;]+)", secret):
        if _NAME_IN_SECRET.fullmatch(name):
            yield value.strip("'")


def _parts_of_url(url: str) -> Iterator[str]:
    _, _, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if at:
        yield user
        yield from (part for part in user.split(":", 1)[1:])
        yield from re.split(r"[/@?#:]", user)[1:]  # a parser may have taken only a piece of it
    path, _, query = place.partition("?")
    yield from (segment for segment in path.split("/")[1:] if len(segment) >= _LEAST_PATH_CHARACTERS)
    yield from (value for name, value in parse_qsl(query.partition("#")[0]) if _NAME_IN_SECRET.fullmatch(name))


def _encodings(part: str) -> Iterator[str]:
    """Yield the text as it is, and as a URL, JSON, Python or HTML holds it."""
    for text in {part, unquote(part)}:
        if len(text) >= _LEAST_CHARACTERS:
            yield from (text, quote(text, safe=""), quote(text), json.dumps(text)[1:-1], repr(text)[1:-1])
            yield html.escape(text)
