"""How soon a page shows its content in Chromium, from a cold start of the browser's cache.

`make bench NAME=pages` needs Debian's chromium. It serves the committed samples.
"""

from __future__ import annotations

import secrets
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.api import build, free_port, served
from bench.measure import Line, print_lines

_PROJECT = Path(__file__).parents[1]
_ROUNDS = 7
_LIMIT_MILLISECONDS = 1_500
_PAINTED = """() => new Promise(done => new PerformanceObserver(
    list => done(list.getEntries().at(-1).startTime)
).observe({type: 'largest-contentful-paint', buffered: true}))"""


def _milliseconds(browser: Browser, url: str, key: str, path: str) -> float:
    """Until the largest part of the page is painted, in a browser that has nothing of it yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.request.post(f"{url}/sign-in", form={"key": key, "next_page": "/healthz"})
    page.goto(url + path)
    page.locator("[data-drawn]").first.wait_for()
    painted = float(page.evaluate(_PAINTED))
    context.close()
    return painted


def main() -> int:
    """Measure and print; 0 if the limit holds."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        build(home, _PROJECT / "data" / "raw", "insurance")
        key, port = secrets.token_hex(16), free_port()
        environment = {"QUINTET_HOME": str(home), "QUINTET_PORT": str(port), "QUINTET_ADMIN_KEY": key}
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        with (
            served([sys.executable, "-m", "quintet.web"], f"http://127.0.0.1:{port}/healthz", environment) as url,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=quiet)
            # a selection that nobody has asked for yet, so that the page is made and not taken from memory
            made = [_milliseconds(browser, url, key, f"/insurance?year_to={2015 - turn}") for turn in range(_ROUNDS)]
            browser.close()
    median = statistics.median(made)
    line = Line(
        "insurance page, new selection, cold cache",
        f"largest paint after {median:,.0f} ms ({min(made):,.0f} to {max(made):,.0f})",
        f"at most {_LIMIT_MILLISECONDS:,} ms",
        median <= _LIMIT_MILLISECONDS,
    )
    return print_lines("Pages", [line])


if __name__ == "__main__":
    sys.exit(main())
