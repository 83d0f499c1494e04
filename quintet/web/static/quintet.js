/* Enhances a loaded page. Everything except the charts works without this script too. */
import { drawFigures } from "./figures.js";
import { makeSortable, watchWidths } from "./tables.js";
import { localTimes } from "./times.js";
import { offerViews } from "./views.js";
import { liveFilters } from "./filters.js";
import { bindThresholds } from "./threshold.js";

function showAge() {
  for (const line of document.querySelectorAll(".snapshot[data-stale-seconds]")) {
    const time = line.querySelector("time");
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const isStale = seconds > Number(line.dataset.staleSeconds);
    const state = line.querySelector(".state");
    line.classList.toggle("stale", isStale);
    state.hidden = false;
    state.textContent = isStale ? "Stale" : "Fresh";
    time.title ||= time.textContent;
    time.textContent = ago(seconds);
  }
}

function ago(seconds) {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  if (seconds < 60) return "less than a minute ago";
  if (seconds < 3600) return words.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 2 * 86400) return words.format(-Math.floor(seconds / 3600), "hour");
  return words.format(-Math.floor(seconds / 86400), "day");
}

function offerLink() {
  const button = document.querySelector(".copy-link");
  if (!button || !navigator.clipboard) return;
  button.hidden = false;
  const words = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
    document.getElementById("announcer").textContent = "Link copied";
    setTimeout(() => (button.textContent = words), 2000);
  });
}

/* On a narrow screen the navigation scrolls: the current page's entry is brought into view. */
function showCurrent() {
  const current = document.querySelector(".rail nav [aria-current]");
  const nav = current?.closest("nav");
  if (nav) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}

function prepare(region) {
  drawFigures(region);
  localTimes(region);
  region.querySelectorAll("table[data-sortable]").forEach(makeSortable);
  watchWidths(region);
  bindThresholds(region);
}

/* A page that waits for a build looks again. */
const waits = document.querySelector("[data-reload-seconds]");
if (waits) setTimeout(() => location.reload(), waits.dataset.reloadSeconds * 1000);

prepare(document);
showAge();
setInterval(showAge, 60_000);
offerLink();
offerViews();
showCurrent();
liveFilters(prepare);
