/* Draws the figures of a page from their embedded specifications, each when it is scrolled near the view. */
import { themes } from "./themes.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const NEAR = "400px";
const RESIZE_MILLISECONDS = 150;
const drawn = new Map();
const signals = new Map();
let vega;

/* The bundle is large: it is fetched once, for the first figure. */
function loadVega() {
  vega ??= import(document.body.dataset.vega).then(() => globalThis.vegaEmbed);
  return vega;
}

const nearness = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    nearness.unobserve(target);
    draw(target);
  }
}, { rootMargin: NEAR });

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const figure = drawn.get(target);
    if (!figure || Math.abs(figure.width - target.clientWidth) < 2) continue;
    clearTimeout(figure.timer);
    figure.timer = setTimeout(() => draw(target), RESIZE_MILLISECONDS);
  }
});

export function drawFigures(region) {
  for (const plot of region.querySelectorAll(".plot")) nearness.observe(plot);
}

/* Returns the view of a plot, to update its data; undefined until it is drawn. */
export function viewOf(plot) {
  return drawn.get(plot)?.view;
}

export function forgetFigures(region) {
  for (const plot of region.querySelectorAll(".plot")) {
    nearness.unobserve(plot);
    widths.unobserve(plot);
    drawn.get(plot)?.finalize?.();
    drawn.delete(plot);
  }
}

/* Sets a parameter of a figure's chart, now and after each redraw. */
export function setSignal(name, signal, value) {
  signals.set(name, { ...signals.get(name), [signal]: value });
  const plot = document.querySelector(`.figure[data-figure="${name}"] .plot`);
  drawn.get(plot)?.view.signal(signal, value).run();
}

async function draw(plot) {
  const figure = plot.closest(".figure");
  try {
    const embed = await loadVega();
    const width = plot.clientWidth;
    if (!plot.isConnected || !width) return;
    const spec = sized(JSON.parse(figure.querySelector("script.spec").textContent), width);
    const drawing = document.createElement("div");
    drawing.className = "drawing";
    const result = await embedded(embed, drawing, spec);
    /* The new drawing replaces the old one only when it is done: an empty plot would shift the page. */
    drawn.get(plot)?.finalize?.();
    plot.style.minHeight = `${plot.querySelector(".skeleton")?.height.baseVal.value ?? 0}px`;
    plot.replaceChildren(drawing);
    drawing.setAttribute("aria-hidden", "true");
    if (!spec.vconcat) await makeRoom(result.view, drawing);
    drawn.set(plot, { width, view: result.view, finalize: () => result.finalize() });
    for (const [signal, value] of Object.entries(signals.get(figure.dataset.figure) ?? {})) result.view.signal(signal, value).run();
    widths.observe(plot);
    openOnClick(result.view, plot.dataset.link);
    figure.dataset.drawn = "true";
  } catch (error) {
    figure.classList.add("failed");
    figure.dataset.drawn = "failed";
    const words = document.createElement("p");
    words.className = "note";
    words.textContent = "The chart could not be drawn; the table below has the same data.";
    plot.replaceChildren(words);
    figure.querySelector(".figure-table")?.setAttribute("open", "");
    console.error(figure.id, error);
  }
}

/* A legend that is wider than its chart would squeeze it: its entries then stand in as many columns as fit. */
async function embedded(embed, drawing, spec) {
  let result = await embed(drawing, spec, options({}));
  for (const columns of [4, 3, 2, 1]) {
    if (spec.vconcat || legendWidth(result.view) <= result.view.width()) break;
    result.finalize();
    result = await embed(drawing, spec, options({ columns }));
  }
  return result;
}

function options(legend) {
  const theme = themes[dark.matches ? "dark" : "light"];
  return {
    actions: false,
    ast: true,
    config: { ...theme, legend: { ...theme.legend, ...legend } },
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  };
}

function legendWidth(view) {
  const marks = view.scenegraph().root.items[0].items;
  const legends = marks.filter((mark) => mark.role === "legend").flatMap((mark) => mark.items);
  return Math.max(0, ...legends.map((legend) => legend.bounds.x2 - legend.bounds.x1));
}

/* The height of a chart comes from its specification, the width from the page. */
function sized(spec, width) {
  if (spec.vconcat) {
    const gutter = 68;
    spec.vconcat.forEach((view) => (view.width = width - gutter));
    return spec;
  }
  return { ...spec, width, autosize: { type: "fit", contains: "padding" } };
}

/* Labels behind the ends of bars may reach beyond the chart: it is drawn again with that much more space. */
async function makeRoom(view, drawing, attempts = 3) {
  const frame = drawing.querySelector("svg")?.getBoundingClientRect();
  if (!frame || !attempts) return;
  const boxes = [...drawing.querySelectorAll("svg text")]
    .filter((text) => text.textContent.trim() && Number(text.getAttribute("opacity") ?? 1) > 0)
    .map((text) => text.getBoundingClientRect());
  const left = Math.ceil(Math.max(0, ...boxes.map((box) => frame.left - box.left)));
  const right = Math.ceil(Math.max(0, ...boxes.map((box) => box.right - frame.right)));
  if (left + right < 1) return;
  const padding = view.padding();
  await view.padding({ ...padding, left: padding.left + left, right: padding.right + right }).resize().runAsync();
  await makeRoom(view, drawing, attempts - 1);
}

function openOnClick(view, link) {
  if (!link) return;
  view.addEventListener("click", (_, item) => {
    const datum = item?.datum ?? {};
    const names = [...link.matchAll(/{(\w+)}/g)].map((found) => found[1]);
    if (names.some((name) => datum[name] === undefined)) return;
    location.assign(link.replace(/{(\w+)}/g, (_, name) => encodeURIComponent(datum[name])));
  });
}

dark.addEventListener("change", () => [...drawn.keys()].forEach(draw));
