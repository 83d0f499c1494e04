/* Shows moments in the reader's zone, with UTC in the title, and names the zone in the headings of their columns. */

export function localTimes(region) {
  for (const time of region.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(time.dateTime);
    if (time.closest(".snapshot") || Number.isNaN(moment.valueOf())) continue;
    const words = time.textContent.trim();
    const namesZone = words.endsWith("UTC");
    time.title = namesZone ? words : `${words} UTC`;
    time.textContent = written(moment) + (namesZone ? ` ${zoneOf(moment)}` : "");
    time.dataset.local = "true";
  }
  for (const cell of region.querySelectorAll("thead th")) nameZone(cell);
}

/* The Swedish form is that of ISO 8601, with a space. */
function written(moment) {
  const form = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat("sv-SE", form).format(moment);
}

function zoneOf(moment) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(moment);
  return parts.find((part) => part.type === "timeZoneName").value;
}

/* Only where the column's cells are moments: a column of texts stays in UTC. */
function nameZone(cell) {
  const row = cell.closest("table").tBodies[0]?.rows[0];
  const time = row?.cells[cell.cellIndex]?.querySelector("time[data-local]");
  if (!time) return;
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    text.textContent = text.textContent.replace(/\bUTC\b/, zoneOf(new Date(time.dateTime)));
  }
}
