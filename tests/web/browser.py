"""A signed-in browser for tests of the pages."""

from __future__ import annotations

import json
from collections.abc import Sequence

from playwright.sync_api import BrowserContext, Page, expect

from quintet.presentation.design import Figure
from tests.waiting import LONG_SECONDS
from tests.web.service import Server

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
"""The accessibility rules that every page passes, for axe."""


class Visit:
    """A page of a browser that records its errors and its requests to other hosts."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        context.set_default_timeout(LONG_SECONDS * 1_000)
        self.server, self.page = server, context.new_page()
        self.faults: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._see(request.url))

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.faults.append(text)

    def _see(self, url: str) -> None:
        if not url.startswith((self.server.url, "data:", "blob:")):
            self.outside.append(url)

    def open(self, path: str) -> Page:
        """Open a page of the service in a signed-in browser."""
        self.page.goto(self.server.url + path)
        return self.page

    def sign_in(self, path: str) -> Page:
        """Open a page, sign in with the key, and wait for the page."""
        self.open(path)
        self.page.get_by_label("API key").fill(self.server.key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.server.url + path)
        return self.page


def wait_for_charts(page: Page) -> int:
    """Scroll through the page, which draws charts near the view, wait for all of them, and return their number."""
    plots = page.locator(".plot")
    for number in range(plots.count()):
        plots.nth(number).scroll_into_view_if_needed()
        expect(plots.nth(number).locator("svg.marks, canvas")).to_have_count(1)
    page.evaluate("scrollTo(0, 0)")
    return plots.count()


_DRAW = """async ([figures]) => {
  const results = document.getElementById("results");
  results.replaceChildren();
  for (const { name, spec } of figures) {
    const figure = results.appendChild(document.createElement("figure"));
    Object.assign(figure, { className: "figure", id: name });
    figure.dataset.figure = name;
    figure.appendChild(document.createElement("div")).className = "plot";
    const script = figure.appendChild(document.createElement("script"));
    Object.assign(script, { className: "spec", type: "application/json", textContent: spec });
  }
  const source = [...document.scripts].find((one) => one.src.endsWith("/quintet.js")).src;
  (await import(source.replace(/[^/]+$/, "figures.js"))).drawFigures(results);
}"""


def draw(page: Page, figures: Sequence[Figure]) -> None:
    """Replace the content of a page of the service with figures, drawn as the page draws its own."""
    drawn = [{"name": one.name, "spec": json.dumps(one.spec())} for one in figures if one.chart is not None]
    page.evaluate(_DRAW, [drawn])
