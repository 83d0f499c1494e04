"""Measurements of a page in a browser: labels that overlap or are cut, and what reaches beyond the screen."""

from __future__ import annotations

from playwright.sync_api import Page

_FAULTS = """
() => {
  const shown = (text) => {
    for (let node = text; node && node.nodeName !== "svg"; node = node.parentNode)
      if (Number(node.getAttribute("opacity") ?? 1) === 0) return false;
    return text.textContent.trim() !== "";
  };
  const faults = [];
  for (const figure of document.querySelectorAll(".figure")) {
    for (const svg of figure.querySelectorAll("svg.marks")) {
      const frame = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].filter(shown);
      const boxes = texts.map((text) => [text.textContent, text.getBoundingClientRect()]);
      boxes.forEach(([words, box], place) => {
        if (words.includes("…")) faults.push(`${figure.id}: "${words}" is shortened`);
        const beyond = [frame.left - box.left, box.right - frame.right, frame.top - box.top, box.bottom - frame.bottom];
        if (Math.max(...beyond) > 2) faults.push(`${figure.id}: "${words}" is cut`);
        for (const [other, beside] of boxes.slice(place + 1)) {
          const wide = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
          const high = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
          if (wide > 2 && high > 4) faults.push(`${figure.id}: "${words}" and "${other}" overlap`);
        }
      });
    }
  }
  return faults;
}
"""


_TEXTS = "h1, h2, h3, button, .button, .tabs a, .rail nav a, .chip, .kpi-value, .kpi dt, .label, th, td, figcaption"
_GROUPS = [".tabs li", ".rail nav li", ".kpis > .kpi", ".cards > li", ".filter-fields > .field", ".actions > *"]
_BOXES = """
([texts, groups]) => {
  const faults = [];
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".hidden, .skip");
  const name = (one) => `${one.tagName.toLowerCase()} "${one.textContent.trim().slice(0, 40)}"`;
  for (const one of document.querySelectorAll(texts)) {
    if (!isShown(one)) continue;
    const clips = ["hidden", "clip"].includes(getComputedStyle(one).overflowX);
    if (clips && one.scrollWidth > one.clientWidth + 1) faults.push(`${name(one)} is cut`);
    const box = one.getBoundingClientRect();
    const scrolls = one.closest(".table-scroll, .tabs, .rail nav, pre");
    if (!scrolls && box.right > innerWidth + 1) faults.push(`${name(one)} is beyond the screen`);
  }
  for (const one of document.querySelectorAll("input:not([type=checkbox], [type=range], [type=hidden])")) {
    if (!isShown(one)) continue;
    const style = getComputedStyle(one), context = document.createElement("canvas").getContext("2d");
    const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    context.font = style.font;
    const icon = one.type === "date" ? 20 : 0, words = icon ? "mm/dd/yyyy" : one.placeholder;
    if (context.measureText(words).width + icon > room + 1) faults.push(`field "${one.name}" cuts "${words}"`);
  }
  for (const group of groups) {
    const shown = [...document.querySelectorAll(group)].filter(isShown);
    const boxes = shown.map((one) => [one, one.getBoundingClientRect()]);
    boxes.forEach(([one, box], place) => {
      for (const [other, beside] of boxes.slice(place + 1)) {
        const wide = Math.min(box.right, beside.right) - Math.max(box.left, beside.left);
        const high = Math.min(box.bottom, beside.bottom) - Math.max(box.top, beside.top);
        if (wide > 1 && high > 1) faults.push(`${name(one)} and ${name(other)} overlap`);
      }
    });
  }
  return faults;
}
"""


def text_faults(page: Page) -> list[str]:
    """Return the texts outside of charts that are cut, are beyond the screen, or overlap their neighbour."""
    faults: list[str] = page.evaluate(_BOXES, [_TEXTS, _GROUPS])
    return faults


def label_faults(page: Page) -> list[str]:
    """Return the labels of the drawn charts that overlap, are cut at the chart's edge, or are shortened."""
    faults: list[str] = page.evaluate(_FAULTS)
    return faults


def scrolls_sideways(page: Page) -> bool:
    """Return whether the page is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
