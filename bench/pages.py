"""Pages: time until each answers and until one shows its content in Chromium, with an empty browser cache.

Every page of the menu and every tab is requested from a service that has just started, at an address that it has not
rendered (cold), and again (warm). Beside it stands a fixed piece of work, measured in turns: figures of a busy machine
compare by their ratio to it. It needs Debian's chromium. It serves the committed samples; with `--quick` or `--serve` a
home that was built before, such as one of the real data.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from bench.measure import PROJECT, Line, MissingError, options, print_lines
from bench.serve import add_home, build, copy_of_snapshot, service
from quintet.domains import DOMAIN_NAMES
from quintet.web.pages.shell import NAVIGATION

USUALLY = "4 minutes"

_ROUNDS, _ROUNDS_QUICK = 7, 2
_LIMIT_MILLISECONDS = 1_500
_COLD_MILLISECONDS, _WARM_MILLISECONDS = 800, 250
_MOST_BYTES = {"/payments": 300_000}
"""The most bytes of the HTML of a page, before it is compressed."""
_TABS = re.compile(r'<nav class="tabs".*?</nav>', re.DOTALL)
_PAINTED = """() => new Promise(done => new PerformanceObserver(
    list => done(list.getEntries().at(-1).startTime)
).observe({type: 'largest-contentful-paint', buffered: true}))"""


def _milliseconds(browser: Browser, url: str, key: str, path: str) -> float:
    """Return the time until the largest part of the page is painted, in a browser with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.request.post(f"{url}/sign-in", form={"key": key, "next_page": "/healthz"})
    page.goto(url + path)
    page.locator("[data-drawn]").first.wait_for()
    painted = float(page.evaluate(_PAINTED))
    context.close()
    return painted


def _work() -> float:
    """Return the milliseconds of a fixed piece of work: what a page costs goes up and down with it."""
    begin = time.perf_counter()
    json.dumps([{"place": place, "name": str(place)} for place in range(60_000)])
    return 1_000 * (time.perf_counter() - begin)


def _addresses(client: httpx.Client) -> list[str]:
    """Return the pages of the menu and their tabs."""
    found = [item.href for item in NAVIGATION if item.href != "/docs"]
    for path in [*found]:
        tabs = _TABS.search(client.get(path).text)
        found += [html.unescape(tab) for tab in re.findall(r'href="([^"]+)"', tabs[0] if tabs else "")]
    return list(dict.fromkeys(found))


def _answers(url: str, headers: Mapping[str, str]) -> list[Line]:
    """Return the times and sizes of all pages: first at an address that was not rendered, then again."""
    lines = []
    with httpx.Client(base_url=url, headers={**headers, "accept": "text/html"}, timeout=120) as client:
        for path in _addresses(client):
            address = f"{path}{'&' if '?' in path else '?'}cold=1"
            work, times, size = _work(), [], 0
            for _ in range(2):
                begin = time.perf_counter()
                answer = client.get(address)
                times.append(1_000 * (time.perf_counter() - begin))
                size = len(answer.raise_for_status().content)
            cold, warm = times
            most = _MOST_BYTES.get(path)
            lines.append(
                Line(
                    path,
                    f"{cold:,.0f} ms cold, {warm:,.0f} ms warm, {size / 1_000:,.0f} kB",
                    f"{_COLD_MILLISECONDS} ms cold, {_WARM_MILLISECONDS} ms warm"
                    + (f", {most / 1_000:,.0f} kB" if most else ""),
                    cold <= _COLD_MILLISECONDS and warm <= _WARM_MILLISECONDS and (most is None or size <= most),
                    f"work {work:,.0f} ms: {cold / work:.1f} times cold",
                )
            )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("pages", __doc__)
    add_home(parser)
    parser.add_argument("--serve", action="store_true", help="serve the snapshot of --home in place of the samples")
    given = parser.parse_args(arguments)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise MissingError("there is no chromium: `apt-get install chromium` gets it")
    rounds = _ROUNDS_QUICK if given.quick else _ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if given.quick or given.serve:
            copy_of_snapshot(given.home, home)
        else:
            for domain in DOMAIN_NAMES:
                build(home, PROJECT / "data" / "raw", domain)
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        with service(home) as (url, headers), sync_playwright() as playwright:
            answers = _answers(url, headers)
            key = headers["authorization"].removeprefix("Bearer ")
            browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
            # a new selection, so that the page is rendered and does not come from the cache
            made = [_milliseconds(browser, url, key, f"/insurance?year_to={2015 - turn}") for turn in range(rounds)]
            browser.close()
    median = statistics.median(made)
    line = Line(
        "insurance page, new selection, cold cache",
        f"largest paint after {median:,.0f} ms ({min(made):,.0f} to {max(made):,.0f})",
        f"at most {_LIMIT_MILLISECONDS:,} ms",
        median <= _LIMIT_MILLISECONDS,
    )
    return print_lines("Pages", [*answers, line])
