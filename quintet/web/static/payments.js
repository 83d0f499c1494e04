/* Updates the payments page from the event stream: charts at once, texts and tables as they change. */
import { viewOf } from "./figures.js";
import { localTimes } from "./times.js";

const SHOWN_MINUTES = 180;
const MINUTE_MILLISECONDS = 60_000;
const DRAW_MILLISECONDS = 250;
const REFRESH_MILLISECONDS = 500;
const REFRESHED = ["now", "incidents", "values", "last-hour", "silences", "messages"];

const results = document.querySelector("#results[data-stream]");
const announcer = document.getElementById("announcer");
const pause = document.querySelector("button.pause");
const series = new Map();
const changed = new Set();
let isPaused = false;
let drawTimer;
let refreshTimer;
let isStale = false;

if (results) {
  collect();
  listen();
  offerPause();
}

/* The first rows of each chart are in its specification. */
function collect() {
  for (const figure of results.querySelectorAll("figure[id^='series-']")) {
    const spec = JSON.parse(figure.querySelector("script.spec").textContent);
    const rows = spec.data.values;
    series.set(figure.id, { figure, rows, last: rows.at(-1)?.t ?? 0, isInside: rows.at(-1)?.inside ?? false });
  }
}

function listen() {
  const stream = new EventSource(results.dataset.stream);
  stream.addEventListener("minute", (event) => takeMinute(JSON.parse(event.data)));
  stream.addEventListener("incident", (event) => takeIncident(JSON.parse(event.data)));
  stream.addEventListener("notified", refreshSoon);
  stream.addEventListener("open", () => say(""));
  stream.addEventListener("error", () => say("The connection is lost; reconnecting. The page shows earlier data."));
}

function takeMinute({ minute_at: at, points }) {
  const t = Date.parse(at);
  let isNew = false;
  for (const point of points) {
    if (point.series === "feed") continue;
    const known = series.get(idOf(point.series));
    if (!known) {
      isNew = true;
      continue;
    }
    put(known, rowOf(t, point.minute_count, point.lower, point.upper, point.is_anomalous, known.isInside));
    changed.add(known);
  }
  if (isNew) refreshSoon();
  if (!isPaused) drawSoon();
}

function idOf(name) {
  return `series-${name.replace(/[_ .]/g, "-")}`;
}

function rowOf(t, n, lo, hi, alert, inside) {
  return { t, end: t + MINUTE_MILLISECONDS, n, lo, hi, alert, inside };
}

/* A minute that is scored again replaces the old one; minutes without rows become gaps. */
function put(known, row) {
  if (row.t > known.last) {
    const missing = Math.min((row.t - known.last) / MINUTE_MILLISECONDS - 1, SHOWN_MINUTES);
    for (let number = missing; known.last && number > 0; number -= 1) {
      known.rows.push(rowOf(row.t - number * MINUTE_MILLISECONDS, null, null, null, false, known.isInside));
    }
    known.rows.push(row);
    known.last = row.t;
  } else {
    const place = known.rows.findIndex((other) => other.t === row.t);
    if (place >= 0) known.rows[place] = row;
  }
  const first = known.last - (SHOWN_MINUTES - 1) * MINUTE_MILLISECONDS;
  while (known.rows.length && known.rows[0].t < first) known.rows.shift();
}

function drawSoon() {
  drawTimer ??= setTimeout(draw, DRAW_MILLISECONDS);
}

async function draw() {
  drawTimer = undefined;
  const waiting = [...changed];
  changed.clear();
  for (const known of waiting) {
    const view = viewOf(known.figure.querySelector(".plot"));
    if (!view) {
      changed.add(known);
      continue;
    }
    view.data("points", known.rows.map((row) => ({ ...row })));
    await view.runAsync();
    const last = known.rows.at(-1);
    known.figure.dataset.last = String(last.t);
  }
}

function takeIncident(incident) {
  const known = series.get(idOf(incident.series));
  if (known) {
    known.isInside = incident.state === "firing";
    const [start, end] = [Date.parse(incident.started_at), Date.parse(incident.ended_at ?? "9999-01-01")];
    for (const row of known.rows) {
      if (row.t >= start) row.inside = row.t < end && incident.state !== "withdrawn";
    }
    changed.add(known);
    if (!isPaused) drawSoon();
  }
  const words = { firing: "is anomalous", resolved: "is back to normal", withdrawn: "was not anomalous after late counts" };
  if (!isPaused) announcer.textContent = `${incident.series.replaceAll("_", " ")} ${words[incident.state]}. ${incident.reason}`;
  refreshSoon();
}

/* Texts and tables come from the page itself, which renders them in one place. */
function refreshSoon() {
  isStale = true;
  if (!isPaused) refreshTimer ??= setTimeout(refresh, REFRESH_MILLISECONDS);
}

async function refresh() {
  refreshTimer = undefined;
  isStale = false;
  const address = new URL(location.href);
  address.searchParams.set("part", "words");
  const response = await fetch(address, { headers: { accept: "text/html" } }).catch(() => undefined);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("results");
  if (Number(fresh?.dataset.seriesCount) !== series.size) {
    location.reload();
    return;
  }
  for (const id of REFRESHED) {
    const old = document.getElementById(id);
    const other = page.getElementById(id);
    /* A section with the focus in a form is not replaced. */
    if (!old || !other || old.contains(document.activeElement)) continue;
    old.replaceWith(document.adoptNode(other));
    localTimes(other);
  }
}

function offerPause() {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    pause.textContent = isPaused ? "Resume" : "Pause";
    announcer.textContent = isPaused ? "Paused: new events are kept" : "Resumed";
    if (isPaused) return;
    drawSoon();
    if (isStale) refreshSoon();
  });
}

function say(words) {
  const line = document.querySelector(".connection");
  if (!line) return;
  line.hidden = !words;
  line.textContent = words;
}
