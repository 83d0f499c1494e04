/* Moves the threshold in the charts that show it, and shows its precision and recall. */
import { setSignal } from "./figures.js";

export function bindThresholds(region) {
  for (const form of region.querySelectorAll("form.threshold")) bind(form);
}

function bind(form) {
  const input = form.querySelector("input[type=range]");
  const words = form.querySelector("output");
  const table = JSON.parse(form.querySelector("script.thresholds").textContent);
  const figures = form.dataset.figures.split(" ");
  input.addEventListener("input", () => {
    const value = Number(input.value);
    for (const name of figures) setSignal(name, "threshold", value);
    words.textContent = sentence(table, value);
  });
  input.addEventListener("change", () => {
    const address = new URL(location.href);
    address.searchParams.set("threshold", input.value);
    history.replaceState(null, "", address);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector(".submit").hidden = true;
}

function sentence(table, value) {
  if (!table.length) return "Precision and recall are not known: labels of both classes are needed.";
  const row = table.reduce((best, one) => (Math.abs(one.threshold - value) < Math.abs(best.threshold - value) ? one : best));
  const share = (number) => `${(100 * number).toFixed(1)}%`;
  const precision = row.flagged ? `precision ${share(row.precision)}` : "nobody is flagged";
  return `From ${row.threshold.toFixed(2)} on, ${row.flagged.toLocaleString("en")} labelled accounts are flagged: ${precision}, recall ${share(row.recall)}.`;
}
