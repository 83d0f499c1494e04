/* Keys of the review queue: j and k move, a, r and e give a verdict, n writes a note. Everything works without it. */
const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");

function moveInList(step) {
  const links = [...document.querySelectorAll("a[data-case]")];
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function decide(key) {
  const button = document.querySelector(`[data-verdict] button[data-key="${key}"]:not([disabled])`);
  if (!button) return;
  const reason = document.getElementById("reason");
  if ("needsReason" in button.dataset && !reason.value.trim()) {
    reason.focus();
    document.getElementById("announcer").textContent = `${button.textContent} needs a reason`;
    return;
  }
  button.click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const isList = document.querySelector("a[data-case]") !== null;
  const move = (way, step) => (isList ? moveInList(step) : document.querySelector(`a[data-move="${way}"]`)?.click());
  const actions = {
    j: () => move("next", 1),
    k: () => move("previous", -1),
    n: () => document.getElementById("note")?.focus(),
    a: () => decide("a"),
    r: () => decide("r"),
    e: () => decide("e"),
  };
  const act = actions[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const all = document.querySelector("[data-all]");
if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    for (const box of document.querySelectorAll("[data-verdict] input[name=cases]")) box.checked = true;
  });
}
