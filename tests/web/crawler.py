"""Follow every address that the pages hold, as a browser and its reader would."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

_ATTRIBUTES = {"href", "src", "action", "data-stream", "data-document", "data-link", "data-vega"}
_IMPORT = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")
_ALIKE = 2
"""Addresses that differ in their values alone, such as those of agencies, which are followed."""


class _Page(HTMLParser):
    """Collects addresses with their elements; forms that post are named `post`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        kind = "post" if tag == "form" and given.get("method") == "post" else tag
        self.found += [(kind, value) for name, value in attrs if name in _ATTRIBUTES and value]


@dataclass
class Crawl:
    """What was found: the status of each followed address, the addresses of forms and streams, and those outside."""

    statuses: dict[str, int] = field(default_factory=dict)
    posts: set[str] = field(default_factory=set)
    streams: set[str] = field(default_factory=set)
    outside: list[str] = field(default_factory=list)

    @property
    def failures(self) -> dict[str, int]:
        """The addresses that did not answer as they should."""
        return {address: status for address, status in self.statuses.items() if status >= 300}


def crawl(client: httpx.Client, prefix: str, start: str = "/") -> Crawl:
    """Follow the addresses of the pages from `prefix + start` on; those that lack the prefix are outside.

    client: signed in, and following no redirects.
    """
    found, waiting, alike = Crawl(), [prefix + start], Counter[str]()
    while waiting:
        address = waiting.pop()
        shape = _shape(address)
        if address in found.statuses or alike[shape] >= _ALIKE:
            continue
        alike[shape] += 1
        answer = client.get(address, headers={"accept": "text/html"})
        found.statuses[address] = answer.status_code
        if address.startswith(f"{prefix}/docs/"):  # the documentation's links are checked when it is built
            continue
        for kind, value in _addresses(answer):
            other = urljoin(address, value).partition("#")[0]
            if not other.startswith(f"{prefix}/"):
                found.outside.append(f"{value} on {address}")
            elif kind == "post":
                found.posts.add(other)
            elif other.endswith("/stream"):
                found.streams.add(other)
            elif "{" not in other:  # of a chart, which fills in the mark that is clicked
                waiting.append(other)
    return found


def _addresses(answer: httpx.Response) -> Iterator[tuple[str, str]]:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if "location" in answer.headers:
        yield "redirect", answer.headers["location"]
    if kind == "text/html":
        page = _Page()
        page.feed(answer.text)
        yield from page.found
    elif kind == "text/javascript" and len(answer.content) < 100_000:  # no bundle, which imports nothing
        yield from (("script", value) for value in _IMPORT.findall(answer.text))


def _shape(address: str) -> str:
    parts = urlsplit(address)
    return re.sub(r"/\d+", "/0", parts.path) + " ".join(sorted({name for name, _ in parse_qsl(parts.query)}))
