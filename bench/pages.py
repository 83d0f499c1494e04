"""Pages: time until one shows its content in Chromium, with an empty browser cache.

It needs Debian's chromium. It serves the committed samples; a quick run serves a home that was built from them.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.measure import PROJECT, Line, MissingError, options, print_lines
from bench.serve import add_home, build, copy_of_snapshot, service

USUALLY = "1 minute"

_ROUNDS, _ROUNDS_QUICK = 7, 2
_LIMIT_MILLISECONDS = 1_500
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


def main(arguments: Sequence[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = options("pages", __doc__)
    add_home(parser)
    given = parser.parse_args(arguments)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise MissingError("there is no chromium: `apt-get install chromium` gets it")
    rounds = _ROUNDS_QUICK if given.quick else _ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if given.quick:
            copy_of_snapshot(given.home, home)
        else:
            build(home, PROJECT / "data" / "raw", "insurance")
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        with service(home) as (url, headers), sync_playwright() as playwright:
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
    return print_lines("Pages", [line])
