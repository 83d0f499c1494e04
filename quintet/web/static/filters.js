/* Applies a change of filters at once: fetches the page, replaces the results and updates the URL. */
import { forgetFigures } from "./figures.js";

const TYPING_MILLISECONDS = 600;
let waiting;

export function liveFilters(prepare) {
  const form = document.querySelector("form.filters");
  if (!form) return;
  const toggle = form.querySelector(".filters-toggle");
  let timer;

  toggle.addEventListener("click", () => {
    const isOpen = form.toggleAttribute("data-open");
    toggle.setAttribute("aria-expanded", String(isOpen));
  });
  if (!form.hasAttribute("data-live")) return;
  form.addEventListener("change", (event) => {
    clearTimeout(timer);
    describe(form);
    /* Readers often tick several boxes in a row. */
    timer = setTimeout(() => take(addressOf(form), true), event.target.type === "checkbox" ? TYPING_MILLISECONDS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    take(addressOf(form), true);
  });
  form.querySelector(".reset").addEventListener("click", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    take(form.getAttribute("action"), true);
  });
  document.addEventListener("click", (event) => {
    for (const many of form.querySelectorAll("details.many[open]")) {
      if (!many.contains(event.target)) many.open = false;
    }
  });
  form.addEventListener("keydown", (event) => {
    const many = event.key === "Escape" && event.target.closest("details.many[open]");
    if (!many) return;
    many.open = false;
    many.querySelector("summary").focus();
  });
  addEventListener("popstate", () => take(location.pathname + location.search, false));
  describe(form);

  async function take(address, isNew) {
    waiting?.abort();
    const mine = (waiting = new AbortController());
    document.body.setAttribute("aria-busy", "true");
    document.querySelector(".failure")?.remove();
    try {
      const response = await fetch(address, { headers: { accept: "text/html" }, signal: mine.signal });
      const landed = new URL(response.url);
      const results = document.getElementById("results");
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById("results");
      /* Signed out meanwhile, or another page: go there. */
      if (response.status === 401 || (response.redirected && landed.pathname !== location.pathname)) {
        location.assign(address);
        return;
      }
      if (!fresh) throw new Failure(page.querySelector(".question")?.textContent, response.headers.get("x-request-id"));
      forgetFigures(results);
      results.replaceWith(document.adoptNode(fresh));
      document.title = page.title;
      takeOver(form, page, isNew);
      if (isNew) history.pushState(null, "", address);
      prepare(fresh);
      document.getElementById("announcer").textContent = fresh.dataset.announcement || "Updated";
    } catch (error) {
      if (error.name !== "AbortError") showFailure(error, () => take(address, isNew));
    } finally {
      if (waiting === mine) document.body.removeAttribute("aria-busy");
    }
  }
}

class Failure extends Error {
  constructor(words, requestId) {
    super(words || "The service returned an unexpected answer.");
    this.requestId = requestId;
  }
}

function showFailure(error, again) {
  const words = document.createElement("p");
  words.textContent = error instanceof Failure ? error.message : "The service cannot be reached. The page shows earlier results.";
  const box = document.createElement("div");
  box.className = "failure";
  box.setAttribute("role", "alert");
  box.append(words);
  if (error.requestId) {
    const id = document.createElement("span");
    id.className = "note";
    id.textContent = `Request id ${error.requestId}`;
    box.append(id);
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Try again";
  button.addEventListener("click", again);
  box.append(button);
  document.getElementById("results").before(box);
}

/* Returns the address of the form's state, without empty fields. */
function addressOf(form) {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value.trim()) fields.append(name, value.trim());
  for (const order of new URLSearchParams(location.search).getAll("sort")) fields.append("sort", order);
  const query = fields.toString();
  return form.getAttribute("action") + (query ? `?${query}` : "");
}

/* Updates the fields from the fetched page, and the links that carry the filters. isNew: the reader may go on typing in
   the field that made the change; after Back every field is that of the page shown. */
function takeOver(form, page, isNew) {
  const fresh = page.querySelector("form.filters");
  for (const field of form.elements) {
    if (!field.name || (isNew && field === document.activeElement && field.type === "text")) continue;
    const same = [...fresh.elements].find(
      (other) => other.name === field.name && (field.type !== "checkbox" || other.value === field.value),
    );
    if (!same) continue;
    if (field.type === "checkbox") field.checked = same.checked;
    else field.value = same.value;
  }
  form.querySelector(".field-problem")?.remove();
  for (const field of form.querySelectorAll("[data-field]")) {
    const same = fresh.querySelector(`[data-field="${field.dataset.field}"]`);
    for (const name of ["aria-invalid", "aria-describedby"]) {
      if (same?.hasAttribute(name)) field.setAttribute(name, same.getAttribute(name));
      else field.removeAttribute(name);
    }
  }
  const problem = fresh.querySelector(".field-problem");
  if (problem) form.append(document.adoptNode(problem));
  const report = page.querySelector(".report-link");
  if (report) document.querySelector(".report-link")?.setAttribute("href", report.getAttribute("href"));
  describe(form);
}

/* Shows the selection in words: on each field of check boxes, and on the button that opens the filters. */
function describe(form) {
  for (const many of form.querySelectorAll("details.many")) {
    const chosen = many.querySelector("summary span");
    const labels = [...many.querySelectorAll("input:checked")].map((box) => box.value);
    chosen.textContent = labels.join(", ") || chosen.dataset.nothing;
  }
  /* a hidden field is the tab: nobody set it as a filter */
  const isSet = ([name, value]) => value.trim() && !form.querySelector(`input[type=hidden][name="${name}"]`);
  const count = new Set([...new FormData(form)].filter(isSet).map(([name]) => name)).size;
  form.querySelector(".chosen").textContent = count ? `${count} set` : "";
}
