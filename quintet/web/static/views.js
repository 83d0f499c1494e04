/* Saved views: names for the states of a page, which its address holds, kept in this browser. */

const KEY = "quintet views";

export function offerViews() {
  const form = document.querySelector("form.filters");
  const actions = document.querySelector(".page-head .actions");
  if (!form || !actions) return;
  const box = document.createElement("details");
  box.className = "views";
  box.innerHTML = `<summary class="button quiet">Views</summary>
    <div class="views-list"><ul></ul>
    <form><label class="label" for="view-name">Name of this view</label>
    <input id="view-name" maxlength="60" required autocomplete="off"> <button class="primary">Save</button></form></div>`;
  actions.prepend(box);
  const list = box.querySelector("ul");
  box.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = box.querySelector("input").value.trim();
    if (!name) return;
    keep({ ...views(), [`${location.pathname}\n${name}`]: location.search });
    box.querySelector("input").value = "";
    show(list);
    document.getElementById("announcer").textContent = `View ${name} saved`;
  });
  box.addEventListener("toggle", () => box.open && show(list));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    box.open = false;
    box.querySelector("summary").focus();
  });
  show(list);
}

function show(list) {
  const own = Object.entries(views()).filter(([key]) => key.startsWith(`${location.pathname}\n`));
  list.replaceChildren(...own.map(([key, search]) => entry(key, search, list)));
  list.hidden = !own.length;
}

function entry(key, search, list) {
  const name = key.split("\n")[1];
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = location.pathname + search;
  link.textContent = name;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Delete";
  button.setAttribute("aria-label", `Delete the view ${name}`);
  button.addEventListener("click", () => {
    const { [key]: _, ...rest } = views();
    keep(rest);
    show(list);
  });
  item.append(link, " ", button);
  return item;
}

function views() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function keep(all) {
  localStorage.setItem(KEY, JSON.stringify(all));
}
